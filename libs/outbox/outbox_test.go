package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
)

func TestNewNeedsAll(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		f := newFixture(t, engine)
		full := outbox.Config{Service: "consent", DB: f.db, Clock: clock.System(), NewID: ids()}
		if _, err := outbox.New(t.Context(), full); err != nil {
			t.Fatalf("opened a second time: %v", err)
		}
		for name, drop := range map[string]func(*outbox.Config){
			"service":  func(c *outbox.Config) { c.Service = "" },
			"database": func(c *outbox.Config) { c.DB = nil },
			"clock":    func(c *outbox.Config) { c.Clock = nil },
			"ids":      func(c *outbox.Config) { c.NewID = nil },
		} {
			c := full
			drop(&c)
			if _, err := outbox.New(t.Context(), c); err == nil {
				t.Errorf("an outbox without %s opens", name)
			}
		}
	})
}

// refusing are the statements that make the table of events refuse every row.
var refusing = map[sqldb.Engine]string{
	sqldb.SQLite:   `CREATE TRIGGER refuse BEFORE INSERT ON audit_outbox BEGIN SELECT RAISE(ABORT, 'no'); END`,
	sqldb.Postgres: `ALTER TABLE audit_outbox ADD CONSTRAINT refuse CHECK (id = '')`,
}

// TestChangeAndEventCommitTogether or not at all, whatever of the two fails.
func TestChangeAndEventCommitTogether(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		for _, tc := range []struct {
			name   string
			after  func(ctx context.Context, tx sqldb.Tx) error // what follows change and event
			broken string                                       // statement that breaks the table of events beforehand
			ok     bool
		}{
			{name: "all is well", after: func(context.Context, sqldb.Tx) error { return nil }, ok: true},
			{name: "the change fails afterwards", after: func(context.Context, sqldb.Tx) error { return errChange }},
			{name: "the change is there already", after: func(ctx context.Context, tx sqldb.Tx) error {
				_, err := tx.Exec(ctx, `INSERT INTO person (id) VALUES ('anna')`)
				return err
			}},
			{name: "the event cannot be written", after: func(context.Context, sqldb.Tx) error { return nil }, broken: `DROP TABLE audit_outbox`},
			{name: "the table refuses the event", after: func(context.Context, sqldb.Tx) error { return nil },
				broken: refusing[engine]},
		} {
			f := newFixture(t, engine)
			if tc.broken != "" {
				if err := f.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error { _, err := tx.Exec(ctx, tc.broken); return err }); err != nil {
					t.Fatal(err)
				}
			}
			call := &outbox.Call{Actor: outbox.Actor{Kind: "ANONYMOUS"}}
			err := f.db.Write(outbox.WithCall(t.Context(), call), func(ctx context.Context, tx sqldb.Tx) error {
				if _, err := tx.Exec(ctx, `INSERT INTO person (id) VALUES ('anna')`); err != nil {
					return err
				}
				if _, err := f.Record(ctx, tx, event(1)); err != nil {
					return err
				}
				if call.Recorded() {
					t.Errorf("%s: recorded before the commit", tc.name)
				}
				return tc.after(ctx, tx)
			})
			if (err == nil) != tc.ok || call.Recorded() != tc.ok || (f.people(t) == 1) != tc.ok {
				t.Errorf("%s: error %v, recorded %v, people %d", tc.name, err, call.Recorded(), f.people(t))
			}
			if strings.HasPrefix(tc.broken, "DROP") {
				continue
			}
			if want := map[bool]int64{true: 1}[tc.ok]; f.pending(t) != want {
				t.Errorf("%s: %d events wait, want %d", tc.name, f.pending(t), want)
			}
		}
	})
}

// TestAnEventIsCompletedFromItsCall: handlers say what they did, the call says who and as what.
func TestAnEventIsCompletedFromItsCall(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		ctx, span := sdktrace.NewTracerProvider().Tracer("test").Start(t.Context(), "s")
		defer span.End()
		sc := span.SpanContext()
		traceparent := fmt.Sprintf("00-%s-%s-01", sc.TraceID(), sc.SpanID())
		when := timestamppb.New(clock.NewFake(noon).Now().Truncate(1000))
		call := func() *outbox.Call {
			return &outbox.Call{Action: "consent.give", Kind: outbox.Create, Controller: "north",
				Actor: outbox.Actor{Kind: "CALLER", Ref: "usr_1", Roles: []string{"DPO", "AUDITOR"}}}
		}
		caller := &auditv1.Actor{Kind: auditv1.Actor_CALLER, Ref: "usr_1", Roles: []authv1.Rule_Role{authv1.Rule_DPO, authv1.Rule_AUDITOR}}
		for _, tc := range []struct {
			name string
			call *outbox.Call
			e    outbox.Event
			want *auditv1.ReportedEvent
		}{
			{"by the call alone", call(), outbox.Event{Resource: "r", SubjectRefs: []string{"sub_2", "sub_1", "sub_2"}, Detail: map[string]string{"version": "3"}},
				&auditv1.ReportedEvent{Controller: "north", Action: "consent.give", Kind: authv1.Rule_CREATE, Actor: caller, Resource: "r",
					SubjectRefs: []string{"sub_1", "sub_2"}, Outcome: auditv1.AuditEvent_OK, Detail: map[string]string{"version": "3"}}},
			{"the handler knows better", call(), outbox.Event{ID: "01980f0e-ffff-7000-8000-000000000000", Controller: "south", Action: "consent.renew",
				Kind: outbox.Modify, Outcome: outbox.Denied, Reason: "TOO_LATE"},
				&auditv1.ReportedEvent{Id: "01980f0e-ffff-7000-8000-000000000000", Controller: "south", Action: "consent.renew", Kind: authv1.Rule_MODIFY,
					Actor: caller, Outcome: auditv1.AuditEvent_DENIED, Reason: "TOO_LATE"}},
			{"a job, outside a call", nil, outbox.Event{Controller: "north", Action: "erasure.run", Kind: outbox.Delete, Outcome: outbox.Failed},
				&auditv1.ReportedEvent{Controller: "north", Action: "erasure.run", Kind: authv1.Rule_DELETE, Outcome: auditv1.AuditEvent_FAILED,
					Actor: &auditv1.Actor{Kind: auditv1.Actor_SERVICE, Ref: "consent"}}},
		} {
			f, a, ctx := newFixture(t, engine), &auditd{}, ctx
			if tc.call != nil {
				ctx = outbox.WithCall(ctx, tc.call)
			}
			if err := f.RecordAlone(ctx, tc.e); err != nil {
				t.Errorf("%s: %v", tc.name, err)
				continue
			}
			if err := f.Flush(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			if tc.want.Id == "" {
				tc.want.Id = "01980f0e-0000-7000-8000-000000000001"
			}
			tc.want.Service, tc.want.Traceparent, tc.want.OccurTime = "consent", traceparent, when
			if diff := cmp.Diff([]*auditv1.ReportedEvent{tc.want}, a.got(), protocmp.Transform()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.name, diff)
			}
		}
	})
}

