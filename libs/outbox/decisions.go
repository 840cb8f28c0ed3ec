package outbox

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/sqldb"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
)

const (
	// DecisionAction is the action of decisions on legal basis.
	DecisionAction = "legal_basis.check"
	// maxBatch and maxBatchBytes bound what goes into one entry of the log, which holds 64 KiB: the bytes grow by a third in it, and one
	// decision more may have 200 pseudonyms.
	maxBatch      = 300
	maxBatchBytes = 28 << 10
	// actorBytes is what an actor takes in an entry besides its reference.
	actorBytes = 100
	// openMark and closedMark begin stored decisions, a message in the wire format, in base64: those that may still be packed with
	// others, and those that may be handed over. All other events are JSON.
	openMark, closedMark = "open:", "pb:"
	// packWithin is how far apart in time decisions are packed together.
	packWithin = time.Minute
)

// Answer is one decision on legal basis, as it is recorded.
type Answer struct {
	// ID of the decision, a UUID.
	ID string
	// Controller whose instruction it was decided on.
	Controller string
	// Subjects are the pseudonyms of the person.
	Subjects []string
	// Activity that was asked about, with its version; 0 where it is unknown.
	Activity string
	Version  int64
	// Allowed and Reason are the answer; the reason is UPPER_SNAKE.
	Allowed bool
	Reason  string
	// Recipient that would receive the data; empty: none.
	Recipient string
	// Consent that decided, a UUID; empty: none did.
	Consent string
	// Time of the decision.
	Time time.Time
	// Trace in which it was asked; the zero value: that of the call.
	Trace trace.TraceID
}

// Decided are the decisions that one call has made.
type Decided struct {
	// Call is the running call, of which the actor is taken; Trace is its trace.
	Call    *Call
	Trace   trace.TraceID
	Answers []Answer
}

// DecidedBy gives the decisions of the call of ctx.
func DecidedBy(ctx context.Context, answers ...Answer) Decided {
	return Decided{Call: CallFrom(ctx), Trace: trace.SpanContextFromContext(ctx).TraceID(), Answers: answers}
}

// Taken notes that the decisions are taken care of, for who writes them only after the call has ended: the call makes no other event.
func (d Decided) Taken() {
	if d.Call != nil {
		d.Call.markRecorded()
	}
}

// RecordDecisions writes the decisions of many calls in the caller's transaction: those of one controller together, as few events as
// they fit into. For who reads the log each is still an event of its own. When it fails, the transaction must fail too.
func (o *Outbox) RecordDecisions(ctx context.Context, tx sqldb.Tx, calls ...Decided) error {
	batches, err := o.batches(calls)
	if err != nil {
		return err
	}
	for _, b := range batches {
		text, err := o.encodeBatch(b)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO audit_outbox (id, event) VALUES ($1, $2)`, b.event.GetId(), text); err != nil {
			return fmt.Errorf("outbox: record decisions: %w", err)
		}
	}
	tx.AfterCommit(func() {
		for _, c := range calls {
			c.Taken()
		}
		o.Wake()
	})
	return nil
}

// batch is an event in the making.
type batch struct {
	event  *auditv1.ReportedEvent
	actors map[*Call]uint32
	texts  map[string]uint32
	size   int
	start  time.Time
}

// batches sorts decisions by controller into as few events as they fit into.
func (o *Outbox) batches(calls []Decided) ([]*batch, error) {
	var done []*batch
	open := map[string]*batch{}
	for _, call := range calls {
		if call.Call == nil {
			return nil, errors.New("outbox: a decision belongs to a call")
		}
		for _, d := range call.Answers {
			b := open[d.Controller]
			if b == nil || len(b.event.GetDecisions().GetDecisions()) == maxBatch || b.size > maxBatchBytes {
				b = o.newBatch(d)
				open[d.Controller], done = b, append(done, b)
			}
			if err := b.add(call, d); err != nil {
				return nil, err
			}
		}
	}
	return done, nil
}

func (o *Outbox) newBatch(d Answer) *batch {
	return &batch{start: d.Time.UTC().Truncate(time.Microsecond), actors: map[*Call]uint32{}, texts: map[string]uint32{}, event: &auditv1.ReportedEvent{
		Id: o.cfg.NewID(), Controller: d.Controller, Service: o.cfg.Service, Actor: actorMessage(Actor{Kind: "SERVICE", Ref: o.cfg.Service}),
		Action: DecisionAction, Kind: authv1.Rule_DECISION, Outcome: auditv1.AuditEvent_OK,
		OccurTime: timestamppb.New(d.Time.UTC().Truncate(time.Microsecond)), Decisions: &auditv1.DecisionBatch{},
	}}
}

func (b *batch) add(call Decided, d Answer) error {
	id, err := uuid.Parse(d.ID)
	if err != nil {
		return fmt.Errorf("outbox: a decision's id is no UUID: %w", err)
	}
	m := &auditv1.BatchedDecision{Id: id[:], Actor: b.actor(call.Call), OffsetMicros: d.Time.Sub(b.start).Microseconds(),
		SubjectRefs: sorted(d.Subjects), Activity: b.text(d.Activity), Version: d.Version, Allowed: d.Allowed, Reason: b.text(d.Reason)}
	if asked := cmp.Or(d.Trace, call.Trace); asked.IsValid() {
		m.TraceId = asked[:]
	}
	if d.Recipient != "" {
		m.Recipient = b.text(d.Recipient) + 1
	}
	if d.Consent != "" {
		consent, err := uuid.Parse(d.Consent)
		if err != nil {
			return fmt.Errorf("outbox: a consent's id is no UUID: %w", err)
		}
		m.Consent = consent[:]
	}
	list := b.event.GetDecisions()
	list.Decisions = append(list.Decisions, m)
	b.size += proto.Size(m)
	return nil
}

func (b *batch) actor(c *Call) uint32 {
	if at, ok := b.actors[c]; ok {
		return at
	}
	list := b.event.GetDecisions()
	m := actorMessage(c.Actor)
	at := slices.IndexFunc(list.GetActors(), func(a *auditv1.Actor) bool { return proto.Equal(a, m) })
	if at < 0 {
		at, list.Actors = len(list.GetActors()), append(list.Actors, m)
		b.size += actorBytes + len(m.GetRef())
	}
	b.actors[c] = uint32(at)
	return b.actors[c]
}

func (b *batch) text(s string) uint32 {
	at, ok := b.texts[s]
	if !ok {
		list := b.event.GetDecisions()
		at = uint32(len(list.GetTexts()))
		b.texts[s], list.Texts = at, append(list.Texts, s)
		b.size += len(s) + 2
	}
	return at
}

func (o *Outbox) encodeBatch(b *batch) (string, error) {
	slices.SortStableFunc(b.event.GetDecisions().GetDecisions(), byTime)
	// Of what the rules of an event speak of, only the controller differs from batch to batch.
	if _, known := o.accepted.Load(b.event.GetController()); !known {
		if err := acceptable(b.event); err != nil {
			return "", fmt.Errorf("outbox: decisions: %w", err)
		}
		o.accepted.Store(b.event.GetController(), true)
	}
	raw, err := proto.Marshal(b.event)
	if err != nil {
		return "", fmt.Errorf("outbox: encode decisions: %w", err)
	}
	return openMark + base64.StdEncoding.EncodeToString(raw), nil
}

func byTime(a, b *auditv1.BatchedDecision) int {
	return cmp.Compare(a.GetOffsetMicros(), b.GetOffsetMicros())
}
