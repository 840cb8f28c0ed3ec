package erasure_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/privacyops/privacyops/libs/fault"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
)

// TestTrouble lets a system fail while the plan is made, while it erases and while it verifies; each time the leftover is named
// with the time of the next attempt, and the erasure completes once the system has healed.
func TestTrouble(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	named := func(state erasurev1.Erasure_State, text string) func(*erasurev1.Erasure) bool {
		return func(e *erasurev1.Erasure) bool {
			return e.GetState() == state && e.GetNextAttemptTime() != nil && len(e.GetResiduals()) > 0 &&
				strings.Contains(e.GetResiduals()[0].GetReason(), text) && !strings.Contains(e.String(), pupil)
		}
	}
	s.systems.fails("lms", codes.Unavailable)
	e := s.create()
	s.await(e.GetName(), "waiting for a system that is down", named(erasurev1.Erasure_PLANNING, "cannot be reached"))
	s.systems.fails("lms", codes.DeadlineExceeded)
	s.await(e.GetName(), "waiting for a system that is slow", named(erasurev1.Erasure_PLANNING, "did not answer in time"))
	s.systems.fails("lms", codes.NotFound)
	s.await(e.GetName(), "waiting for the right participant", named(erasurev1.Erasure_PLANNING, "does not speak for this controller"))
	s.systems.fails("lms", codes.OK)
	s.systems.set(func() { s.systems.bad = true })
	s.await(e.GetName(), "waiting for an answer that can be true", named(erasurev1.Erasure_PLANNING, "cannot be true"))
	s.systems.set(func() { s.systems.bad = false })
	e = s.awaitState(e.GetName(), erasurev1.Erasure_AWAITING_APPROVAL)
	s.systems.fails("lms/Erase", codes.Internal)
	_, err := s.approve(s.dpo(), e)
	check(t, err)
	s.await(e.GetName(), "PARTIAL", named(erasurev1.Erasure_PARTIAL, "answered with an error (Internal)"))
	s.systems.fails("lms/Erase", codes.OK)
	s.systems.fails("lms/Verify", codes.Unavailable)
	s.await(e.GetName(), "PARTIAL for want of verification", named(erasurev1.Erasure_PARTIAL, "could not be asked what is left"))
	s.systems.set(func() { s.systems.bad, s.systems.trouble = true, nil })
	s.await(e.GetName(), "PARTIAL for nonsense", named(erasurev1.Erasure_PARTIAL, "cannot be true"))
	s.systems.set(func() { s.systems.bad, s.systems.trouble = false, map[string]func() error{} })
	e = s.awaitState(e.GetName(), erasurev1.Erasure_COMPLETED)
	if len(e.GetResiduals()) != 0 || len(s.systems.left()) != 1 {
		t.Errorf("leftovers %v, rows %v", e.GetResiduals(), s.systems.left())
	}
	s.tally() // every event is one that the audit service takes
	s.leaks()
}

func TestAParticipantThatNobodyConfigured(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.register.change(func(c *consentv1.Snapshot) { c.Systems[1].Participant = "absent" })
	e := s.create()
	s.await(e.GetName(), "waiting for the configuration", func(e *erasurev1.Erasure) bool {
		return len(e.GetResiduals()) == 1 && strings.Contains(e.GetResiduals()[0].GetReason(), `No participant "absent" is configured`)
	})
	_, err := s.erasures.PreviewErasure(s.dpo(), &erasurev1.PreviewErasureRequest{Parent: "controllers/north", Subject: subject(pupil), Ground: erasurev1.Erasure_RETENTION})
	wantFault(t, err, fault.Unavailable, "PARTICIPANT_UNKNOWN")
	s.register.change(func(c *consentv1.Snapshot) { c.Systems[1].Mandatory = false })
	p, err := s.erasures.PreviewErasure(s.dpo(), &erasurev1.PreviewErasureRequest{Parent: "controllers/north", Subject: subject(pupil), Ground: erasurev1.Erasure_RETENTION})
	if err != nil || len(p.GetWarnings()) != 1 || !strings.Contains(p.GetWarnings()[0], "desk did not answer") {
		t.Errorf("the preview warns %q, %v", p.GetWarnings(), err)
	}
}

// A service that ends in the middle of the work goes on where it was when it starts again.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	e := s.planned()
	holding := make(chan struct{})
	s.systems.set(func() { s.systems.holding = holding })
	_, err := s.approve(s.dpo(), e)
	check(t, err)
	s.awaitState(e.GetName(), erasurev1.Erasure_RUNNING)
	stopped := make(chan struct{})
	go func() { defer close(stopped); s.stop() }()
	time.Sleep(50 * time.Millisecond)
	close(holding)
	<-stopped
	s.start()
	check(t, s.service.Ready(context.Background()))
	s.awaitState(e.GetName(), erasurev1.Erasure_COMPLETED)
	if counts := s.tally(); counts["erasure.execute OK"] != 2 || counts["erasure.complete OK"] != 1 || counts["erasure.start OK"] != 1 {
		t.Errorf("events %v", counts)
	}
}
