package erasure

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/certificate"
)

func lms(n int64) *system {
	return newSystem("lms", 9, rows("profile", "teaching", Erase, n), rows("clicks", "teaching", Anonymise, n))
}

func desk(n int64) *system { return newSystem("desk", 1, rows("tickets", "teaching", Erase, n)) }

func wantActions(t *testing.T, w *world, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, w.store.actions()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestNothingFoundNeedsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lms(0), desk(0))
	e := w.advance()
	wantState(t, e, Completed)
	s := w.issued[0]
	if s.Verdict != certificate.NothingFound || len(s.Approvals) != 0 || !s.StartedTime.IsZero() || len(s.Residuals) != 0 {
		t.Errorf("the statement is %+v", s)
	}
	wantActions(t, w, "plan", "verify", "complete")
}

// What a verification finds beyond an empty plan is put before people; until they approve nothing is erased (judge looks).
func TestFoundThoughNothingWasCounted(t *testing.T) {
	t.Parallel()
	x := lms(2)
	x.next = []mishap{fine, blind}
	w := newWorld(t, x)
	e := w.advance()
	wantState(t, e, Planning)
	if len(e.Residuals) != 2 || e.Residuals[0].Dataset != "profile" || e.Residuals[0].Count != 2 || !e.NextAttempt.After(w.clock.Now()) {
		t.Errorf("leftovers %+v, next attempt %s", e.Residuals, e.NextAttempt)
	}
	x.next = []mishap{fine, blind} // the system goes on counting nothing
	w.due()
	e = w.advance()
	wantState(t, e, AwaitingApproval)
	if e.Plan.Found() != 0 || len(e.Plan.Warnings) != 2 || !strings.Contains(e.Plan.Warnings[0], "2 rows") {
		t.Errorf("the plan counts %d rows and warns %q", e.Plan.Found(), e.Plan.Warnings)
	}
	e = w.finish(3)
	wantState(t, e, Completed)
	if x.gone["profile"] != 2 || w.issued[0].Verdict != certificate.Complete {
		t.Errorf("%d rows went, verdict %s", x.gone["profile"], w.issued[0].Verdict)
	}
}

func TestNothingFoundThatCannotBeVerified(t *testing.T) {
	t.Parallel()
	x := lms(0)
	w := newWorld(t, x)
	var pauses []time.Duration
	for range 3 {
		x.next = []mishap{fine, fine, down}
		w.due()
		e := w.advance()
		wantState(t, e, Planning)
		pauses = append(pauses, e.NextAttempt.Sub(w.clock.Now()))
	}
	if want := []time.Duration{time.Second, 3 * time.Second, 9 * time.Second}; !slices.Equal(pauses, want) {
		t.Errorf("pauses %v, want %v", pauses, want)
	}
	w.due()
	wantState(t, w.advance(), Completed)
}

func TestPlanningWaitsForMandatorySystems(t *testing.T) {
	t.Parallel()
	x := lms(1)
	w := newWorld(t, desk(1), x)
	for n := 1; n <= 3; n++ {
		x.next = []mishap{down}
		w.due()
		e := w.advance()
		wantState(t, e, Planning)
		want := []Residual{{System: "lms", Reason: "The system cannot be reached."}}
		if diff := cmp.Diff(want, e.Residuals); diff != "" || e.NextAttempt.Sub(w.clock.Now()) != Backoff(n) {
			t.Errorf("attempt %d: next in %s, leftovers\n%s", n, e.NextAttempt.Sub(w.clock.Now()), diff)
		}
		if got := states(e); got != "desk=PENDING lms=FAILED" {
			t.Errorf("systems: %s", got)
		}
	}
	w.due()
	e := w.advance()
	wantState(t, e, AwaitingApproval)
	if len(e.Residuals) != 0 || e.Attempts != 0 {
		t.Errorf("planned, and %d leftovers after %d attempts are still there", len(e.Residuals), e.Attempts)
	}
}

func TestTheRegisterIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lms(1))
	w.refuse = errors.New("away")
	e := w.advance()
	wantState(t, e, Planning)
	if !e.NextAttempt.After(w.clock.Now()) {
		t.Error("planning is not tried again")
	}
	w.refuse = nil
	w.due()
	w.advance()
	w.approve()
	w.due()
	w.refuse = errors.New("away")
	e = w.advance()
	wantState(t, e, Grace)
	if !e.GraceEnd.After(w.clock.Now()) {
		t.Error("the start is not tried again")
	}
	w.refuse = nil
	wantState(t, w.finish(2), Completed)
}

