package rpc

import (
	"time"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/services/export/internal/export"

	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

// watchPoll is how often a watched export is looked at, for changes that another replica makes.
const watchPoll = time.Second

// WatchExport sends the export now and after each change, until it is finished. Changes that come close together may be sent
// as one; the last is always sent.
func (s *Server) WatchExport(req *exportv1.WatchExportRequest, stream grpc.ServerStreamingServer[exportv1.Export]) error {
	ctx := stream.Context()
	w, err := s.find(ctx, req.GetName())
	if err != nil {
		return err
	}
	changed, stop := s.Changes.Watch(w.Ref)
	defer stop()
	poll := time.NewTicker(watchPoll)
	defer poll.Stop()
	for sent := int64(-1); ; {
		if w.Version != sent {
			if err := stream.Send(message(&w.Export)); err != nil {
				return err
			}
			sent = w.Version
		}
		if w.Finished() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-poll.C:
		}
		if w, err = s.reread(stream, w.Ref); err != nil {
			return err
		}
	}
}

func (s *Server) reread(stream grpc.ServerStream, ref export.Ref) (*export.Work, error) {
	w, err := s.Store.Get(stream.Context(), ref)
	return w, answer(err)
}
