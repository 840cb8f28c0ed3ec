package participants

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/export/internal/export"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "aase@example.org"

// fake answers what its functions say.
type fake struct {
	participantv1.ParticipantClient
	locate func(ctx context.Context, r *participantv1.LocateRequest) (*participantv1.Location, error)
	recv   func(ctx context.Context, n int) (*participantv1.ExportChunk, error)
}

func (f fake) Locate(ctx context.Context, r *participantv1.LocateRequest, _ ...grpc.CallOption) (*participantv1.Location, error) {
	return f.locate(ctx, r)
}

func (f fake) Export(ctx context.Context, _ *participantv1.ExportRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[participantv1.ExportChunk], error) {
	return &stream{ctx: ctx, recv: f.recv}, nil
}

type stream struct {
	grpc.ClientStream
	ctx  context.Context
	recv func(ctx context.Context, n int) (*participantv1.ExportChunk, error)
	n    int
}

func (s *stream) Recv() (*participantv1.ExportChunk, error) {
	s.n++
	return s.recv(s.ctx, s.n)
}

func participant(t *testing.T, f fake) export.Participant {
	t.Helper()
	p, err := New(func(string) (participantv1.ParticipantClient, error) { return f, nil },
		Timeouts{Locate: 30 * time.Millisecond, Silence: 30 * time.Millisecond}).Participant("lms")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type counter struct{ records, omissions int }

func (c *counter) Record(string, []byte) error    { c.records++; return nil }
func (c *counter) Omission(export.Omission) error { c.omissions++; return nil }

func TestFailuresAreSaidInOurWords(t *testing.T) {
	t.Parallel()
	for code, want := range map[codes.Code]string{
		codes.Unavailable: "could not be reached", codes.DeadlineExceeded: "did not answer in time", codes.PermissionDenied: "refused",
		codes.Unimplemented: "up to date", codes.NotFound: "does not know", codes.Internal: "code Internal", codes.DataLoss: "code DataLoss",
	} {
		p := participant(t, fake{locate: func(context.Context, *participantv1.LocateRequest) (*participantv1.Location, error) {
			return nil, status.Error(code, secret)
		}})
		_, err := p.Locate(context.Background(), "north", nil)
		if got := export.Message(err); !strings.Contains(got, want) || strings.Contains(got+err.Error(), secret) {
			t.Errorf("%s: %q", code, got)
		}
	}
}

func TestUnconfigured(t *testing.T) {
	t.Parallel()
	_, err := New(func(string) (participantv1.ParticipantClient, error) { return nil, errors.New(secret) }, Timeouts{}).Participant("lms")
	if got := export.Message(err); !strings.Contains(got, `"lms"`) || strings.Contains(got, secret) {
		t.Errorf("message %q", got)
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	p := participant(t, fake{locate: func(_ context.Context, r *participantv1.LocateRequest) (*participantv1.Location, error) {
		if r.GetParticipant() != "lms" || r.GetController() != "north" || r.GetIdentifiers()[0].GetType() != typev1.Subject_EMAIL {
			t.Errorf("asked with %v", r)
		}
		return &participantv1.Location{
			Counts:             []*participantv1.DatasetCount{{Dataset: "a", Count: 2}},
			FurtherIdentifiers: []*typev1.Subject{{Type: typev1.Subject_PHONE, Value: "1"}, {Type: 99, Value: "2"}, {Value: "3"}},
			SharedIdentifiers:  []*participantv1.SharedIdentifier{{Type: typev1.Subject_EMAIL, People: 2}},
			DataMapDigest:      "d",
		}, nil
	}})
	l, err := p.Locate(context.Background(), "north", []export.Identifier{{Type: "EMAIL", Value: secret}})
	if err != nil || l.Counts["a"] != 2 || len(l.Further) != 1 || l.Further[0] != (export.Identifier{Type: "PHONE", Value: "1"}) ||
		len(l.Shared) != 1 || l.Shared[0].People != 2 || l.Digest != "d" {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestSlowLocateEnds(t *testing.T) {
	t.Parallel()
	p := participant(t, fake{locate: func(ctx context.Context, _ *participantv1.LocateRequest) (*participantv1.Location, error) {
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	}})
	if _, err := p.Locate(context.Background(), "north", nil); !strings.Contains(export.Message(err), "in time") {
		t.Errorf("%v", err)
	}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	chunk := &participantv1.ExportChunk{Records: []*participantv1.Record{{Dataset: "a", Json: []byte("{}")}}}
	last := &participantv1.ExportChunk{Omissions: []*participantv1.Omission{{Dataset: "a"}}, Complete: true}
	for name, c := range map[string]struct {
		recv func(ctx context.Context, n int) (*participantv1.ExportChunk, error)
		says string
	}{
		"complete": {recv: script(chunk, chunk, last)},
		"cut":      {recv: script(chunk, chunk), says: "Incomplete answer"},
		"empty":    {recv: script(), says: "Incomplete answer"},
		"goes on":  {recv: script(last, chunk), says: "went on"},
		"fails": {recv: func(context.Context, int) (*participantv1.ExportChunk, error) {
			return nil, status.Error(codes.Internal, secret)
		},
			says: "code Internal"},
		"falls silent": {recv: func(ctx context.Context, n int) (*participantv1.ExportChunk, error) {
			if n < 3 {
				return chunk, nil
			}
			<-ctx.Done()
			return nil, status.FromContextError(ctx.Err()).Err()
		}, says: "in time"},
		"slow but alive": {recv: func(_ context.Context, n int) (*participantv1.ExportChunk, error) {
			time.Sleep(10 * time.Millisecond)
			return script(chunk, chunk, chunk, chunk, chunk, last)(nil, n)
		}},
	} {
		sink := &counter{}
		err := participant(t, fake{recv: c.recv}).Export(context.Background(), "north", nil, nil, sink)
		switch {
		case c.says == "" && (err != nil || sink.records < 2 || sink.omissions != 1):
			t.Errorf("%s: %v, %+v", name, err, sink)
		case c.says != "" && (err == nil || !strings.Contains(export.Message(err), c.says)):
			t.Errorf("%s: %q, want %q", name, export.Message(err), c.says)
		}
	}
}

// script gives chunks in order, then the end.
func script(chunks ...*participantv1.ExportChunk) func(context.Context, int) (*participantv1.ExportChunk, error) {
	return func(_ context.Context, n int) (*participantv1.ExportChunk, error) {
		if n > len(chunks) {
			return nil, io.EOF
		}
		return chunks[n-1], nil
	}
}
