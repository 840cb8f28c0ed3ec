package erasure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/certificate"
)

func drawWorld(t *rapid.T) *world {
	var systems []*system
	for i := range rapid.IntRange(1, 3).Draw(t, "systems") {
		var sets []*set
		for j := range rapid.IntRange(0, 3).Draw(t, "datasets") {
			sets = append(sets, rows(fmt.Sprintf("set %d", j), rapid.SampledFrom([]string{"teaching", "extras", "marks", "unknown"}).Draw(t, "activity"),
				rapid.SampledFrom([]Action{Erase, Erase, Anonymise, Keep}).Draw(t, "action"), rapid.Int64Range(0, 3).Draw(t, "rows")))
		}
		x := newSystem(fmt.Sprintf("s%d", i), rapid.IntRange(0, 2).Draw(t, "order"), sets...)
		x.Mandatory = i == 0 || rapid.IntRange(0, 3).Draw(t, "mandatory") > 0
		systems = append(systems, x)
	}
	w := newWorld(t, systems...)
	w.register.RequiredApprovals = rapid.IntRange(1, 2).Draw(t, "people")
	w.ask(rapid.SampledFrom([]Ground{NoLongerNecessary, ConsentWithdrawn, ObjectionUpheld}).Draw(t, "ground"))
	return w
}

// TestEveryWayEnds plays random faults against the engine. Whatever happens, nothing unapproved is erased and the core identity
// waits (the fakes judge every order), unfinished work is named and has its time, and COMPLETED is true. Once the systems have
// healed, the erasure completes.
func TestEveryWayEnds(t *testing.T) {
	t.Parallel()
	mishaps := []mishap{fine, fine, down, lost, absurd, lying, skipping, slow, blind, overrun}
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		if rapid.IntRange(0, 19).Draw(t, "endless") == 0 {
			w.systems["s0"].next = []mishap{fine, endless}
		}
		for range rapid.IntRange(0, 25).Draw(t, "steps") {
			for _, s := range w.register.Systems {
				if x := w.systems[s.ID]; len(x.next) == 0 {
					x.next = rapid.SliceOfN(rapid.SampledFrom(mishaps), 0, 5).Draw(t, s.ID)
				}
			}
			w.proofErr, w.logErr, w.refuse = nil, nil, nil
			switch rapid.IntRange(0, 9).Draw(t, "other") {
			case 0:
				w.proofErr = errors.New("the log is away")
			case 1:
				w.logErr = errors.New("the register is away")
			case 2:
				w.refuse = errors.New("the register is away")
			case 3:
				w.store.crash, w.store.crashAfter = rapid.IntRange(1, 6).Draw(t, "crash"), rapid.Bool().Draw(t, "after")
			}
			if w.store.get().State == AwaitingApproval && rapid.Bool().Draw(t, "approve") {
				w.approve()
			}
			if w.store.get().State != AwaitingApproval { // there, being due means to lapse
				w.due()
			}
			w.try(t)
			w.judgeState(t)
		}
		w.heal()
		e := w.finish(60)
		w.judgeState(t)
		if e.State != Completed && (e.State != Failed || w.systems["s0"].asked == 0) {
			t.Fatalf("after everything healed the erasure ended as %s (%s): %s", e.State, e.Reason, w.store.actions())
		}
	})
}

// try advances once; a crash may end it anywhere.
func (w *world) try(t *rapid.T) {
	disturbed := w.store.crash > 0
	w.overtaken = 0
	err := w.engine.Advance(context.Background(), controller, theID)
	if err != nil && !errors.Is(err, errCrash) {
		t.Fatalf("advance: %v", err)
	}
	w.store.crash = 0
	e := w.store.get()
	if at, ok := e.NextWork(); !disturbed && w.overtaken == 0 && ok && !at.After(w.clock.Now()) {
		t.Fatalf("the worker returned while the erasure, %s, has work at once", e.State)
	}
}

func (w *world) heal() {
	w.proofErr, w.logErr, w.refuse, w.store.crash = nil, nil, nil, 0
	for _, x := range w.systems {
		x.next = nil
	}
}

