package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// ArchiveActivity ends an activity with a last version. An activity that has ended stays as it is, whichever etag comes
// with the repetition: the etag of the version before is what a caller has who did not get the first answer.
func (s *registerServer) ArchiveActivity(ctx context.Context, req *pb.ArchiveActivityRequest) (*pb.Activity, error) {
	controller, id, err := parseActivity("name", req.GetName())
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, activityName(controller, id))
	return write(ctx, s.handlers, controller, func(ctx context.Context, tx sqldb.Tx, rev consent.Revision) (*pb.Activity, error) {
		a, err := s.Store.Activity(ctx, tx, controller, id)
		switch {
		case err != nil:
			return nil, err
		case a.Archived:
			return activityMessage(a), nil
		}
		if err := consent.MatchETag(req.GetEtag(), a.ETag()); err != nil {
			return nil, err
		}
		before := activityMessage(a)
		a.Archived = true
		a.Version++
		return s.addVersion(ctx, tx, before, a, rev)
	})
}
