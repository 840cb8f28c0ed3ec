package legalbasis_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/legalbasis"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

// step is one thing that happens in a history.
type step struct {
	What     string
	Activity string
	Ref      string
	Allowed  bool
	Time     time.Duration
}

var (
	activities = []string{"photos", "trips"}
	people     = []string{"p1", "p2"}
)

// histories draws what happens: people give and withdraw, activities change for everybody, streams break, messages lie on their way for
// longer than the bound, questions are slow, the service is away or forgets; and in between somebody asks.
func histories() *rapid.Generator[[]step] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			What: rapid.SampledFrom([]string{"check", "check", "check", "check", "person", "person", "everybody", "wait", "wait", "long wait", "break",
				"delay", "delay", "delay", "no delay", "slow", "fast", "away", "back", "forget", "check while it changes"}).Draw(t, "what"),
			Activity: rapid.SampledFrom(activities).Draw(t, "activity"), Ref: rapid.SampledFrom(people).Draw(t, "ref"), Allowed: rapid.Bool().Draw(t, "allowed"),
			Time: time.Duration(rapid.IntRange(1, 5000).Draw(t, "ms")) * time.Millisecond,
		}
	}), 40, 200)
}

// play plays a history against a client. kept counts the answers from memory; the error is of an ALLOW that was given too late.
func play(t *testing.T, history []step, sab sabotage) (kept int, violation error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.sabotage = sab
		c, err := legalbasis.New(legalbasis.Config{Service: s, Controller: "a", MaxAge: 24 * time.Hour, MaxEntries: 3})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		check := func(activity, ref string) {
			a, err := c.Check(ctx, ask(activity, ref))
			if err != nil {
				return
			}
			if a.Kept {
				kept++
			}
			bound := replicaLag
			if a.Kept {
				bound = legalbasis.DefaultBound
			}
			s.mu.Lock()
			bound += s.slow // an answer is of the time when it was asked for
			s.mu.Unlock()
			if last := s.lastAllowed(activity, ref, time.Now()); a.Allowed() && time.Since(last) > bound {
				violation = fmt.Errorf("an ALLOW that ended %v ago (kept: %v)", time.Since(last), a.Kept)
			}
		}
		for _, activity := range activities {
			s.set(consentv1.LegalBasisChange_ACTIVITY_CHANGED, activity, "", true)
		}
		time.Sleep(10 * time.Second)
		for _, st := range history {
			s.do(st, check)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return kept, violation
}

// do makes a step happen.
func (s *service) do(st step, check func(activity, ref string)) {
	switch st.What {
	case "check":
		check(st.Activity, st.Ref)
		time.Sleep(time.Millisecond)
	case "check while it changes":
		go func() {
			time.Sleep(time.Millisecond)
			s.set(consentv1.LegalBasisChange_CONSENT_WITHDRAWN, st.Activity, st.Ref, false)
		}()
		check(st.Activity, st.Ref)
		time.Sleep(2 * time.Millisecond)
	case "person":
		s.set(consentv1.LegalBasisChange_CONSENT_GIVEN, st.Activity, st.Ref, st.Allowed)
	case "everybody":
		s.set(consentv1.LegalBasisChange_ACTIVITY_CHANGED, st.Activity, "", st.Allowed)
	case "wait":
		time.Sleep(st.Time)
	case "long wait":
		time.Sleep(5 * st.Time)
	case "break":
		s.breakStreams()
	case "delay":
		s.with(func(s *service) { s.delay += st.Time / 2 }) // little by little, so that nobody notices a silence
	case "no delay":
		s.with(func(s *service) { s.delay = 0 })
	case "slow":
		s.with(func(s *service) { s.slow = st.Time / 10 })
	case "fast":
		s.with(func(s *service) { s.slow = 0 })
	case "away":
		s.with(func(s *service) { s.down = true })
		s.breakStreams()
	case "back":
		s.with(func(s *service) { s.down = false })
	case "forget":
		s.forget()
	}
}

func ask(activity, ref string) *consentv1.CheckLegalBasisRequest {
	return &consentv1.CheckLegalBasisRequest{Activity: activity, Subject: &typev1.Subject{Type: typev1.Subject_UNILOGIN, Value: ref}}
}

// Whatever happens, no answer from memory says yes for longer than the bound after it stopped being so.
func TestNoStaleYes(t *testing.T) {
	t.Parallel()
	kept := 0
	rapid.Check(t, func(rt *rapid.T) {
		n, violation := play(t, histories().Draw(rt, "history"), sabotage{})
		kept += n
		if violation != nil {
			rt.Fatal(violation)
		}
	})
	if kept == 0 {
		t.Error("nothing was answered from memory: nothing was tested")
	}
}

// The test above is able to fail: it catches each of the faults that the rules of the package are against.
func TestSabotageIsCaught(t *testing.T) {
	t.Parallel()
	for name, sab := range map[string]sabotage{
		"watches tell of no change":          {mute: true},
		"answers are older than their token": {forgetful: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range 3000 {
				if _, violation := play(t, histories().Example(seed), sab); violation != nil {
					t.Logf("history %d: %v", seed, violation)
					return
				}
			}
			t.Error("not caught")
		})
	}
}

// A way that gets longer little by little is not seen by waiting for messages: they come. Only the time at which the service looked tells
// that they are old.
func TestMessagesOnTheirWay(t *testing.T) {
	t.Parallel()
	var history []step
	for range 12 {
		history = append(history, step{What: "delay", Time: 4 * time.Second})
		for range 4 {
			history = append(history, step{What: "person", Activity: "trips", Ref: "p2"}, step{What: "wait", Time: 2 * time.Second})
		}
	}
	history = append(history, step{What: "check", Activity: "photos", Ref: "p1"}, step{What: "person", Activity: "photos", Ref: "p1"},
		step{What: "wait", Time: 15 * time.Second}, step{What: "check", Activity: "photos", Ref: "p1"})
	if _, violation := play(t, history, sabotage{}); violation != nil {
		t.Error(violation)
	}
	if _, violation := play(t, history, sabotage{stamped: true}); violation == nil {
		t.Error("messages that are dated when they arrive are not caught: nothing was tested")
	}
}
