package server_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
)

const erasureName = "controllers/north/erasures/01980f0e-8a3c-7d11-9d8e-0a4c55d1c0de"

// watch reads a stream to its end and tells how many messages came.
func watch(ctx context.Context, conn *grpc.ClientConn, name string) (n int, err error) {
	stream, err := erasurev1.NewErasuresClient(conn).WatchErasure(ctx, &erasurev1.WatchErasureRequest{Name: name})
	if err != nil {
		return 0, err
	}
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, err
		}
		n++
	}
}

func TestServerStreams(t *testing.T) {
	t.Parallel()
	h := &handlers{}
	s := start(t, h, nil)
	conn := s.dial("gateway")
	dpo, sre, south := s.token("dpo", "north"), s.token("sre", "north"), s.token("dpo", "south")
	type stream = grpc.ServerStreamingServer[erasurev1.Erasure]
	send := func(n int, then error) func(stream) error {
		return func(st stream) error {
			for range n {
				if err := st.Send(&erasurev1.Erasure{}); err != nil {
					return err
				}
			}
			return then
		}
	}
	watched := func(rest string) []string { return []string{"erasure.watch VIEW " + rest} }
	for _, tc := range []struct {
		name    string
		handler func(stream) error
		token   string
		of      string
		n       int
		code    codes.Code
		events  []string
	}{
		{"three messages, one event", send(3, nil), dpo, erasureName, 3, codes.OK, watched("north CALLER OK")},
		{"no message, one event", send(0, nil), dpo, erasureName, 0, codes.OK, watched("north CALLER OK")},
		{"no token", send(3, nil), "", erasureName, 0, codes.Unauthenticated, nil},
		{"wrong role", send(3, nil), sre, erasureName, 0, codes.PermissionDenied, watched("north CALLER DENIED ROLE_REQUIRED")},
		{"foreign", send(3, nil), south, erasureName, 0, codes.NotFound, watched(" CALLER DENIED CONTROLLER_NOT_REACHED")},
		{"wrong request", send(3, nil), dpo, "controllers/north/erasures/1", 0, codes.InvalidArgument, watched("north CALLER INVALID INVALID_ARGUMENT")},
		{"fails at once", send(0, errors.New(secret)), dpo, erasureName, 0, codes.Internal, watched("north CALLER FAILED INTERNAL")},
		{"breaks off: one event", send(2, errors.New(secret)), dpo, erasureName, 2, codes.Internal, watched("north CALLER OK")},
		{"panics", func(stream) error { panic(secret) }, dpo, erasureName, 0, codes.Internal, watched("north CALLER FAILED PANIC")},
		{"the event is there before the first message", func(st stream) error {
			if n, err := s.outbox.Pending(st.Context()); err != nil || n != 0 {
				t.Errorf("before the first message: %d events, %v", n, err)
			}
			if err := st.Send(&erasurev1.Erasure{}); err != nil {
				return err
			}
			if n, err := s.outbox.Pending(st.Context()); err != nil || n != 1 {
				t.Errorf("after the first message: %d events, %v", n, err)
			}
			return st.Send(&erasurev1.Erasure{})
		}, dpo, erasureName, 2, codes.OK, watched("north CALLER OK")},
	} {
		h.watch = tc.handler
		ctx := t.Context()
		if tc.token != "" {
			ctx = as(ctx, tc.token)
		}
		n, err := watch(ctx, conn, tc.of)
		if n != tc.n || status.Code(err) != tc.code || strings.Contains(status.Convert(err).Proto().String(), "anna") {
			t.Errorf("%s: %d messages, %v; want %d, %v", tc.name, n, err, tc.n, tc.code)
		}
		if diff := cmp.Diff(tc.events, brief(s.events())); diff != "" {
			t.Errorf("%s: events (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestAStreamWithoutAuditGivesNothing(t *testing.T) {
	t.Parallel()
	tries := 0
	s := start(t, &handlers{watch: func(st grpc.ServerStreamingServer[erasurev1.Erasure]) error {
		for range 3 { // a handler that does not look at errors
			tries++
			_ = st.Send(&erasurev1.Erasure{})
		}
		return nil
	}}, nil)
	s.breakOutbox()
	n, err := watch(as(t.Context(), s.token("dpo", "north")), s.dial("gateway"), erasureName)
	if n != 0 || tries != 3 || status.Code(err) != codes.Unavailable {
		t.Errorf("%d messages of %d, %v", n, tries, err)
	}
}

func TestClientStreams(t *testing.T) {
	t.Parallel()
	h := &handlers{}
	s := start(t, h, nil)
	client := erasurev1.NewRostersClient(s.dial("gateway"))
	ctx := as(t.Context(), s.token("platform", "north"))
	head := func(parent string) *erasurev1.ImportRosterRequest {
		return &erasurev1.ImportRosterRequest{Part: &erasurev1.ImportRosterRequest_Header{Header: &erasurev1.ImportRosterHeader{Parent: parent, Format: 1}}}
	}
	chunk := &erasurev1.ImportRosterRequest{Part: &erasurev1.ImportRosterRequest_Chunk{Chunk: []byte("x")}}
	type messages = []*erasurev1.ImportRosterRequest
	imported := func(rest string) []string { return []string{"roster.import CREATE " + rest} }
	for _, tc := range []struct {
		name   string
		sent   messages
		taken  int // messages that reached the handler
		code   codes.Code
		events []string
	}{
		{"header and pieces", messages{head("controllers/north"), chunk, chunk}, 3, codes.OK, imported("north CALLER OK")},
		{"the header again", messages{head("controllers/north"), head("controllers/north")}, 2, codes.OK, imported("north CALLER OK")},
		{"foreign", messages{head("controllers/south"), chunk}, 0, codes.NotFound, imported(" CALLER DENIED CONTROLLER_NOT_REACHED")},
		{"piece first", messages{chunk, head("controllers/north")}, 0, codes.NotFound, imported(" CALLER INVALID NOT_FOUND")},
		{"another controller later", messages{head("controllers/north"), chunk, head("controllers/south")}, 2, codes.NotFound, imported("north CALLER INVALID NOT_FOUND")},
		{"wrong later", messages{head("controllers/north"), {}}, 1, codes.InvalidArgument, imported("north CALLER INVALID INVALID_ARGUMENT")},
	} {
		taken := 0
		h.roster = func(st grpc.ClientStreamingServer[erasurev1.ImportRosterRequest, erasurev1.Roster]) error {
			for {
				if _, err := st.Recv(); errors.Is(err, io.EOF) {
					return st.SendAndClose(&erasurev1.Roster{})
				} else if err != nil {
					return err
				}
				taken++
			}
		}
		stream, err := client.ImportRoster(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range tc.sent {
			_ = stream.Send(m) // the server may have answered already
		}
		_, err = stream.CloseAndRecv()
		if status.Code(err) != tc.code || taken != tc.taken {
			t.Errorf("%s: %d messages reached the handler, %v; want %d, %v", tc.name, taken, err, tc.taken, tc.code)
		}
		if diff := cmp.Diff(tc.events, brief(s.events())); diff != "" {
			t.Errorf("%s: events (-want +got):\n%s", tc.name, diff)
		}
	}

	h.roster = func(st grpc.ClientStreamingServer[erasurev1.ImportRosterRequest, erasurev1.Roster]) error {
		return st.SendAndClose(&erasurev1.Roster{}) // without having looked at what was asked
	}
	stream, err := client.ImportRoster(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := stream.CloseAndRecv(); status.Code(err) != codes.Internal || r != nil {
		t.Errorf("an answer before a request: %v, %v", r, err)
	}
}