func TestOptionalSystems(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		mishaps []mishap // of the optional system
		reason  string
		left    int64
		counted certificate.Dataset
	}{
		"does not answer the plan": {[]mishap{down}, "left out", 2, certificate.Dataset{}},
		"does not erase":           {[]mishap{fine, fine, fine, fine, down}, "Found at verification", 2, certificate.Dataset{Located: 2, Remaining: 0}},
		"its answer is lost":       {[]mishap{fine, fine, fine, fine, lost}, "did not confirm", 0, certificate.Dataset{Located: 2}},
		"cannot be verified":       {[]mishap{fine, fine, fine, fine, fine, down}, "could not be asked", 0, certificate.Dataset{Located: 2, Erased: 2}},
		"lies":                     {[]mishap{fine, fine, fine, fine, lying}, "Found at verification", 2, certificate.Dataset{Located: 2, Erased: 2, Remaining: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := desk(2).optional()
			if test.mishaps[0] == down { // and again at the start: back by then, it would be a new plan
				test.mishaps = []mishap{down, down}
			}
			x.next = test.mishaps
			w := newWorld(t, x, lms(1))
			e := w.finish(3)
			wantState(t, e, Completed)
			s := w.issued[0]
			if s.Verdict != certificate.Partial || len(s.Residuals) != 1 || s.Residuals[0].System != "desk" || !strings.Contains(s.Residuals[0].Reason, test.reason) {
				t.Errorf("verdict %s, leftovers %+v", s.Verdict, s.Residuals)
			}
			if x.sets[0].rows != test.left {
				t.Errorf("%d rows are left, want %d", x.sets[0].rows, test.left)
			}
			if s.Systems[0].System == "desk" {
				got := s.Systems[0].Datasets[0]
				got.Dataset, got.Activity = "", ""
				if diff := cmp.Diff(test.counted, got); diff != "" {
					t.Errorf("certified (-want +got):\n%s", diff)
				}
			} else if test.reason != "left out" || len(e.Plan.Warnings) != 1 {
				t.Errorf("the plan leaves the system out and warns %q", e.Plan.Warnings)
			}
		})
	}
}

func TestTheCoreIdentityIsLast(t *testing.T) {
	t.Parallel()
	core, middle, first := lms(1), newSystem("forum", 5, rows("posts", "teaching", Erase, 1)), desk(1)
	first.next = []mishap{fine, fine, fine, fine, down}
	w := newWorld(t, core, middle, first)
	e := w.finish(2)
	wantState(t, e, Partial)
	if got := states(e); got != "desk=FAILED forum=ERASED lms=PENDING" {
		t.Errorf("systems: %s", got)
	}
	if len(e.Residuals) != 2 || e.Residuals[0].System != "desk" || e.Residuals[1].System != "lms" || !strings.Contains(e.Residuals[1].Reason, "core identity") {
		t.Errorf("leftovers %+v", e.Residuals)
	}
	wantState(t, w.finish(2), Completed)
}

func TestSystemsOfOneOrderDoNotWait(t *testing.T) {
	t.Parallel()
	a, b := newSystem("a", 3, rows("x", "teaching", Erase, 1)), newSystem("b", 3, rows("x", "teaching", Erase, 1))
	a.next = []mishap{fine, fine, fine, fine, down}
	w := newWorld(t, b, a)
	e := w.finish(2)
	wantState(t, e, Partial)
	if got := states(e); got != "a=FAILED b=ERASED" {
		t.Errorf("systems: %s", got)
	}
}

func TestRounds(t *testing.T) {
	t.Parallel()
	x := lms(3)
	x.next = []mishap{fine, fine, fine, fine, skipping}
	w := newWorld(t, x)
	e := w.finish(2)
	wantState(t, e, Partial)
	want := []Residual{{System: "lms", Dataset: "profile", Table: "t", Count: 1, Reason: "Found at verification (LINK)."},
		{System: "lms", Dataset: "clicks", Table: "t", Count: 1, Reason: "Found at verification (LINK)."}}
	if diff := cmp.Diff(want, e.Residuals); diff != "" {
		t.Errorf("leftovers (-want +got):\n%s", diff)
	}
	x.next = []mishap{down} // round two does not come about at once
	w.due()
	e = w.advance()
	wantState(t, e, Partial)
	if e.Systems[0].Round != 2 || e.Systems[0].Attempts != 2 || e.Attempts != 2 || e.NextAttempt.Sub(w.clock.Now()) != Backoff(2) {
		t.Errorf("round %d, %+v", e.Systems[0].Round, e)
	}
	e = w.finish(1)
	wantState(t, e, Completed)
	if e.Systems[0].Round != 2 || e.Attempts != 0 {
		t.Errorf("round %d, attempts %d", e.Systems[0].Round, e.Attempts)
	}
	d := w.issued[0].Systems[0].Datasets[0]
	if d.Located != 3 || d.Erased != 4 || d.Remaining != 0 { // 3 that it claimed, and the one of the second round
		t.Errorf("certified: %+v", d)
	}
}