// judgeState holds what the erasure says against what the systems really hold.
func (w *world) judgeState(t *rapid.T) {
	e := w.store.get()
	named := func(system string) bool {
		return slices.ContainsFunc(e.Residuals, func(r Residual) bool { return r.System == system && r.Reason != "" })
	}
	switch e.State {
	case Partial:
		if len(e.Residuals) == 0 || !e.NextAttempt.After(e.UpdateTime) {
			t.Fatalf("PARTIAL with the leftovers %+v and the next attempt at %s, updated at %s", e.Residuals, e.NextAttempt, e.UpdateTime)
		}
		for _, s := range e.Systems {
			if s.State != SystemErased && s.State != SystemVerified && !named(s.System) {
				t.Fatalf("%s is %s and no leftover names it: %+v", s.System, s.State, e.Residuals)
			}
			if s.State == SystemVerified && s.Mandatory && w.systems[s.System].left(*e.Plan) > 0 {
				t.Fatalf("%s is VERIFIED and holds rows", s.System)
			}
		}
	case Completed:
		w.judgeCompleted(t, e)
	case Planning:
		if e.Attempts > 0 && !e.NextAttempt.After(e.UpdateTime) {
			t.Fatalf("planning failed, and is tried again at %s, updated at %s", e.NextAttempt, e.UpdateTime)
		}
	default:
	}
	if e.State.Final() != (w.store.sealed == nil) {
		t.Fatalf("%s, and there are %d identifiers", e.State, len(w.store.sealed))
	}
}

func (w *world) judgeCompleted(t *rapid.T, e *Erasure) {
	s := w.issued[len(w.issued)-1]
	// Erased is who lost everything that no law keeps: not somebody of whom nothing was found, or whose other processing goes on.
	goesOn := slices.ContainsFunc(e.Plan.Items, func(i Item) bool { return i.Ground == "OTHER_LEGAL_BASIS" })
	if want := s.Verdict != certificate.NothingFound && !goesOn; want != slices.Equal(w.store.graves, e.SubjectRefs) || want != (len(w.erased) > 0) {
		t.Fatalf("verdict %s, other processing goes on: %v; the tombstones are %v, told are %v", s.Verdict, goesOn, w.store.graves, w.erased)
	}
	for _, x := range w.systems {
		left := x.left(*e.Plan)
		if left > 0 && (x.Mandatory || s.Verdict != certificate.Partial) {
			t.Fatalf("COMPLETED with verdict %s although %s holds %d rows", s.Verdict, x.ID, left)
		}
		if _, planned := e.Plan.system(x.ID); !planned && s.Verdict != certificate.Partial {
			t.Fatalf("verdict %s although nobody asked %s", s.Verdict, x.ID)
		}
	}
	for _, system := range s.Systems {
		for _, d := range system.Datasets {
			if x := w.systems[system.System]; x.Mandatory && d.Erased+d.Anonymised < x.gone[d.Dataset] {
				t.Fatalf("%s/%s: %d rows went, the certificate has %+v", system.System, d.Dataset, x.gone[d.Dataset], d)
			}
		}
	}
}

// TestWithoutFaults completes in one go after approval, and tells the exact numbers.
func TestWithoutFaults(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		before := map[string]int64{}
		for _, x := range w.systems {
			for _, s := range x.sets {
				before[x.ID+s.Name] = s.rows
			}
		}
		e := w.finish(3)
		if e.State != Completed || len(w.issued) != 1 {
			t.Fatalf("the erasure is %s after %v", e.State, w.store.actions())
		}
		for _, system := range w.issued[0].Systems {
			for _, d := range system.Datasets {
				if d.Located != before[system.System+d.Dataset] || d.Erased+d.Anonymised+d.Kept != d.Located || d.Remaining != 0 {
					t.Fatalf("%s held %d rows, the certificate says %+v", d.Dataset, before[system.System+d.Dataset], d)
				}
			}
		}
	})
}
