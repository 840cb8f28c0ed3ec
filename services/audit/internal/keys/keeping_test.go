package keys_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
)

// TestRotation replaces the controller's key again and again, while others seal and read, and once more after a restart.
func TestRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(w.about(1, "sub_a"), w.about(2, "sub_b"))
	before, err := w.store.ControllerKey(context.Background(), school, nil, start)
	if err != nil {
		t.Fatal(err)
	}
	old := w.search(audit.Query{SubjectRefs: []audit.SubjectRef{"sub_b"}})
	stored := w.log.records[1]
	if len(old) != 1 || len(stored.Sealed) == 0 {
		t.Fatalf("%+v, %+v", old, stored)
	}
	var work sync.WaitGroup
	for n := range 10 {
		work.Go(func() {
			someone := audit.SubjectRef("sub_new_" + string(rune('a'+n)))
			if _, err := w.keys.Seal(context.Background(), []audit.Event{w.about(100+n, "sub_a", someone)}); err != nil {
				t.Error(err)
			}
			if got, err := w.keys.Open(context.Background(), []audit.Record{stored}); err != nil || got[0].Erased || got[0].SubjectRefs[0] != "sub_b" {
				t.Errorf("read meanwhile: %+v, %v", got, err)
			}
		})
	}
	for range 5 {
		if _, err := w.destroyer.Rotate(context.Background(), school); err != nil {
			t.Error(err)
		}
	}
	work.Wait()
	after, err := w.store.ControllerKey(context.Background(), school, nil, start)
	if err != nil || string(after) == string(before) {
		t.Errorf("the controller's key is the one it was (%v)", err)
	}
	w.open()
	if n, err := w.destroyer.Rotate(context.Background(), school); err != nil || n != 12 {
		t.Errorf("%d keys are wrapped anew (%v), want 12", n, err)
	}
	if got := w.search(audit.Query{SubjectRefs: []audit.SubjectRef{"sub_a"}}); len(got) != 1 || got[0].Erased {
		t.Errorf("%d events are read afterwards", len(got))
	}
	if n, err := w.destroyer.Rotate(context.Background(), "school-b"); err != nil || n != 0 {
		t.Errorf("who has no key: %d, %v", n, err)
	}
	if list, err := w.store.Controllers(context.Background()); err != nil || len(list) != 1 {
		t.Errorf("a rotation has made a key: %v (%v)", list, err)
	}
}

// TestApprovals: two different operators have to approve, within a week.
func TestApprovals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(w.about(1, "sub_a"))
	cause := keys.Cause{Resource: "controllers/school-a/termination", Service: "audit"}
	for i, step := range []struct {
		pause     time.Duration
		operator  string
		approvals int
	}{
		{0, "usr_1", 1}, {time.Hour, "usr_1", 1}, // by oneself
		{keys.ApprovalTime - time.Hour, "usr_2", 1},                         // the first one has just lapsed
		{keys.ApprovalTime - time.Microsecond, "usr_2", 1}, {0, "usr_2", 1}, // that one is not renewed
		{time.Microsecond, "usr_3", 1}, {keys.ApprovalTime - time.Microsecond, "usr_1", 2},
	} {
		w.clock.Advance(step.pause)
		got, err := w.destroyer.Terminate(context.Background(), school, step.operator, cause)
		if err != nil || got.Approvals != step.approvals || got.Destroyed != (step.approvals == 2) {
			t.Fatalf("step %d: %+v, %v", i, got, err)
		}
		if all := w.search(audit.Query{Filter: audit.Filter{Action: "consent.withdraw"}}); len(all) != 1 || all[0].Erased != got.Destroyed {
			t.Fatalf("step %d: %+v", i, all)
		}
	}
	w.record(w.about(2, "sub_b")) // the school comes back: its end needs approvals of its own
	if got, err := w.destroyer.Terminate(context.Background(), school, "usr_2", cause); err != nil || got.Destroyed || got.Approvals != 1 {
		t.Errorf("approvals outlive what they were for: %+v, %v", got, err)
	}
}
