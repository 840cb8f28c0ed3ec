package outbox_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

func asker(n int) *outbox.Call {
	return &outbox.Call{Action: outbox.DecisionAction, Kind: outbox.Decision, Controller: "north", Actor: outbox.Actor{Kind: "CALLER", Ref: fmt.Sprintf("usr_%d", n), Roles: []string{"PARTNER"}}}
}

// unpacked are the decisions of all batches, as they were recorded, with who asked.
func unpacked(t *testing.T, events []*auditv1.ReportedEvent) (answers []outbox.Answer, actors []string) {
	t.Helper()
	for _, e := range events {
		b := e.GetDecisions()
		if size := proto.Size(e); size > 44<<10 || len(b.GetDecisions()) > 300 {
			t.Errorf("a batch of %d decisions has %d bytes", len(b.GetDecisions()), size)
		}
		for _, d := range b.GetDecisions() {
			a := outbox.Answer{ID: uuid.UUID(d.GetId()).String(), Controller: e.GetController(), Subjects: d.GetSubjectRefs(), Activity: b.GetTexts()[d.GetActivity()],
				Version: d.GetVersion(), Allowed: d.GetAllowed(), Reason: b.GetTexts()[d.GetReason()],
				Time: e.GetOccurTime().AsTime().Add(time.Duration(d.GetOffsetMicros()) * time.Microsecond)}
			if n := d.GetRecipient(); n > 0 {
				a.Recipient = b.GetTexts()[n-1]
			}
			if len(d.GetConsent()) > 0 {
				a.Consent = uuid.UUID(d.GetConsent()).String()
			}
			answers, actors = append(answers, a), append(actors, b.GetActors()[d.GetActor()].GetRef())
		}
	}
	return answers, actors
}

// What was decided comes out as it went in, whoever asked, packed by controller.
func TestDecisionsArePacked(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		f := newFixture(t, engine)
		var calls []outbox.Decided
		want := map[string]outbox.Answer{}
		for i := range 1000 {
			controller := []string{"north", "south"}[i%2]
			a := outbox.Answer{ID: uuid.NewString(), Controller: controller, Subjects: []string{fmt.Sprintf("sub_%d", i)}, Activity: fmt.Sprintf("photos-%d", i%7),
				Version: int64(i % 3), Allowed: i%2 == 0, Reason: "CONSENT_HOLDS", Time: noon.Add(time.Duration(i%50) * time.Millisecond).Truncate(time.Microsecond)}
			if i%5 == 0 {
				a.Recipient, a.Consent = "publisher", uuid.NewString()
			}
			want[a.ID] = a
			calls = append(calls, outbox.DecidedBy(outbox.WithCall(t.Context(), asker(i%9)), a))
		}
		if err := f.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error { return f.RecordDecisions(ctx, tx, calls...) }); err != nil {
			t.Fatal(err)
		}
		if n := f.pending(t); n < 4 || n > 8 {
			t.Errorf("1,000 decisions are %d events", n)
		}
		for i, c := range calls {
			if !c.Call.Recorded() {
				t.Fatalf("call %d does not count as recorded", i)
			}
		}
		sink := &auditd{seen: map[string]bool{}}
		if err := f.Flush(t.Context(), sink); err != nil {
			t.Fatal(err)
		}
		answers, actors := unpacked(t, sink.events)
		got := map[string]outbox.Answer{}
		for i, a := range answers {
			got[a.ID] = a
			var n int
			if _, err := fmt.Sscanf(a.Subjects[0], "sub_%d", &n); err != nil || actors[i] != fmt.Sprintf("usr_%d", n%9) {
				t.Fatalf("%s was asked about by %s", a.Subjects[0], actors[i])
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

// What is not well formed refuses its whole transaction, and the calls do not count as recorded.
func TestDecisionsThatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, sqldb.SQLite)
	good := outbox.Answer{ID: uuid.NewString(), Controller: "north", Subjects: []string{"sub_1"}, Activity: "photos", Reason: "NO_CONSENT", Time: noon}
	bad := map[string]func(*outbox.Answer){
		"id":         func(a *outbox.Answer) { a.ID = "1" },
		"consent":    func(a *outbox.Answer) { a.Consent = "c1" },
		"controller": func(a *outbox.Answer) { a.Controller = "North School" },
	}
	for name, change := range bad {
		a, call := good, asker(1)
		change(&a)
		err := f.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
			return f.RecordDecisions(ctx, tx, outbox.DecidedBy(outbox.WithCall(ctx, asker(2)), good), outbox.DecidedBy(outbox.WithCall(ctx, call), a))
		})
		if err == nil || call.Recorded() || f.pending(t) != 0 {
			t.Errorf("%s: %v, %d pending", name, err, f.pending(t))
		}
	}
	if err := f.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
		return f.RecordDecisions(ctx, tx, outbox.DecidedBy(ctx, good))
	}); err == nil {
		t.Error("a decision without a call was recorded")
	}
}
