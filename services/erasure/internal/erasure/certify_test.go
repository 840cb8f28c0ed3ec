package erasure

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/certificate"
)

func TestCertifying(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lms(1))
	w.proofErr = ErrNotYet
	e := w.finish(2)
	wantState(t, e, Verifying)
	if e.Statement == "" || e.Announcement == "" || e.NextAttempt.Sub(w.clock.Now()) != time.Second || len(w.store.sealed) == 0 {
		t.Errorf("statement %q, next in %s", e.Statement, e.NextAttempt.Sub(w.clock.Now()))
	}
	announced := e.Announcement
	w.proofErr, w.logErr = nil, errors.New("away")
	w.due()
	e = w.advance()
	wantState(t, e, Verifying)
	if e.NextAttempt.Sub(w.clock.Now()) != 3*time.Second {
		t.Errorf("next in %s", e.NextAttempt.Sub(w.clock.Now()))
	}
	// The log's keys cannot be destroyed: then nothing is certified, and nothing lost.
	w.logErr, w.keysErr = nil, errors.New("away")
	w.due()
	e = w.advance()
	wantState(t, e, Verifying)
	if e.Certificate != "" || len(w.store.sealed) == 0 || len(w.destroyed) != 0 {
		t.Errorf("certificate %q, %d keys destroyed", e.Certificate, len(w.destroyed))
	}
	// The worker dies while it stores the end; another one ends it with the same statement.
	w.keysErr, w.store.crash = nil, 2
	w.due()
	if err := w.engine.Advance(context.Background(), controller, theID); !errors.Is(err, errCrash) {
		t.Fatalf("the crash gave %v", err)
	}
	wantState(t, w.store.get(), Verifying)
	e = w.advance()
	wantState(t, e, Completed)
	if e.Announcement != announced || e.Certificate != "certificate" || e.Statement != "" || len(w.issued) != 3 || !cmp.Equal(w.issued[0], w.issued[2]) {
		t.Errorf("announced %s, then %s; certificate %q", announced, e.Announcement, e.Certificate)
	}
	wantActions(t, w, "plan", "start", "execute", "executed", "verify", "certify:PROOF_UNAVAILABLE", "certify:REGISTER_UNAVAILABLE",
		"certify:AUDIT_KEYS_UNAVAILABLE", "complete")
	if want := [][]string{e.SubjectRefs, e.SubjectRefs}; !cmp.Equal(w.destroyed, want) || len(e.SubjectRefs) == 0 {
		t.Errorf("destroyed keys of %v, want %v", w.destroyed, want)
	}
	if e.Named() != nil {
		t.Errorf("events about an erasure that is over name %v", e.Named())
	}
}

type refusing struct{}

func (refusing) Issue(certificate.Statement, certificate.Log) ([]byte, error) {
	return nil, &certificate.VerifyError{Check: certificate.CheckInclusion}
}

func TestAProofThatDoesNotVerify(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lms(0))
	w.engine.Signer = refusing{}
	e := w.advance()
	wantState(t, e, Verifying)
	wantActions(t, w, "plan", "verify", "certify:CERTIFICATE_REFUSED")
	if !e.NextAttempt.After(w.clock.Now()) {
		t.Error("it is not tried again")
	}
}

func TestTimesOfAStatement(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lms(1))
	w.register.RequiredApprovals = 2
	w.ask(NoLongerNecessary)
	w.clock.Advance(time.Minute)
	w.advance()
	w.clock.Advance(time.Hour)
	w.approve()
	w.due()
	w.proofErr = ErrNotYet
	w.advance()
	w.proofErr = nil
	w.clock.Advance(time.Hour)
	wantState(t, w.advance(), Completed)
	s := w.issued[0]
	at := func(d time.Duration) certificate.Instant { return certificate.At(start.Add(d)) }
	want := []certificate.Instant{at(0), at(61 * time.Minute), at(61 * time.Minute), at(121 * time.Minute), at(121 * time.Minute), at(121 * time.Minute)}
	got := []certificate.Instant{s.RequestedTime, s.Approvals[0].Time, s.Approvals[1].Time, s.StartedTime, s.VerifiedTime, s.IssuedTime}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("times (-want +got):\n%s", diff)
	}
}

// drawOutcome draws what a system may truly or falsely say of an order, as far as it is no nonsense.
func drawOutcome(t *rapid.T, p Plan, system string) (out []DatasetOutcome) {
	n := rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(0, maxRows))
	order := EraseOrder{Datasets: p.approved(system)}
	for _, i := range p.Items {
		if i.System != system {
			continue
		}
		o := DatasetOutcome{Dataset: i.Dataset, Located: n.Draw(t, "located"), Unchanged: n.Draw(t, "unchanged")}
		if i.Action == Keep {
			o.Kept = n.Draw(t, "kept")
		} else {
			o.Erased, o.Anonymised = n.Draw(t, "erased"), n.Draw(t, "anonymised")
			o.Located = min(o.Located, o.Erased+o.Anonymised+o.Unchanged)
		}
		out = append(out, o)
	}
	if err := checkOutcome(order, p.datasets(system), out); err != nil {
		t.Fatalf("the drawn outcome is refused: %v", err)
	}
	return out
}

// Whatever the systems answered, the statement that the engine makes of it does not contradict itself, and its verdict says
// whether something was left.
func TestEveryStatementIsValid(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		plan := BuildPlan(in)
		w := newWorld(t)
		e := w.store.get()
		e.Plan, e.CreateTime, e.StartTime, e.VerifyTime = &plan, start, start, start
		e.Approvals = []Approval{{"usr_1", start, plan.Hash}}
		worker := &work{Engine: w.engine, e: e}
		for _, s := range plan.Systems {
			p := SystemProgress{System: s.System, Mandatory: s.Mandatory}
			if p.Mandatory || rapid.Bool().Draw(t, "answers") {
				for range rapid.IntRange(1, 3).Draw(t, "rounds") {
					p.add(drawOutcome(t, plan, s.System))
				}
			} else {
				worker.remains(Residual{System: s.System, Reason: "It did not confirm."})
			}
			e.Systems = append(e.Systems, p)
		}
		s := worker.statement()
		if err := s.Validate(); err != nil {
			t.Fatalf("%v\n%+v", err, s)
		}
		for n, i := range plan.Items {
			if d := datasetsOf(s)[n]; i.Action == Keep && (d.Kept != d.Located || d.Kept < i.Count || d.Erased+d.Anonymised+d.Unchanged > 0) {
				t.Fatalf("kept rows are certified as %+v", d)
			}
		}
		if (s.Verdict == certificate.Partial) != (len(e.Residuals) > 0) {
			t.Fatalf("verdict %s with the leftovers %+v", s.Verdict, e.Residuals)
		}
	})
}

func datasetsOf(s certificate.Statement) (list []certificate.Dataset) {
	for _, system := range s.Systems {
		list = append(list, system.Datasets...)
	}
	return list
}
