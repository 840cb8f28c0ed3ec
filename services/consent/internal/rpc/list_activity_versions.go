package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// ListActivityVersions streams the versions of the activities that were valid at some time of a period: those made before its end
// and not replaced before its begin.
func (s *readerServer) ListActivityVersions(req *pb.ListActivityVersionsRequest, stream grpc.ServerStreamingServer[pb.ActivityVersion]) error {
	id, err := parseController("parent", req.GetParent())
	if err != nil {
		return err
	}
	found, err := read(stream.Context(), s.handlers, func(ctx context.Context, q sqldb.Querier) ([]consent.Activity, error) {
		if _, err := s.Store.Revision(ctx, q, id); err != nil {
			return nil, err
		}
		return s.Store.Activities(ctx, q, id, "", everything)
	})
	if err != nil {
		return err
	}
	for _, activity := range found {
		versions, err := s.versions(stream.Context(), activity)
		if err != nil {
			return err
		}
		for _, v := range validIn(versions, req.GetStartTime().AsTime(), req.GetEndTime().AsTime()) {
			if err := stream.Send(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// versions reads all versions of an activity, oldest first. They never change, so they need not be read in one transaction.
func (s *readerServer) versions(ctx context.Context, newest consent.Activity) ([]consent.Activity, error) {
	return read(ctx, s.handlers, func(ctx context.Context, q sqldb.Querier) ([]consent.Activity, error) {
		var out []consent.Activity
		for n := int64(1); n <= newest.Version; n++ {
			v, err := s.Store.ActivityVersion(ctx, q, newest.Controller, newest.ID, n)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	})
}

// validIn picks the versions that were valid at some time from start, included, to end, not included.
func validIn(versions []consent.Activity, start, end time.Time) []*pb.ActivityVersion {
	var out []*pb.ActivityVersion
	for i, v := range versions {
		m := &pb.ActivityVersion{Activity: activityMessage(v)}
		if i+1 < len(versions) {
			replaced := versions[i+1].UpdateTime
			if !replaced.After(start) {
				continue
			}
			m.ReplaceTime = timestamp(replaced)
		}
		if v.UpdateTime.Before(end) {
			out = append(out, m)
		}
	}
	return out
}
