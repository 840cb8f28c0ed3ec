package erasure

import (
	"slices"
	"strings"
	"testing"
)

// atGrace brings an erasure of two systems to the end of its grace period.
func atGrace(t *testing.T) (w *world, x *system, other *system) {
	t.Helper()
	x, other = lms(20), desk(5)
	w = newWorld(t, x, other)
	w.advance()
	w.approve()
	w.due()
	return w, x, other
}

func TestWhatVoidsAnApproval(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(w *world, x, other *system)
		reason string // empty: the work starts and completes
	}{
		"nothing":                     {func(*world, *system, *system) {}, ""},
		"a few rows more":             {func(_ *world, x, _ *system) { x.sets[0].rows += 10 }, ""},
		"many rows more":              {func(_ *world, x, _ *system) { x.sets[0].rows += 11 }, "MORE_DATA"},
		"fewer rows":                  {func(_ *world, x, _ *system) { x.sets[0].rows = 0 }, ""},
		"another data map":            {func(_ *world, x, _ *system) { x.digest = strings.Repeat("b", 64) }, "DATA_MAP_CHANGED"},
		"a protected activity":        {func(w *world, _, _ *system) { w.register.Activities[0].Protected = true }, "ACTION_CHANGED"},
		"one more system":             {func(w *world, _, _ *system) { w.add(newSystem("new", 2)) }, "SYSTEM_ADDED"},
		"a system has gone":           {func(w *world, _, _ *system) { w.register.Systems = w.register.Systems[:1] }, ""},
		"a system does not answer":    {func(_ *world, x, _ *system) { x.next = []mishap{down} }, ""},
		"an approval has another sum": {func(w *world, _, _ *system) { w.change(func(e *Erasure) { e.Approvals[0].PlanHash = "other" }) }, "APPROVALS_MISSING"},
		"an approval is missing":      {func(w *world, _, _ *system) { w.change(func(e *Erasure) { e.Approvals = nil }) }, "APPROVALS_MISSING"},
		"two are needed now":          {func(w *world, _, _ *system) { w.change(func(e *Erasure) { e.RequiredApprovals = 2 }) }, "APPROVALS_MISSING"},
		"the asker is one of two": {func(w *world, _, _ *system) {
			w.change(func(e *Erasure) { e.RequiredApprovals, e.Requester = 2, e.Approvals[0].Person })
		}, "APPROVALS_MISSING"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, x, other := atGrace(t)
			old := w.store.get().Plan.Hash
			test.change(w, x, other)
			e := w.advance()
			if test.reason == "" {
				wantState(t, e, Completed)
				return
			}
			wantState(t, e, AwaitingApproval)
			if !strings.Contains(e.Reason, test.reason) || len(e.Approvals) != 0 || !e.GraceEnd.IsZero() || !slices.Contains(w.store.actions(), "replan:"+test.reason) {
				t.Errorf("reason %q, %d approvals, events %v", e.Reason, len(e.Approvals), w.store.actions())
			}
			if strings.HasPrefix(test.reason, "APPROVALS") != (e.Plan.Hash == old) {
				t.Errorf("the plan's hash was %s and is %s", old, e.Plan.Hash)
			}
			if x.gone["profile"]+other.gone["tickets"] > 0 {
				t.Error("rows went")
			}
		})
	}
}

func (w *world) add(x *system) {
	x.world = w
	w.systems[x.ID] = x
	w.register.Systems = append(w.register.Systems, x.System)
}

func (w *world) change(f func(*Erasure)) {
	e := w.store.get()
	f(e)
	w.store.put(e)
}

// What the controller protects between approval and start stays, also in a system that does not answer at the start and is back
// when it would erase.
func TestProtectedWhileTheSystemIsDown(t *testing.T) {
	t.Parallel()
	w, x, _ := atGrace(t)
	w.register.Activities[0].Protected = true
	x.next = []mishap{down}
	e := w.advance()
	wantState(t, e, Grace)
	if !e.GraceEnd.After(w.clock.Now()) || !strings.Contains(e.Reason, "system lms cannot be asked") {
		t.Errorf("next at %s; %q", e.GraceEnd, e.Reason)
	}
	w.due()
	e = w.advance()
	wantState(t, e, AwaitingApproval)
	if e.Plan.Total() != 0 || e.Attempts != 0 {
		t.Errorf("the new plan erases %d rows", e.Plan.Total())
	}
	wantState(t, w.finish(2), Completed)
	if x.gone["profile"] != 0 {
		t.Error("protected rows went")
	}
}

// An optional system that does not answer does not keep a drifted plan from the people.
func TestReplanWithoutAnOptionalSystem(t *testing.T) {
	t.Parallel()
	x, other := lms(1), desk(2).optional()
	w := newWorld(t, x, other)
	w.advance()
	w.approve()
	w.due()
	x.sets[0].rows += 100
	other.next = []mishap{down}
	e := w.advance()
	wantState(t, e, AwaitingApproval)
	if i, ok := e.Plan.item("desk", "tickets"); !ok || i.Count != 2 || i.Action != Erase || len(e.Plan.Unasked) != 0 {
		t.Errorf("the silent system counts as %+v", i)
	}
	wantState(t, w.finish(2), Completed)
	if other.gone["tickets"] != 2 {
		t.Error("the optional system was forgotten")
	}
}

// An identifier that turns up between approval and start leads to a tombstone like the others.
func TestIdentifiersFoundAtTheStart(t *testing.T) {
	t.Parallel()
	w, x, _ := atGrace(t)
	x.further = []Identifier{{"EMAIL", "anna@example.org"}}
	e := w.advance()
	wantState(t, e, Completed)
	want := []string{"sub_north_UNILOGIN_anna0001", "sub_north_EMAIL_anna@example.org"}
	if !slices.Equal(e.SubjectRefs, want) || !slices.Equal(w.store.graves, want) || !slices.Equal(w.erased[0], want) {
		t.Errorf("pseudonyms %v, tombstones %v", e.SubjectRefs, w.store.graves)
	}
}

func TestIdentifiersThatDoNotSettleAtTheStart(t *testing.T) {
	t.Parallel()
	w, x, _ := atGrace(t)
	x.next = []mishap{fine, endless}
	e := w.advance()
	wantState(t, e, Grace)
	if !strings.Contains(e.Reason, "keep adding identifiers") || !e.GraceEnd.After(w.clock.Now()) {
		t.Errorf("reason %q, next at %s", e.Reason, e.GraceEnd)
	}
	x.next = nil
	w.due()
	e = w.advance()
	wantState(t, e, Completed)
	if e.Reason != "" {
		t.Errorf("a reason is left: %q", e.Reason)
	}
}
