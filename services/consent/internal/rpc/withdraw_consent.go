package rpc

import (
	"context"
	"slices"
	"strconv"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// WithdrawConsent withdraws one consent, at once (GDPR art. 7(3)).
func (s *consentsServer) WithdrawConsent(ctx context.Context, req *pb.WithdrawConsentRequest) (*pb.Consent, error) {
	controller, id, err := parseConsent("name", req.GetName())
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, consentName(controller, id))
	return write(ctx, s.handlers, controller, func(ctx context.Context, tx sqldb.Tx, rev consent.Revision) (*pb.Consent, error) {
		c, err := s.Store.Consent(ctx, tx, controller, id)
		if err != nil {
			return nil, err
		}
		return s.withdraw(ctx, tx, rev, []consent.Consent{c})
	})
}

// withdraw ends the named consents, which are of one activity, and those that go with them; it gives the named one with
// the latest act. Where all are withdrawn already nothing changes, and the call's event is left to the interceptor.
func (s *consentsServer) withdraw(ctx context.Context, tx sqldb.Tx, rev consent.Revision, named []consent.Consent) (*pb.Consent, error) {
	refs := subjectsOf(named)
	outbox.About(ctx, consentName(named[0].Controller, named[0].ID), witnessed(refs)...)
	linked, links, err := s.alongside(ctx, tx, named[0], refs)
	if err != nil {
		return nil, err
	}
	now, ending := s.now(), consent.Withdrawing(named, linked, links)
	if len(ending) == 0 {
		return s.consentMessage(latest(named)), nil
	}
	if err := s.Store.Withdraw(ctx, tx, named[0].Controller, ending, now, rev); err != nil {
		return nil, err
	}
	before := slices.Clone(named)
	for i := range named {
		if named[i].WithdrawRevision == 0 {
			named[i].WithdrawTime, named[i].WithdrawRevision = now, rev
		}
	}
	answer := latest(named)
	detail := map[string]string{"activity": string(answer.Activity), "withdrawn": strconv.Itoa(len(ending))}
	change := consent.Change{Controller: answer.Controller, Revision: rev, Kind: consent.Withdrawal, Activity: answer.Activity,
		Consents: ending, Subjects: subjectsOf(slices.DeleteFunc(slices.Concat(named, linked), func(c consent.Consent) bool {
			return !slices.Contains(ending, c.ID)
		}))}
	return s.consentMessage(answer), s.record(ctx, tx, change, outbox.Event{Resource: consentName(answer.Controller, answer.ID), SubjectRefs: witnessed(refs), Detail: detail,
		Before: s.recordedConsent(before[slices.IndexFunc(before, func(c consent.Consent) bool { return c.ID == answer.ID })]), After: s.recordedConsent(answer)})
}

// alongside reads the consents to the same activity that were given under any of the refs, or under what is linked to one, and whose
// all their identifiers are.
func (s *consentsServer) alongside(ctx context.Context, tx sqldb.Tx, c consent.Consent, refs []consent.SubjectRef) ([]consent.Consent, consent.Links, error) {
	all, err := s.expanded(ctx, tx, c.Controller, refs)
	if err != nil {
		return nil, nil, err
	}
	found, err := s.Store.ConsentsTo(ctx, tx, c.Controller, c.Activity, all)
	if err != nil {
		return nil, nil, err
	}
	links, err := s.Store.Links(ctx, tx, c.Controller, append(subjectsOf(found), refs...))
	return found, links, err
}

// subjectsOf lists the pseudonyms of consents, each once.
func subjectsOf(list []consent.Consent) []consent.SubjectRef {
	var refs []consent.SubjectRef
	for _, c := range list {
		refs = append(refs, c.Subjects...)
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}

// latest is the consent with the latest act; of those withdrawn together, the one that was given last.
func latest(list []consent.Consent) consent.Consent {
	return slices.MaxFunc(list, func(a, b consent.Consent) int {
		if a.LastAct() != b.LastAct() {
			return int(a.LastAct() - b.LastAct())
		}
		return int(a.GiveRevision - b.GiveRevision)
	})
}
