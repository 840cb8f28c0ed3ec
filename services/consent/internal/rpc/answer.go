package rpc

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typepb "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/memory"
)

// question is a question about a person.
type question struct {
	consent.Question
	refs []consent.SubjectRef
	// signed: the answer is to be signed.
	signed bool
	memory.Freshness
	// trace in which it was asked, where that is not the call's.
	trace trace.TraceID
	// past is the moment it is about; nil: now.
	past *consent.Moment
}

// answered is a decision with what it was decided on.
type answered struct {
	question
	consent.Decision
	id string
	at time.Time
	// rev is what was known when it was decided; 0 where that could not be told.
	rev consent.Revision
}

// question reads a request.
func (s *basisServer) question(controller consent.ControllerID, req *pb.CheckLegalBasisRequest) (q question, err error) {
	if q.past, err = s.momentOf(req); err != nil {
		return q, err
	}
	if token := req.GetConsistency().GetToken(); token != "" {
		if q.Seen, err = s.tokens.Read(controller, token); err != nil {
			return q, err
		}
	}
	q.Full = req.GetConsistency().GetFull()
	q.Question = consent.Question{Activity: consent.ActivityID(req.GetActivity()), Recipient: req.GetRecipient(),
		DataCategories: req.GetDataCategories(), Location: req.GetLocation()}
	q.refs, q.signed = s.refs(controller, req.GetSubject(), req.GetSubjects()), req.GetSigned()
	return q, nil
}

// answer decides questions on one state and records the decisions, all or none, before it gives them. While the database does
// not answer, nothing can be shown to hold and everything is denied; such a refusal is recorded as soon as the database is back.
// Where the past was asked about, the error is given instead.
func (s *basisServer) answer(ctx context.Context, controller consent.ControllerID, questions []question) ([]*pb.Decision, error) {
	outbox.About(ctx, controllerName(controller))
	decided, err := s.decideAll(ctx, controller, questions)
	if err == nil {
		err = s.recordAnswers(ctx, controller, decided)
	}
	unknowable := errors.Is(err, memory.ErrUnproven) || errors.Is(err, sqldb.ErrUnavailable)
	if unknowable && !slices.ContainsFunc(questions, question.aboutThePast) {
		decided = s.refuse(questions)
		err = s.Outbox.Later(ctx, decisionEvents(controller, decided)...)
	}
	if err != nil {
		return nil, err
	}
	out := messages(decided, func(d answered) *pb.Decision { return s.decisionMessage(controller, d) })
	return out, s.sign(controller, decided, out)
}

// decide decides all questions on one state, which is as fresh as the most demanding of them asks for.
func (s *basisServer) decide(ctx context.Context, controller consent.ControllerID, questions []question) ([]answered, error) {
	asked, demand := make([]memory.Asked, len(questions)), memory.Freshness{}
	for i, q := range questions {
		asked[i] = memory.Asked{Activity: q.Activity, Subjects: q.refs}
		demand.Seen, demand.Full = max(demand.Seen, q.Seen), demand.Full || q.Full
	}
	known, rev, err := s.Memory.Snapshot(ctx, controller, asked, demand)
	if err != nil {
		return nil, err
	}
	now, out := s.now(), make([]answered, len(questions))
	for i, q := range questions {
		snapshot := consent.SnapshotOf(known[i].Activity, known[i].People, now)
		snapshot.Stale = q.Seen > rev
		out[i] = answered{q, consent.Decide(q.Question, snapshot), s.NewID(), now, rev}
	}
	return out, nil
}

// refuse answers questions of which nothing can be known.
func (s *basisServer) refuse(questions []question) []answered {
	now, out := s.now(), make([]answered, len(questions))
	for i, q := range questions {
		out[i] = answered{q, consent.Decision{Reason: consent.FreshnessUnprovable}, s.NewID(), now, 0}
	}
	return out
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

// answers are decisions as they are recorded together with those of other calls.
func answers(controller consent.ControllerID, decided []answered) []outbox.Answer {
	out := make([]outbox.Answer, len(decided))
	for i, d := range decided {
		out[i] = outbox.Answer{ID: d.id, Controller: string(controller), Subjects: texts(d.refs), Activity: string(d.Activity), Version: d.Version,
			Allowed: d.Allowed, Reason: string(d.Reason), Recipient: d.Recipient, Consent: string(d.Consent), Time: d.at, Trace: d.trace}
	}
	return out
}

func decisionEvents(controller consent.ControllerID, decided []answered) []outbox.Event {
	events := make([]outbox.Event, len(decided))
	for i, d := range decided {
		events[i] = decisionEvent(controller, d)
	}
	return events
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
	d.tellMoment(detail)
	return outbox.Event{ID: d.id, Resource: activityName(controller, d.Activity), SubjectRefs: texts(d.refs), Detail: detail}
}

func (s *basisServer) decisionMessage(controller consent.ControllerID, d answered) *pb.Decision {
	text := consent.Explain(d.Decision, d.aboutThePast())
	m := &pb.Decision{
		Decision: outcome(d.Decision), Reason: pb.Decision_Reason(pb.Decision_Reason_value[string(d.Reason)]), LegalBasis: basisMessage(d.Basis),
		Activity: string(d.Activity), ActivityVersion: d.Version, DecisionId: d.id, DecidedAt: timestamppb.New(d.at),
		Explanation: &typepb.LocalizedText{Da: text.DA, En: text.EN}, SubjectRefs: texts(d.refs),
	}
	if d.rev > 0 {
		m.ConsistencyToken = s.tokens.Make(controller, d.rev)
	}
	if d.Consent != "" {
		m.Consent = consentName(controller, d.Consent)
	}
	if !d.ExpireTime.IsZero() && !d.aboutThePast() {
		m.ExpireTime = timestamppb.New(d.ExpireTime)
	}
	return m
}

func outcome(d consent.Decision) pb.Decision_Outcome {
	if d.Allowed {
		return pb.Decision_ALLOW
	}
	return pb.Decision_DENY
}
