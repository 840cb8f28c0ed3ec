package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// everything is more activities or systems than a controller has: a snapshot is the whole register.
const everything = 1 << 30

// GetSnapshot reads a controller with its activities and systems as they stand at one moment.
func (s *readerServer) GetSnapshot(ctx context.Context, req *pb.GetSnapshotRequest) (*pb.Snapshot, error) {
	id, err := parseController("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	return read(ctx, s.handlers, func(ctx context.Context, q sqldb.Querier) (*pb.Snapshot, error) {
		c, err := s.Store.Controller(ctx, q, id)
		if err != nil {
			return nil, err
		}
		activities, err := s.Store.Activities(ctx, q, id, "", everything)
		if err != nil {
			return nil, err
		}
		systems, err := s.Store.Systems(ctx, q, id, "", everything)
		if err != nil {
			return nil, err
		}
		return &pb.Snapshot{Controller: controllerMessage(c), Activities: messages[consent.Activity](activities, activityMessage),
			Systems: messages[consent.System](systems, systemMessage)}, nil
	})
}
