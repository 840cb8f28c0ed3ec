package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// WithdrawConsentOf withdraws a person's consent to an activity without knowing the consent's name: every consent to it
// that was given under any of the identifiers, or under one that is linked to them.
func (s *consentsServer) WithdrawConsentOf(ctx context.Context, req *pb.WithdrawConsentOfRequest) (*pb.Consent, error) {
	controller, err := parseController("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	refs := s.refs(controller, req.GetSubject(), req.GetSubjects())
	outbox.About(ctx, activityName(controller, consent.ActivityID(req.GetActivity())), texts(refs)...)
	return write(ctx, s.handlers, controller, func(ctx context.Context, tx sqldb.Tx, rev consent.Revision) (*pb.Consent, error) {
		all, err := s.expanded(ctx, tx, controller, refs)
		if err != nil {
			return nil, err
		}
		named, err := s.Store.ConsentsTo(ctx, tx, controller, consent.ActivityID(req.GetActivity()), all)
		switch {
		case err != nil:
			return nil, err
		case len(named) == 0:
			return nil, fault.Missing()
		}
		return s.withdraw(ctx, tx, rev, named)
	})
}
