package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"buf.build/go/protovalidate"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/sqldb"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
)

const schema = `CREATE TABLE IF NOT EXISTS audit_outbox (
	id TEXT NOT NULL PRIMARY KEY,
	event TEXT NOT NULL
)`

// Config is what an outbox needs. Every field but the keyring is required.
type Config struct {
	// Service is the name under which events are reported; the name in the service's client certificate.
	Service string
	// DB is the database of the service's own state.
	DB *sqldb.DB
	// Clock gives the time at which an event happened.
	Clock clock.Clock
	// Keyring keys the digests of resources; required where events have Before or After.
	Keyring *keyring.Keyring
	// NewID gives ids that sort by time (UUIDv7): the order in which events are relayed.
	NewID func() string
}

// Outbox writes events of one service. It is safe for concurrent use.
type Outbox struct {
	cfg  Config
	wake chan struct{}
	held held
	// accepted are controllers whose batches of decisions the audit service takes.
	accepted sync.Map
}

// New opens the outbox of a service, and makes its table where there is none yet.
func New(ctx context.Context, cfg Config) (*Outbox, error) {
	if cfg.Service == "" || cfg.DB == nil || cfg.Clock == nil || cfg.NewID == nil {
		return nil, errors.New("outbox: service, database, clock and ids are all required: without audit there is no service")
	}
	if err := Migrate(ctx, cfg.DB); err != nil {
		return nil, err
	}
	return &Outbox{cfg: cfg, wake: make(chan struct{}, 1)}, nil
}

// Migrate makes the outbox's table where there is none yet. New does so too; where the table is there, no right to make it is needed.
func Migrate(ctx context.Context, db *sqldb.DB) error {
	if err := db.Ensure(ctx, schema); err != nil {
		return fmt.Errorf("outbox: make table: %w", err)
	}
	return nil
}

// Record writes an event in the caller's transaction and returns its id. When it fails, the transaction must fail too. It fails
// for events that the audit service would not take (see ReportedEvent in the proto: no more than 200 people, for example).
func (o *Outbox) Record(ctx context.Context, tx sqldb.Tx, e Event) (string, error) {
	call := CallFrom(ctx)
	if call != nil {
		e = e.completedBy(call)
	}
	if e.ID == "" {
		e.ID = o.cfg.NewID()
	}
	text, err := o.encode(ctx, e, call)
	if err != nil {
		return "", err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO audit_outbox (id, event) VALUES ($1, $2)`, e.ID, text); err != nil {
		return "", fmt.Errorf("outbox: record %s: %w", e.Action, err)
	}
	tx.AfterCommit(func() {
		if call != nil {
			call.markRecorded()
		}
		o.Wake()
	})
	return e.ID, nil
}

// RecordAlone writes an event in a transaction of its own, for what changes nothing: reads and refusals.
func (o *Outbox) RecordAlone(ctx context.Context, e Event) error {
	return o.cfg.DB.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		_, err := o.Record(ctx, tx, e)
		return err
	})
}

// Wake makes the relay look for events now.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Pending counts events that the audit service has not accepted yet.
func (o *Outbox) Pending(ctx context.Context) (n int64, err error) {
	err = o.cfg.DB.Read(sqldb.WithAllControllers(ctx), func(ctx context.Context, q sqldb.Querier) error {
		return q.QueryRow(ctx, `SELECT COUNT(*) FROM audit_outbox`).Scan(&n)
	})
	return n, err
}

func (e Event) completedBy(call *Call) Event {
	if e.Action == "" {
		e.Action = call.Action
	}
	if e.Kind == "" {
		e.Kind = call.Kind
	}
	if e.Controller == "" {
		e.Controller = call.Controller
	}
	return e
}

func (o *Outbox) encode(ctx context.Context, e Event, call *Call) (string, error) {
	e, err := o.digested(e)
	if err != nil {
		return "", err
	}
	actor := Actor{Kind: "SERVICE", Ref: o.cfg.Service}
	if call != nil {
		actor = call.Actor
	}
	outcome := e.Outcome
	if outcome == "" {
		outcome = OK
	}
	msg := &auditv1.ReportedEvent{
		Id: e.ID, Controller: e.Controller, Service: o.cfg.Service, Actor: actorMessage(actor), Action: e.Action,
		Kind:     authv1.Rule_EventKind(authv1.Rule_EventKind_value[string(e.Kind)]),
		Resource: e.Resource, SubjectRefs: sorted(e.SubjectRefs),
		Outcome: auditv1.AuditEvent_Outcome(auditv1.AuditEvent_Outcome_value[string(outcome)]),
		Reason:  e.Reason, Traceparent: traceparent(ctx), OccurTime: timestamppb.New(o.cfg.Clock.Now().UTC().Truncate(time.Microsecond)),
		Detail: e.Detail, BeforeDigest: e.BeforeDigest, AfterDigest: e.AfterDigest,
	}
	if err := acceptable(msg); err != nil {
		return "", fmt.Errorf("outbox: event %s: %w", e.Action, err)
	}
	text, err := protojson.Marshal(msg)
	if err != nil {
		return "", fmt.Errorf("outbox: encode %s: %w", e.Action, err)
	}
	return string(text), nil
}

// acceptable refuses what the audit service would refuse. Such an event must fail with its change: once committed, it would
// stand in the way of all that come after it.
func acceptable(msg *auditv1.ReportedEvent) error {
	if msg.GetActor().GetKind() == auditv1.Actor_KIND_UNSPECIFIED {
		return errors.New("its actor is of no kind that exists")
	}
	return protovalidate.Validate(msg)
}

func actorMessage(a Actor) *auditv1.Actor {
	m := &auditv1.Actor{Kind: auditv1.Actor_Kind(auditv1.Actor_Kind_value[a.Kind]), Ref: a.Ref}
	for _, r := range a.Roles {
		m.Roles = append(m.Roles, authv1.Rule_Role(authv1.Rule_Role_value[r]))
	}
	return m
}

// sorted gives each pseudonym once, in order, so that the order of a request's identifiers does not show.
func sorted(refs []string) []string {
	out := slices.Clone(refs)
	slices.Sort(out)
	return slices.Compact(out)
}

func traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}
