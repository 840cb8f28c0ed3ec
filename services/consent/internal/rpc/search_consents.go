package rpc

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/page"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// SearchConsents lists a person's consents, newest first.
func (s *consentsServer) SearchConsents(ctx context.Context, req *pb.SearchConsentsRequest) (*pb.SearchConsentsResponse, error) {
	controller, err := parseController("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	refs := s.refs(controller, req.GetSubject(), req.GetSubjects())
	l, before, err := s.search(controller, refs, req)
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, controllerName(controller), texts(refs)...)
	found, err := read(ctx, s.handlers, func(ctx context.Context, q sqldb.Querier) ([]consent.Consent, error) {
		if _, err := s.Store.Revision(ctx, q, controller); err != nil {
			return nil, err
		}
		all, err := s.expanded(ctx, q, controller, refs)
		if err != nil {
			return nil, err
		}
		return s.Store.ConsentsOf(ctx, q, controller, all, before, l.size+1)
	})
	if err != nil {
		return nil, err
	}
	found, next, err := cut(l, found, func(c consent.Consent) string { return strconv.FormatInt(int64(c.GiveRevision), 10) })
	if err != nil {
		return nil, err
	}
	return &pb.SearchConsentsResponse{Consents: messages(found, s.consentMessage), NextPageToken: next}, nil
}

// search reads where the page begins: before the revision of the last consent on the page before it. A token is good for
// the same identifiers only, in whatever order they are named.
func (s *consentsServer) search(controller consent.ControllerID, refs []consent.SubjectRef, req *pb.SearchConsentsRequest) (listing, consent.Revision, error) {
	filter := texts(refs)
	slices.Sort(filter)
	l, err := s.listing(page.Binding{Controller: string(controller), Method: pb.Consents_SearchConsents_FullMethodName,
		Filter: strings.Join(filter, " ")}, req.GetPageSize(), req.GetPageToken())
	if err != nil || l.after == "" {
		return l, 0, err
	}
	before, err := strconv.ParseInt(l.after, 10, 64)
	return l, consent.Revision(before), err
}
