package rpc

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/memory"
)

// momentOf reads the moment in the past that a question is about; nil where it is about now.
func (s *basisServer) momentOf(req *pb.CheckLegalBasisRequest) (*consent.Moment, error) {
	switch {
	case req.GetAsOf() == nil && req.GetKnownAt() == nil:
		return nil, nil
	case req.GetAsOf() == nil:
		return nil, notTogether("known_at", "KNOWN_AT_WITHOUT_AS_OF", "What was known at a time is asked about a moment. Name the moment in as_of, too.")
	case req.GetConsistency() != nil:
		return nil, notTogether("consistency", "AS_OF_WITH_CONSISTENCY", "An answer about the past is always read from the register itself. Leave out consistency, or as_of.")
	case req.GetSigned():
		return nil, notTogether("signed", "AS_OF_WITH_SIGNED", "A signed answer lets somebody process data now, so none is given about the past. Leave out signed, or as_of.")
	}
	now := s.now()
	m := consent.Moment{KnownAt: now}
	var err error
	if m.AsOf, err = moment("as_of", req.GetAsOf()); err != nil {
		return nil, err
	}
	if req.GetKnownAt() != nil {
		if m.KnownAt, err = moment("known_at", req.GetKnownAt()); err != nil {
			return nil, err
		}
	}
	return &m, m.Check(now)
}

func notTogether(field, reason, message string) error {
	return fault.New(fault.Invalid, reason, message).WithViolations([]fault.Violation{{Field: field, Description: message}})
}

// decideAll decides questions about now and about the past, in their order.
func (s *basisServer) decideAll(ctx context.Context, controller consent.ControllerID, questions []question) ([]answered, error) {
	var present, past []question
	for _, q := range questions {
		if q.past == nil {
			present = append(present, q)
		} else {
			past = append(past, q)
		}
	}
	if len(past) == 0 {
		return s.decide(ctx, controller, questions)
	}
	then, err := s.decidePast(ctx, controller, past)
	if err != nil {
		return nil, err
	}
	var now []answered
	if len(present) > 0 {
		if now, err = s.decide(ctx, controller, present); errors.Is(err, memory.ErrUnproven) {
			now, err = s.refuse(present), nil
		}
	}
	if err != nil {
		return nil, err
	}
	out := make([]answered, 0, len(questions))
	for _, q := range questions {
		from := &now
		if q.past != nil {
			from = &then
		}
		out, *from = append(out, (*from)[0]), (*from)[1:]
	}
	return out, nil
}

// decidePast decides questions about moments in the past, each from everything that is on record, on one state of the database.
// Memory is for what holds now and has no part in it.
func (s *basisServer) decidePast(ctx context.Context, controller consent.ControllerID, questions []question) ([]answered, error) {
	return read(ctx, s.handlers, func(ctx context.Context, q sqldb.Querier) ([]answered, error) {
		rev, err := s.Store.Revision(ctx, q, controller)
		if err != nil {
			return nil, err
		}
		now, out := s.now(), make([]answered, len(questions))
		for i, asked := range questions {
			history, err := s.Store.History(ctx, q, controller, asked.Activity, asked.refs)
			if err != nil {
				return nil, err
			}
			snapshot := consent.SnapshotAt(history, asked.refs, *asked.past)
			out[i] = answered{question: asked, Decision: consent.Decide(asked.Question, snapshot), id: s.NewID(), at: now, rev: rev}
		}
		return out, nil
	})
}

// recordAnswers makes decisions durable, all or none: those about now packed with those of other calls, and where one is about the
// past, each as an event of its own, which says what moment it is about.
func (s *basisServer) recordAnswers(ctx context.Context, controller consent.ControllerID, decided []answered) error {
	if slices.ContainsFunc(decided, func(d answered) bool { return d.aboutThePast() }) {
		return s.Recorder.Record(ctx, decisionEvents(controller, decided)...)
	}
	return s.Recorder.RecordDecisions(ctx, answers(controller, decided)...)
}

// aboutThePast reports whether a question is about a moment in the past. Of such a question it cannot be said that it is denied
// for want of freshness: that would be a false statement about what held then.
func (q question) aboutThePast() bool { return q.past != nil }

// tellMoment adds to the detail of a decision's event which moment it is about.
func (q question) tellMoment(detail map[string]string) {
	if q.past != nil {
		detail["as_of"], detail["known_at"] = q.past.AsOf.Format(time.RFC3339Nano), q.past.KnownAt.Format(time.RFC3339Nano)
	}
}
