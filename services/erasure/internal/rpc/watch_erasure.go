package rpc

import (
	"time"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/outbox"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

// WatchErasure sends the erasure now and after each change, until it has ended or the caller goes.
func (s *Server) WatchErasure(req *erasurev1.WatchErasureRequest, stream grpc.ServerStreamingServer[erasurev1.Erasure]) error {
	ctx := stream.Context()
	c, id := parseName(req.GetName())
	tick := time.NewTicker(s.WatchEvery)
	defer tick.Stop()
	seen := int64(-1)
	for {
		e, err := s.Store.Get(ctx, erasure.ControllerID(c), erasure.ID(id))
		if ctx.Err() != nil {
			return nil // the caller went: that is how a watch ends
		}
		if err != nil {
			return found(err)
		}
		if seen < 0 {
			outbox.About(ctx, e.Name(), e.Named()...)
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
			return nil
		case <-tick.C:
		}
	}
}
