package rpc

import (
	"context"
	"slices"
	"strconv"

	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// LinkSubjects says that identifiers are one person's.
func (s *consentsServer) LinkSubjects(ctx context.Context, req *pb.LinkSubjectsRequest) (*pb.LinkSubjectsResponse, error) {
	controller, err := parseController("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, subjectsName(controller), texts(s.refs(controller, nil, req.GetSubjects()))...)
	once := idempotency.Request{Controller: string(controller), Method: pb.Consents_LinkSubjects_FullMethodName, ID: req.GetRequestId(), Body: req}
	return idempotency.Once(ctx, s.Replies, once, &pb.LinkSubjectsResponse{}, func(ctx context.Context, tx sqldb.Tx) (*pb.LinkSubjectsResponse, error) {
		rev, err := s.Store.Advance(ctx, tx, controller)
		if err != nil {
			return nil, err
		}
		c, err := s.Store.Controller(ctx, tx, controller)
		if err != nil {
			return nil, err
		}
		return s.link(ctx, tx, c, s.naming(c, req, rev))
	})
}

// naming reads a request: which identifiers are primary is known only here, where their types are.
func (s *consentsServer) naming(c consent.Controller, req *pb.LinkSubjectsRequest, rev consent.Revision) consent.Naming {
	n := consent.Naming{Revision: rev, Time: s.now(), Subjects: s.refs(c.ID, nil, req.GetSubjects())}
	for _, one := range req.GetSubjects() {
		ref := s.refs(c.ID, one, nil)[0]
		if one.GetType().String() == c.PrimaryIdentifierType && !slices.Contains(n.Primary, ref) {
			n.Primary = append(n.Primary, ref)
		}
	}
	return n
}

func (s *consentsServer) link(ctx context.Context, tx sqldb.Tx, c consent.Controller, n consent.Naming) (*pb.LinkSubjectsResponse, error) {
	before, err := s.Store.Namings(ctx, tx, c.ID, n.Subjects)
	if err != nil {
		return nil, err
	}
	named := slices.Clone(n.Subjects)
	for _, b := range before {
		named = append(named, b.Subjects...)
	}
	slices.Sort(named)
	known, err := s.Store.Links(ctx, tx, c.ID, slices.Compact(named))
	if err != nil {
		return nil, err
	}
	u, err := consent.LinkTogether(n, before, known)
	if err != nil {
		return nil, err
	}
	answer := &pb.LinkSubjectsResponse{SubjectRefs: texts(u.Subjects), SharedRefs: texts(u.Shared), ConsistencyToken: s.tokens.Make(c.ID, n.Revision)}
	if len(u.Naming.Subjects)+len(u.Changed) == 0 {
		return answer, nil // it was known already
	}
	if err := s.Store.AddUnion(ctx, tx, c.ID, u); err != nil {
		return nil, err
	}
	if err := s.forgetErased(ctx, tx, c.ID, u.Subjects); err != nil {
		return nil, err
	}
	change := consent.Change{Controller: c.ID, Revision: n.Revision, Kind: consent.Linking, Subjects: u.Touched}
	detail := map[string]string{"linked": strconv.Itoa(len(u.Subjects)), "shared": strconv.Itoa(len(u.Shared))}
	was, now := u.Recorded(n.Subjects, known)
	return answer, s.record(ctx, tx, change, outbox.Event{Resource: subjectsName(c.ID), SubjectRefs: witnessed(n.Subjects), Detail: detail, Before: was, After: now})
}

// subjectsName names a controller's people together: whom an event is about is said by its pseudonyms.
func subjectsName(c consent.ControllerID) string { return controllerName(c) + "/subjects" }

// forgetErased destroys what somebody has said under an identifier of which it was not known that it is an erased person's.
func (s *consentsServer) forgetErased(ctx context.Context, tx sqldb.Tx, controller consent.ControllerID, refs []consent.SubjectRef) error {
	if len(refs) == 0 {
		return nil
	}
	erased, err := s.Store.Erased(ctx, tx, controller, refs)
	if err != nil || !erased {
		return err
	}
	return s.Store.ForgetWords(ctx, tx, controller, refs)
}
