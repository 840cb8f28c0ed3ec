package gateway

import (
	"context"
	"errors"
	"sync/atomic"

	"google.golang.org/grpc"
)

const (
	// callLanes are connections for calls: one alone is the bottleneck where many are under way.
	callLanes = 2
	// streamLanes are connections for watches and downloads. A service takes a hundred streams on one connection, and a watch holds
	// its place for hours: on connections of their own they keep no call waiting.
	streamLanes = 8
)

// lanes are the connections to one service.
type lanes struct {
	calls, streams []*grpc.ClientConn
	next           atomic.Uint64
}

// openLanes makes connections, each with dial.
func openLanes(dial func() (*grpc.ClientConn, error)) (*lanes, error) {
	l := &lanes{}
	for n := range callLanes + streamLanes {
		conn, err := dial()
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		if n < callLanes {
			l.calls = append(l.calls, conn)
		} else {
			l.streams = append(l.streams, conn)
		}
	}
	return l, nil
}

// Invoke makes a call.
func (l *lanes) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return l.calls[l.next.Add(1)%callLanes].Invoke(ctx, method, args, reply, opts...)
}

// NewStream opens a watch or a download.
func (l *lanes) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return l.streams[l.next.Add(1)%streamLanes].NewStream(ctx, desc, method, opts...)
}

func (l *lanes) close() error {
	var errs []error
	for _, conn := range append(l.calls, l.streams...) {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}