func TestADataMapThatChangedIsNamed(t *testing.T) {
	t.Parallel()
	x := lms(1)
	w := newWorld(t, x)
	w.advance()
	w.approve()
	w.due()
	x.next = []mishap{down} // at the start; then the change is seen only when it erases
	x.digest = strings.Repeat("b", 64)
	e := w.advance()
	wantState(t, e, Partial)
	if e.Residuals[0].Reason != "The data map has changed since." {
		t.Errorf("leftovers %+v", e.Residuals)
	}
	if x.sets[0].rows != 1 {
		t.Error("rows went under a data map that nobody approved")
	}
}

func TestIdentifiersThatDoNotSettle(t *testing.T) {
	t.Parallel()
	x := lms(1)
	x.next = []mishap{fine, endless}
	w := newWorld(t, x)
	e := w.advance()
	wantState(t, e, Failed)
	if !strings.Contains(e.Reason, "9 after 8 rounds") || w.store.sealed != nil {
		t.Errorf("reason %q, identifiers %v", e.Reason, w.store.sealed)
	}
	wantActions(t, w, "fail:IDENTIFIERS_DO_NOT_SETTLE")
}

func TestAPlanLapses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lms(1))
	wantState(t, w.advance(), AwaitingApproval)
	w.clock.Advance(ApprovalLife - time.Microsecond)
	wantState(t, w.advance(), AwaitingApproval)
	w.clock.Advance(time.Microsecond)
	wantState(t, w.advance(), Expired)
	if w.store.sealed != nil || w.systems["lms"].sets[0].rows != 1 {
		t.Error("identifiers are left, or rows are not")
	}
}

func TestOddNamesOfDatasets(t *testing.T) {
	t.Parallel()
	x := newSystem("lms", 1, rows("løn og æbler", "teaching", Erase, 1), rows("dataset-1", "teaching", Erase, 1), rows(strings.Repeat("x", 100), "teaching", Erase, 1))
	x.next = []mishap{fine, fine, fine, fine, skipping}
	w := newWorld(t, x)
	wantState(t, w.finish(3), Completed) // the store refuses what the audit log would
	for _, e := range w.store.events {
		switch e.Action {
		case "erasure.execute":
			if e.Detail["rows.dataset-1"] == "" || e.Detail["rows.dataset-2"] == "" || e.Detail["rows.dataset-3"] == "" {
				t.Errorf("detail %v", e.Detail)
			}
		case "erasure.verify":
			if e.Outcome == "FAILED" && e.Detail["residual.1"] != "lms/dataset-1/1" {
				t.Errorf("detail %v", e.Detail)
			}
		}
	}
}

// A worker whose context ends writes nothing, wherever it is.
func TestAStoppedWorkerBlamesNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lms(1), desk(1))
	stopped := func(want State) {
		t.Helper()
		before := len(w.store.events)
		ctx, cancel := context.WithCancel(context.Background())
		w.engine.Participants = stopping{w, cancel}
		defer func() { w.engine.Participants = w }()
		if err := w.engine.Advance(ctx, controller, theID); !errors.Is(err, context.Canceled) {
			t.Errorf("in %s: %v", want, err)
		}
		wantState(t, w.store.get(), want)
		if len(w.store.events) != before {
			t.Errorf("in %s it wrote %v", want, w.store.actions()[before:])
		}
	}
	stopped(Planning)
	w.advance()
	w.approve()
	w.due()
	stopped(Grace)
	wantState(t, w.finish(2), Completed)
}

// stopping are participants whose caller stops when it asks for one.
type stopping struct {
	*world
	stop func()
}

func (s stopping) Participant(string) (Participant, error) {
	s.stop()
	return nil, unreachable()
}

func TestAZombieChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lms(1))
	w.advance()
	w.approve()
	w.due()
	e, ids, err := w.store.Take(context.Background(), controller, theID, w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	zombie := &work{Engine: w.engine, e: e, ids: ids}
	wantState(t, w.advance(), Completed)
	before := string(w.store.document)
	if err := zombie.step(context.Background()); !errors.Is(err, ErrFenced) {
		t.Errorf("the zombie's step: %v", err)
	}
	if string(w.store.document) != before {
		t.Error("the zombie changed the erasure")
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	var got []time.Duration
	for n := range 12 {
		got = append(got, Backoff(n))
	}
	s := time.Second
	want := []time.Duration{s, s, 3 * s, 9 * s, 27 * s, 81 * s, 243 * s, 729 * s, 2187 * s, time.Hour, time.Hour, time.Hour}
	if !slices.Equal(got, want) || Backoff(1_000_000) != time.Hour {
		t.Errorf("pauses %v, want %v", got, want)
	}
}
