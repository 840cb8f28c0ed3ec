package rpc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/sqldb"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/roster"
	"github.com/privacyops/privacyops/services/erasure/internal/rosters"
)

// ImportRoster takes in one extract. One that is cut off is stored as held, so that it is seen; one that is no extract at all is refused.
func (s *RosterServer) ImportRoster(stream grpc.ClientStreamingServer[erasurev1.ImportRosterRequest, erasurev1.Roster]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	header := first.GetHeader()
	if header == nil {
		return fault.BadField("header", "must be the first message")
	}
	if header.GetFormat() != erasurev1.Roster_UNILOGIN_WSIEKSPORT {
		return fault.BadField("format", "this installation reads UNILOGIN_WSIEKSPORT")
	}
	hash := sha256.New()
	extract, err := roster.Parse(io.TeeReader(&chunkReader{stream: stream}, hash), s.Limits)
	if err != nil && !errors.Is(err, roster.ErrTruncated) {
		return badRoster(err)
	}
	digest := hex.EncodeToString(hash.Sum(nil))
	reply, err := s.store(stream.Context(), header, extract, digest)
	if err != nil {
		return err
	}
	return stream.SendAndClose(reply)
}

func (s *RosterServer) store(ctx context.Context, header *erasurev1.ImportRosterHeader, extract roster.Extract, digest string) (*erasurev1.Roster, error) {
	controller := string(parseParent(header.GetParent()))
	now := s.Clock.Now()
	i := &rosters.Import{Controller: controller, ID: s.NewID(), Institution: string(extract.Institution), SHA256: digest,
		Warnings: warnings(extract.Warnings), CreateTime: now}
	body := proto.Clone(header).(*erasurev1.ImportRosterHeader)
	body.RequestId = digest // the file is part of what is compared
	once := idempotency.Request{Controller: controller, Method: erasurev1.Rosters_ImportRoster_FullMethodName, ID: header.GetRequestId(), Body: body}
	return idempotency.Once(ctx, s.Replies, once, &erasurev1.Roster{}, func(ctx context.Context, tx sqldb.Tx) (*erasurev1.Roster, error) {
		key := s.key(controller)
		err := s.Store.InsertImport(ctx, tx, i, extract, key, func(previous roster.State) roster.Outcome {
			return roster.Diff(previous, extract, roster.Options{Now: now, Key: key})
		})
		return rosterMessage(i), err
	})
}

// badRoster explains what is wrong with a file. The place is given, never what stands there.
func badRoster(err error) error {
	var parse *roster.ParseError
	if !errors.As(err, &parse) || errors.Is(err, roster.ErrRead) {
		return err
	}
	text := parse.Err.Error()
	if parse.Line > 0 {
		text = fmt.Sprintf("line %d: %s", parse.Line, text)
	}
	return fault.New(fault.Invalid, "ROSTER_INVALID", "The file cannot be taken in: "+text+". Nothing was changed.").Because(err)
}

// chunkReader reads the file out of the stream's messages.
type chunkReader struct {
	stream grpc.ClientStreamingServer[erasurev1.ImportRosterRequest, erasurev1.Roster]
	rest   []byte
}

func (r *chunkReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		m, err := r.stream.Recv()
		if err != nil {
			return 0, err // io.EOF where the caller has sent everything
		}
		if m.GetHeader() != nil {
			return 0, fault.BadField("header", "must be sent once")
		}
		r.rest = m.GetChunk()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
