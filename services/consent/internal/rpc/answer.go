package rpc

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typepb "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// question is a question about a person.
type question struct {
	consent.Question
	refs []consent.SubjectRef
	// seen is the revision that the answer must not be older than; 0 where none was named.
	seen consent.Revision
}

// answered is a decision with what it was decided on.
type answered struct {
	question
	consent.Decision
	id  string
	at  time.Time
	rev consent.Revision
}

// question reads a request. Every check reads the newest state, so that a request for full consistency asks for nothing more.
func (s *basisServer) question(controller consent.ControllerID, req *pb.CheckLegalBasisRequest) (q question, err error) {
	if token := req.GetConsistency().GetToken(); token != "" {
		if q.seen, err = s.tokens.Read(controller, token); err != nil {
			return q, err
		}
	}
	q.Question = consent.Question{Activity: consent.ActivityID(req.GetActivity()), Recipient: req.GetRecipient(),
		DataCategories: req.GetDataCategories(), Location: req.GetLocation()}
	q.refs = s.refs(controller, req.GetSubject(), req.GetSubjects())
	return q, nil
}

// answer decides questions on one snapshot and records the decisions, all or none, before it gives them.
func (s *basisServer) answer(ctx context.Context, controller consent.ControllerID, questions []question) ([]*pb.Decision, error) {
	outbox.About(ctx, controllerName(controller))
	decided, err := read(ctx, s.handlers, func(ctx context.Context, q sqldb.Querier) ([]answered, error) {
		return s.decide(ctx, q, controller, questions)
	})
	if err != nil {
		return nil, err
	}
	events := make([]outbox.Event, len(decided))
	for i, d := range decided {
		events[i] = decisionEvent(controller, d)
	}
	if err := s.Recorder.Record(ctx, events...); err != nil {
		return nil, err
	}
	return messages(decided, func(d answered) *pb.Decision { return s.decisionMessage(controller, d) }), nil
}

// decide reads what each question needs from one snapshot, and decides.
func (s *basisServer) decide(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, questions []question) ([]answered, error) {
	rev, err := s.Store.Revision(ctx, q, controller)
	if err != nil {
		return nil, err
	}
	activities := map[consent.ActivityID]*consent.Activity{}
	now := s.now()
	out := make([]answered, len(questions))
	for i, question := range questions {
		snapshot, err := s.snapshot(ctx, q, controller, question, activities)
		if err != nil {
			return nil, err
		}
		snapshot.Now, snapshot.Stale = now, question.seen > rev
		out[i] = answered{question, consent.Decide(question.Question, snapshot), s.NewID(), now, rev}
	}
	return out, nil
}

// snapshot reads what is known of one question. Activities is what was read for the questions before it.
func (s *basisServer) snapshot(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, question question, activities map[consent.ActivityID]*consent.Activity) (snap consent.Snapshot, err error) {
	known := false
	if snap.Activity, known = activities[question.Activity]; !known {
		if snap.Activity, err = s.activity(ctx, q, controller, question.Activity); err != nil {
			return snap, err
		}
		activities[question.Activity] = snap.Activity
	}
	if snap.Erased, err = s.Store.Erased(ctx, q, controller, question.refs); err != nil {
		return snap, err
	}
	if snap.Activity != nil && snap.Activity.Basis == consent.BasisConsent {
		snap.Consent, err = s.Store.Standing(ctx, q, controller, question.Activity, question.refs)
	}
	return snap, err
}

// activity reads an activity, nil where the controller has none with that id.
func (h *handlers) activity(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, id consent.ActivityID) (*consent.Activity, error) {
	a, err := h.Store.Activity(ctx, q, controller, id)
	switch {
	case err == nil:
		return &a, nil
	case fault.From(err).Kind() == fault.NotFound:
		return nil, nil
	}
	return nil, err
}

func decisionEvent(controller consent.ControllerID, d answered) outbox.Event {
	detail := map[string]string{
		"decision": outcome(d.Decision).String(), "reason": string(d.Reason), "activity": string(d.Activity),
		"version": strconv.FormatInt(d.Version, 10),
	}
	if d.Recipient != "" {
		detail["recipient"] = d.Recipient
	}
	if d.Consent != "" {
		detail["consent"] = string(d.Consent)
	}
	return outbox.Event{ID: d.id, Resource: activityName(controller, d.Activity), SubjectRefs: texts(d.refs), Detail: detail}
}

func (s *basisServer) decisionMessage(controller consent.ControllerID, d answered) *pb.Decision {
	text := consent.Explain(d.Decision)
	m := &pb.Decision{
		Decision: outcome(d.Decision), Reason: pb.Decision_Reason(pb.Decision_Reason_value[string(d.Reason)]), LegalBasis: basisMessage(d.Basis),
		Activity: string(d.Activity), ActivityVersion: d.Version, DecisionId: d.id, DecidedAt: timestamppb.New(d.at),
		ConsistencyToken: s.tokens.Make(controller, d.rev), Explanation: &typepb.LocalizedText{Da: text.DA, En: text.EN},
	}
	if d.Consent != "" {
		m.Consent = consentName(controller, d.Consent)
	}
	return m
}

func outcome(d consent.Decision) pb.Decision_Outcome {
	if d.Allowed {
		return pb.Decision_ALLOW
	}
	return pb.Decision_DENY
}
