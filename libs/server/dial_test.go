package server_test

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/server"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
)

// elsewhere connects to an address at which nobody listens yet, and gives what makes the server answer there.
func (s *suite) elsewhere(service string) (conn *grpc.ClientConn, open func()) {
	s.tb.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.tb.Fatal(err)
	}
	address := lis.Addr().String()
	lis.Close()
	files, err := s.authority.Issue(service)
	if err != nil {
		s.tb.Fatal(err)
	}
	conn, err = server.Dial(server.Peer{Service: "consent", Address: address}, files, s.tel)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { conn.Close() })
	return conn, func() {
		lis, err := net.Listen("tcp", address)
		if err != nil {
			s.tb.Error(err)
			return
		}
		s.tb.Cleanup(func() { lis.Close() })
		go forward(lis, s.address)
	}
}

// forward passes connections on until the listener closes.
func forward(lis net.Listener, address string) {
	for {
		from, err := lis.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", address)
		if err != nil {
			from.Close()
			continue
		}
		for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
			go func() {
				_, _ = io.Copy(pair[0], pair[1])
				pair[0].Close()
			}()
		}
	}
}

// TestCallsWaitForAReplica: a call that has not left waits a moment, and no longer, for somebody to take it.
func TestCallsWaitForAReplica(t *testing.T) {
	t.Parallel()
	s := start(t, &handlers{}, nil)
	conn, open := s.elsewhere("erasure")
	began := time.Now()
	if err := snapshot(t, conn); status.Code(err) != codes.Unavailable || time.Since(began) > 1500*time.Millisecond {
		t.Errorf("nobody there: %v after %s", err, time.Since(began))
	}
	time.AfterFunc(400*time.Millisecond, open)
	if err := snapshot(t, conn); err != nil {
		t.Errorf("somebody came: %v", err)
	}

	conn, open = s.elsewhere("erasure")
	time.AfterFunc(400*time.Millisecond, open)
	ctx, cancel := context.WithTimeout(as(t.Context(), s.token("dpo", "north")), 5*time.Second)
	defer cancel()
	stream, err := erasurev1.NewErasuresClient(conn).WatchErasure(ctx, &erasurev1.WatchErasureRequest{Name: "controllers/north/erasures/01980f0e-0000-7000-8000-000000000001"})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) == codes.Unavailable {
		t.Errorf("a stream: %v", err)
	}
}

// TestAnsweredCallsAreNotMadeAgain: that a service is not available is an answer too.
func TestAnsweredCallsAreNotMadeAgain(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	s := start(t, &handlers{snapshot: func(context.Context) error {
		calls.Add(1)
		return fault.New(fault.Unavailable, "STORE_UNAVAILABLE", "Away.")
	}}, nil)
	if err := snapshot(t, s.dial("erasure")); !fault.Is(server.Fault(err), "STORE_UNAVAILABLE") || calls.Load() != 1 {
		t.Errorf("%d calls: %v", calls.Load(), err)
	}
}
