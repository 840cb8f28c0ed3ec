package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// ResolveObjection decides an objection. One that was decided so before stays as it is, with the reason that was given then.
func (s *rightsServer) ResolveObjection(ctx context.Context, req *pb.ResolveObjectionRequest) (*pb.Objection, error) {
	controller, id, err := parseObjection("name", req.GetName())
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, objectionName(controller, id))
	outcome := consent.ObjectionState(req.GetOutcome().String())
	return write(ctx, s.handlers, controller, func(ctx context.Context, tx sqldb.Tx, rev consent.Revision) (*pb.Objection, error) {
		o, err := s.Store.Objection(ctx, tx, controller, id)
		if err != nil {
			return nil, err
		}
		outbox.About(ctx, objectionName(controller, id), texts(o.Subjects)...)
		a, err := s.Store.Activity(ctx, tx, controller, o.Activity)
		if err != nil {
			return nil, err
		}
		decided, changed, err := o.Resolve(outcome, a, s.now(), rev)
		if err != nil {
			return nil, err
		}
		if !changed {
			return s.openedObjection(o)
		}
		return s.resolve(ctx, tx, rev, o, decided, req.GetReason())
	})
}

func (s *rightsServer) resolve(ctx context.Context, tx sqldb.Tx, rev consent.Revision, before, o consent.Objection, reason string) (*pb.Objection, error) {
	said, err := s.resolution(ctx, tx, &o, reason)
	if err != nil {
		return nil, err
	}
	if err := s.Store.ResolveObjection(ctx, tx, o); err != nil {
		return nil, err
	}
	change := consent.Change{Controller: o.Controller, Revision: rev, Kind: consent.Resolving, Activity: o.Activity, Subjects: o.Subjects}
	return s.objectionMessage(o, said), s.record(ctx, tx, change, s.objectionEvent(&before, o))
}

// resolution seals the reason with what the person said. Of a person who was erased nothing is written down any more.
func (s *rightsServer) resolution(ctx context.Context, tx sqldb.Tx, o *consent.Objection, reason string) (words, error) {
	erased, err := s.erased(ctx, tx, o.Controller, o.Subjects)
	if err != nil || erased {
		return words{}, err
	}
	name := objectionName(o.Controller, o.ID)
	said, err := s.unseal(name, o.Words)
	if err != nil {
		return said, err
	}
	said.Resolution = reason
	o.Words, err = s.seal(name, o.Words, said)
	return said, err
}