// TestWhatTheAuditServiceWouldRefuse fails where it is written: once committed it would hold up everything behind it.
func TestWhatTheAuditServiceWouldRefuse(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		f := newFixture(t, engine)
		many := make([]string, 201)
		for i := range many {
			many[i] = fmt.Sprintf("sub_%040d", i)
		}
		for name, change := range map[string]func(*outbox.Event){
			"no action":           func(e *outbox.Event) { e.Action = "" },
			"action without noun": func(e *outbox.Event) { e.Action = "give" },
			"no kind":             func(e *outbox.Event) { e.Kind = "" },
			"unknown kind":        func(e *outbox.Event) { e.Kind = "PEEK" },
			"unknown outcome":     func(e *outbox.Event) { e.Outcome = "MAYBE" },
			"no UUID":             func(e *outbox.Event) { e.ID = "1" },
			"controller's name":   func(e *outbox.Event) { e.Controller = "North School" },
			"201 people":          func(e *outbox.Event) { e.SubjectRefs = many },
			"long resource":       func(e *outbox.Event) { e.Resource = strings.Repeat("r", 301) },
			"100 KB of detail":    func(e *outbox.Event) { e.Detail = map[string]string{"x": strings.Repeat("d", 100<<10)} },
		} {
			e := event(1)
			change(&e)
			if err := f.RecordAlone(t.Context(), e); err == nil {
				t.Errorf("%s: recorded", name)
			}
		}
		stranger := outbox.WithCall(t.Context(), &outbox.Call{Actor: outbox.Actor{Kind: "ROBOT"}})
		if err := f.RecordAlone(stranger, event(1)); err == nil {
			t.Error("an actor of an unknown kind is recorded")
		}
		if n := f.pending(t); n != 0 {
			t.Errorf("%d events wait", n)
		}
		e := event(1)
		e.SubjectRefs = append(many[:200], many[:200]...)
		if err := f.RecordAlone(t.Context(), e); err != nil {
			t.Errorf("200 people, each named twice: %v", err)
		}
		if err := f.RecordAlone(t.Context(), outbox.Event{ID: e.ID}); err == nil {
			t.Error("an empty event is recorded")
		}
	})
}

func TestTheSameIDTwice(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		f := newFixture(t, engine)
		e := event(1)
		e.ID = "01980f0e-0000-7000-8000-00000000aaaa"
		if err := f.RecordAlone(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if err := f.RecordAlone(t.Context(), e); !sqldb.IsUniqueViolation(err) {
			t.Errorf("error = %v: the second must fail, with its change", err)
		}
	})
}

func TestAboutAndDetailDescribeTheCall(t *testing.T) {
	t.Parallel()
	outbox.About(t.Context(), "nothing happens outside a call")
	outbox.Detail(t.Context(), "nor", "here")
	call := &outbox.Call{Action: "consent.list", Kind: outbox.View, Controller: "north"}
	ctx := outbox.WithCall(t.Context(), call)
	outbox.About(ctx, "controllers/north", "sub_1")
	outbox.About(ctx, "controllers/north", "sub_2")
	outbox.Detail(ctx, "shown", "2")
	want := outbox.Event{Controller: "north", Action: "consent.list", Kind: outbox.View, Resource: "controllers/north",
		SubjectRefs: []string{"sub_1", "sub_2"}, Detail: map[string]string{"shown": "2"}}
	if diff := cmp.Diff(want, call.Event()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if outbox.CallFrom(t.Context()) != nil || outbox.CallFrom(ctx) != call {
		t.Error("the call of a context is not the one it was given")
	}
}

func TestAClosedDatabaseIsAnError(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		f := newFixture(t, engine)
		f.db.Close()
		if err := f.RecordAlone(t.Context(), event(1)); !errors.Is(err, sqldb.ErrUnavailable) {
			t.Errorf("Record: %v", err)
		}
		if _, err := f.Pending(t.Context()); err == nil {
			t.Error("Pending counts in a closed database")
		}
		if err := f.Flush(t.Context(), &auditd{}); err == nil {
			t.Error("Flush is content with a closed database")
		}
	})
}
