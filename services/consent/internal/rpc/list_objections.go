package rpc

import (
	"context"
	"strconv"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/page"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// ListObjections lists the objections of one controller, newest first.
func (s *rightsServer) ListObjections(ctx context.Context, req *pb.ListObjectionsRequest) (*pb.ListObjectionsResponse, error) {
	controller, err := parseController("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	found, next, err := newestFirst(ctx, s.handlers, controller, pb.Rights_ListObjections_FullMethodName, req, s.Store.Objections,
		func(o consent.Objection) consent.Revision { return o.CreateRevision })
	if err != nil {
		return nil, err
	}
	resp := &pb.ListObjectionsResponse{NextPageToken: next}
	shown := make([]consent.SubjectRef, 0, len(found))
	for _, o := range found {
		m, err := s.openedObjection(o)
		if err != nil {
			return nil, err
		}
		resp.Objections = append(resp.Objections, m)
		shown = append(shown, o.Subjects...)
	}
	outbox.About(ctx, controllerName(controller), witnessed(shown)...)
	outbox.Detail(ctx, "shown", strconv.Itoa(len(found)))
	return resp, nil
}

// pageRequest asks for a page of a list.
type pageRequest interface {
	GetPageSize() int32
	GetPageToken() string
}

// newestFirst reads one page of a list that goes from the newest revision back. Made gives the revision at which an item was made.
func newestFirst[T any](ctx context.Context, h *handlers, controller consent.ControllerID, method string, req pageRequest,
	list func(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, before consent.Revision, limit int) ([]T, error),
	made func(T) consent.Revision,
) ([]T, string, error) {
	l, err := h.listing(page.Binding{Controller: string(controller), Method: method}, req.GetPageSize(), req.GetPageToken())
	if err != nil {
		return nil, "", err
	}
	before, err := revisionOf(l.after)
	if err != nil {
		return nil, "", err
	}
	outbox.About(ctx, controllerName(controller))
	found, err := read(ctx, h, func(ctx context.Context, q sqldb.Querier) ([]T, error) {
		if _, err := h.Store.Revision(ctx, q, controller); err != nil {
			return nil, err
		}
		return list(ctx, q, controller, before, l.size+1)
	})
	if err != nil {
		return nil, "", err
	}
	return cut(l, found, func(v T) string { return strconv.FormatInt(int64(made(v)), 10) })
}

// revisionOf reads the cursor of a page; 0 for the first one.
func revisionOf(cursor string) (consent.Revision, error) {
	if cursor == "" {
		return 0, nil
	}
	rev, err := strconv.ParseInt(cursor, 10, 64)
	return consent.Revision(rev), err
}
