package legalbasis

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"

	_ "google.golang.org/genproto/googleapis/rpc/errdetails" // the details that refusals carry
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// REST is a [Service] behind the suite's HTTP interface. Errors are gRPC statuses with the service's details, as over gRPC.
type REST struct {
	// Base is the suite's address, `https://privacy.example`.
	Base string
	// Token gives the access token for a call. A watch goes on with the one that it was begun with.
	Token func(ctx context.Context) (string, error)
	// HTTP makes the calls. It must have no time-out of its own, because a watch lasts; calls end with their contexts. Default: a client of this
	// REST alone, which follows no redirects.
	HTTP *http.Client
}

var _ Service = (*REST)(nil)

// maxMessage bounds an answer, and a line of a watch, in bytes: a change can name many people.
const maxMessage = 4 << 20

var defaultHTTP = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// CheckLegalBasis asks. Options of gRPC have no meaning here.
func (r *REST) CheckLegalBasis(ctx context.Context, in *consentv1.CheckLegalBasisRequest, _ ...grpc.CallOption) (*consentv1.Decision, error) {
	body := proto.CloneOf(in)
	body.Parent = ""
	text, err := protojson.Marshal(body)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "legalbasis: the question cannot be written as JSON")
	}
	resp, err := r.do(ctx, http.MethodPost, "/v1/"+in.GetParent()+"/legalBasis:check", bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	d := &consentv1.Decision{}
	text, err = io.ReadAll(io.LimitReader(resp.Body, maxMessage))
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	if err := lenient.Unmarshal(text, d); err != nil {
		return nil, status.Error(codes.Internal, "legalbasis: the answer is no decision")
	}
	return d, nil
}

// WatchLegalBasis begins a watch. Its stream ends with ctx.
func (r *REST) WatchLegalBasis(ctx context.Context, in *consentv1.WatchLegalBasisRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[consentv1.LegalBasisChange], error) {
	path := "/v1/" + in.GetParent() + "/legalBasis:watch"
	if in.GetResumeToken() != "" {
		path += "?" + url.Values{"resumeToken": {in.GetResumeToken()}}.Encode()
	}
	resp, err := r.do(ctx, http.MethodGet, path, nil) //nolint:bodyclose // the stream does, at its end, and ctx does before
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxMessage)
	return &lineStream{ctx: ctx, body: resp.Body, lines: lines}, nil
}

// lenient reads what a newer service says more.
var lenient = protojson.UnmarshalOptions{DiscardUnknown: true}

func (r *REST) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.Base+path, body)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "legalbasis: the address is none")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.Token != nil {
		token, err := r.Token(ctx)
		if err != nil {
			return nil, fmt.Errorf("legalbasis: no token: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := r.HTTP
	if client == nil {
		client = defaultHTTP
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxMessage)) // what cannot be read is no refusal of the suite's
	if err := refusal(text); err != nil {
		return nil, err
	}
	return nil, status.Errorf(codes.Unavailable, "legalbasis: the suite was not reached: HTTP %d", resp.StatusCode)
}

// refusal reads an error body, or the last line of a stream that broke; nil where it is none.
func refusal(text []byte) error {
	s := &spb.Status{}
	if readable := lenient.Unmarshal(text, s) == nil; !readable || s.GetCode() == 0 {
		return nil
	}
	return status.FromProto(s).Err()
}

// unreachable is the status of a connection that did not work. What the network says may hold addresses, and stays out.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	return status.Errorf(codes.Unavailable, "legalbasis: the suite cannot be reached (%T)", errors.Unwrap(err))
}

// lineStream reads a watch as the suite writes it over HTTP: one JSON object a line, the last of which is an error where it did not just end.
type lineStream struct {
	ctx   context.Context //nolint:containedctx // a stream is its context
	body  io.Closer
	lines *bufio.Scanner
}

// Recv gives the next change; io.EOF at the end.
func (s *lineStream) Recv() (*consentv1.LegalBasisChange, error) {
	m := &consentv1.LegalBasisChange{}
	return m, s.RecvMsg(m)
}

// RecvMsg is Recv into a message.
func (s *lineStream) RecvMsg(m any) error {
	if !s.lines.Scan() {
		_ = s.body.Close() // it is at its end
		if err := s.lines.Err(); err != nil {
			return unreachable(s.ctx, err)
		}
		return io.EOF
	}
	if err := refusal(s.lines.Bytes()); err != nil {
		return err
	}
	if err := lenient.Unmarshal(s.lines.Bytes(), m.(proto.Message)); err != nil {
		return status.Error(codes.Internal, "legalbasis: a line of the watch is no change")
	}
	if change, ok := m.(*consentv1.LegalBasisChange); ok && change.GetKind() == 0 && ofLaterKind(s.lines.Bytes()) {
		change.Kind = laterKind
	}
	return nil
}

// laterKind is a change of a kind that a newer service knows. Over gRPC it is a number that has no name here; in JSON it is a name, which
// reads as nothing, and nothing would mean that the watch is up to date.
const laterKind consentv1.LegalBasisChange_Kind = math.MaxInt32

func ofLaterKind(line []byte) bool {
	var named struct{ Kind string }
	return json.Unmarshal(line, &named) != nil || (named.Kind != "" && named.Kind != consentv1.LegalBasisChange_KIND_UNSPECIFIED.String())
}

// Context is the stream's.
func (s *lineStream) Context() context.Context { return s.ctx }

// Header gives nothing: HTTP headers are not passed on.
func (s *lineStream) Header() (metadata.MD, error) { return nil, nil }

// Trailer gives nothing.
func (s *lineStream) Trailer() metadata.MD { return nil }

// CloseSend has nothing to do: the question was sent whole.
func (s *lineStream) CloseSend() error { return nil }

// SendMsg refuses: nothing more can be asked.
func (s *lineStream) SendMsg(any) error {
	return status.Error(codes.FailedPrecondition, "legalbasis: a watch asks once")
}
