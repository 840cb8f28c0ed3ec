package rest

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/gateway/internal/problem"
	"github.com/privacyops/privacyops/gateway/internal/route"
	"github.com/privacyops/privacyops/libs/fault"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
)

const (
	// maxRoster bounds an extract.
	maxRoster = 64 << 20
	// rosterChunk is how much of it one message carries.
	rosterChunk = 64 << 10
	// rosterTime bounds taking in one extract, from its first byte to what came of it.
	rosterTime = 5 * time.Minute
)

// rosterTypes are the content types of extracts. Those that a form in a browser can send are not among them.
var rosterTypes = []string{"application/xml", "text/xml", "text/csv", "application/zip", "application/octet-stream"}

type rosterStream = grpc.ClientStreamingClient[erasurev1.ImportRosterRequest, erasurev1.Roster]

// importRoster streams the body, an extract, to the service. An upload that breaks off is cancelled, so that half an extract
// is never taken for a whole one: the service sees no end of the stream.
func (h *Handler) importRoster(w http.ResponseWriter, r *http.Request) {
	header, err := rosterHeader(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(outgoing(r), rosterTime)
	defer cancel()
	stream, err := erasurev1.NewRostersClient(h.conns["privacyops.erasure.v1"]).ImportRoster(ctx)
	if err == nil {
		err = sendRoster(stream, header, &slowBody{conn: http.NewResponseController(w), body: http.MaxBytesReader(w, r.Body, maxRoster)})
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	roster, err := stream.CloseAndRecv()
	if err != nil {
		h.fail(w, r, err)
		return
	}
	text, err := jsonOptions.Marshal(roster)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(text)
}

// rosterHeader reads what the request says about the extract.
func rosterHeader(r *http.Request) (*erasurev1.ImportRosterHeader, error) {
	values := r.Header.Values("Content-Type")
	kind, _, err := mime.ParseMediaType(strings.Join(values, ","))
	if err != nil || !slices.Contains(rosterTypes, kind) {
		return nil, problem.Refuse(http.StatusUnsupportedMediaType, fault.Invalid, "CONTENT_TYPE_UNSUPPORTED",
			"Send the file as one of "+strings.Join(rosterTypes, ", ")+".")
	}
	if r.ContentLength > maxRoster {
		return nil, errTooLarge
	}
	query := r.URL.Query()
	format, ok := erasurev1.Roster_Format_value[query.Get("format")]
	if !ok || format == 0 {
		return nil, fault.BadField("format", "must be UNILOGIN_WSIEKSPORT or ONEROSTER_CSV")
	}
	return &erasurev1.ImportRosterHeader{Parent: "controllers/" + route.From(r.Context()).Params[0],
		Format: erasurev1.Roster_Format(format), RequestId: query.Get("requestId")}, nil
}

// sendRoster sends the header, then the body in pieces. Where the service has already answered, its answer is awaited.
func sendRoster(stream rosterStream, header *erasurev1.ImportRosterHeader, body io.Reader) error {
	err := stream.Send(&erasurev1.ImportRosterRequest{Part: &erasurev1.ImportRosterRequest_Header{Header: header}})
	for err == nil {
		chunk := make([]byte, rosterChunk)
		n, rerr := io.ReadFull(body, chunk)
		if n > 0 {
			err = stream.Send(&erasurev1.ImportRosterRequest{Part: &erasurev1.ImportRosterRequest_Chunk{Chunk: chunk[:n]}})
		}
		switch {
		case err != nil:
		case errors.Is(rerr, io.EOF) || (errors.Is(rerr, io.ErrUnexpectedEOF) && endOf(body)):
			return nil
		case rerr != nil:
			return bodyError(rerr)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil // the status comes with CloseAndRecv
	}
	return err
}

// slowBody reads a body for as long as it makes progress.
type slowBody struct {
	conn  *http.ResponseController
	body  io.Reader
	ended bool
}

// Read reads a piece, or fails when nothing came for a while.
func (s *slowBody) Read(p []byte) (int, error) {
	// A connection without deadlines (a test's recorder) is bounded by the call's context.
	_ = s.conn.SetReadDeadline(time.Now().Add(stallTime))
	n, err := s.body.Read(p)
	if errors.Is(err, io.EOF) {
		s.ended = true
		_ = s.conn.SetReadDeadline(time.Time{}) // the answer may take its time
	}
	return n, err
}

// endOf tells the end of a body from an upload that broke off, which ReadFull reports alike.
func endOf(body io.Reader) bool {
	s, ok := body.(*slowBody)
	return ok && s.ended
}
