package rpc

import (
	"time"

	"google.golang.org/grpc"

	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
)

// WatchErasure sends the erasure now and after each change, until it has ended or the caller goes.
func (s *Server) WatchErasure(req *erasurev1.WatchErasureRequest, stream grpc.ServerStreamingServer[erasurev1.Erasure]) error {
	ctx := stream.Context()
	tick := time.NewTicker(s.WatchEvery)
	defer tick.Stop()
	seen := int64(-1)
	for {
		e, err := s.read(ctx, req.GetName())
		if err != nil {
			return err
		}
		if e.Revision != seen {
			seen = e.Revision
			if err := stream.Send(erasureMessage(e)); err != nil {
				return err
			}
		}
		if e.State.Final() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
