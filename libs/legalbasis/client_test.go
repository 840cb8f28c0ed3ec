package legalbasis_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/legalbasis"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// bubble is a client that is up to date with a fake service, in a synctest bubble. Everybody may do everything.
type bubble struct {
	*legalbasis.Client
	t       *testing.T
	service *service

	mu     sync.Mutex
	breaks []error
}

// broken are the reasons of breaks so far.
func (b *bubble) broken() []error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.breaks)
}

func inBubble(t *testing.T, cfg legalbasis.Config, f func(b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{t: t, service: newService()}
		for _, activity := range activities {
			b.service.set(consentv1.LegalBasisChange_ACTIVITY_CHANGED, activity, "", true)
		}
		time.Sleep(time.Minute)
		if cfg.Service == nil {
			cfg.Service = b.service
		}
		cfg.Controller, cfg.Broken = "a", func(err error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.breaks = append(b.breaks, err)
		}
		var err error
		if b.Client, err = legalbasis.New(cfg); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		time.Sleep(time.Second)
		f(b)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// check asks and reports how it was answered: `ALLOW`, `DENY`, with `kept` before it where that is so.
func (b *bubble) check(q *consentv1.CheckLegalBasisRequest) string {
	b.t.Helper()
	a, err := b.Check(b.t.Context(), q)
	if err != nil {
		return status.Code(err).String()
	}
	if a.Allowed() != (a.GetDecision() == consentv1.Decision_ALLOW) {
		b.t.Error("Allowed says something else than the decision")
	}
	if a.Kept {
		return "kept " + a.GetDecision().String()
	}
	return a.GetDecision().String()
}

func (b *bubble) want(want string, q *consentv1.CheckLegalBasisRequest) {
	b.t.Helper()
	if got := b.check(q); got != want {
		b.t.Errorf("got %q, want %q", got, want)
	}
}

// What ends a kept answer, and what does not.
func TestWhatEndsAnAnswer(t *testing.T) {
	t.Parallel()
	p1 := ask("photos", "p1")
	second := func(b *bubble) { time.Sleep(time.Second) }
	for name, tc := range map[string]struct {
		cfg   legalbasis.Config
		lasts time.Duration // 0: the answer does not end by itself
		then  func(b *bubble)
		want  string
	}{
		"nothing":                   {then: second, want: "kept ALLOW"},
		"heartbeats keep it":        {then: func(*bubble) { time.Sleep(55 * time.Second) }, want: "kept ALLOW"},
		"its age":                   {then: func(*bubble) { time.Sleep(61 * time.Second) }, want: "ALLOW"},
		"before its end":            {lasts: 30 * time.Second, then: func(*bubble) { time.Sleep(29 * time.Second) }, want: "kept ALLOW"},
		"its end":                   {lasts: 30 * time.Second, then: func(*bubble) { time.Sleep(30 * time.Second) }, want: "ALLOW"},
		"the person's withdrawal":   {then: func(b *bubble) { b.service.set(5, "photos", "p1", false); second(b) }, want: "DENY"},
		"another person's does not": {then: func(b *bubble) { b.service.set(5, "photos", "p2", false); second(b) }, want: "kept ALLOW"},
		"another activity does not": {then: func(b *bubble) { b.service.set(5, "trips", "p1", false); second(b) }, want: "kept ALLOW"},
		"the person, any activity":  {then: func(b *bubble) { b.service.set(10, "", "p1", false); second(b) }, want: "ALLOW"}, // asked again
		"anybody, the activity":     {then: func(b *bubble) { b.service.set(2, "photos", "", false); second(b) }, want: "DENY"},
		"the controller":            {then: func(b *bubble) { b.service.set(1, "", "", false); second(b) }, want: "ALLOW"},
		"a kind that is not known":  {then: func(b *bubble) { b.service.set(99, "photos", "p1", false); second(b) }, want: "DENY"},
		"a break": {then: func(b *bubble) {
			b.service.with(func(s *service) { s.down = true })
			b.service.breakStreams()
			second(b)
		}, want: "Unavailable"},
		"a break that is over": {then: func(b *bubble) { b.service.breakStreams(); time.Sleep(2 * time.Second) }, want: "kept ALLOW"},
		"a change during a break": {then: func(b *bubble) {
			b.service.breakStreams()
			b.service.set(5, "photos", "p1", false)
			time.Sleep(2 * time.Second)
		}, want: "DENY"},
		"a history that is gone": {then: func(b *bubble) {
			b.service.set(5, "trips", "p2", false)
			b.service.breakStreams()
			b.service.forget()
			time.Sleep(5 * time.Second)
		}, want: "ALLOW"},
		"silence": {then: func(b *bubble) {
			b.service.with(func(s *service) { s.delay = time.Hour })
			time.Sleep(13 * time.Second)
		}, want: "ALLOW"},
		"a bound below the rhythm": {cfg: legalbasis.Config{Bound: 2 * time.Second}, then: func(*bubble) { time.Sleep(1500 * time.Millisecond) }, want: "ALLOW"},
		"a short age":              {cfg: legalbasis.Config{MaxAge: time.Second}, then: func(*bubble) { time.Sleep(1001 * time.Millisecond) }, want: "ALLOW"},
		"no room":                  {cfg: legalbasis.Config{MaxEntries: 1}, then: func(b *bubble) { b.check(ask("photos", "p2")) }, want: "ALLOW"},
		"room by use":              {cfg: legalbasis.Config{MaxEntries: 2}, then: func(b *bubble) { b.check(ask("photos", "p2")); b.check(p1); b.check(ask("trips", "p1")) }, want: "kept ALLOW"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, tc.cfg, func(b *bubble) {
				b.service.with(func(s *service) { s.lasts = tc.lasts })
				b.want("ALLOW", p1)
				b.want("kept ALLOW", p1)
				tc.then(b)
				b.want(tc.want, p1)
			})
		})
	}
}

// A denial is kept too, and a consent ends it.
func TestDenialsAreKept(t *testing.T) {
	t.Parallel()
	inBubble(t, legalbasis.Config{}, func(b *bubble) {
		b.service.set(consentv1.LegalBasisChange_CONSENT_WITHDRAWN, "photos", "p1", false)
		time.Sleep(time.Second)
		b.want("DENY", ask("photos", "p1"))
		b.want("kept DENY", ask("photos", "p1"))
		b.service.set(consentv1.LegalBasisChange_CONSENT_GIVEN, "photos", "p1", true)
		time.Sleep(time.Second)
		b.want("ALLOW", ask("photos", "p1"))
	})
}

// Different questions have different answers, and some are always asked.
func TestWhatIsAsked(t *testing.T) {
	t.Parallel()
	inBubble(t, legalbasis.Config{}, func(b *bubble) {
		b.want("ALLOW", ask("photos", "p1"))
		for name, change := range map[string]func(*consentv1.CheckLegalBasisRequest){
			"recipient":   func(q *consentv1.CheckLegalBasisRequest) { q.Recipient = "printer" },
			"location":    func(q *consentv1.CheckLegalBasisRequest) { q.Location = "US" },
			"category":    func(q *consentv1.CheckLegalBasisRequest) { q.DataCategories = []string{"health"} },
			"identifiers": func(q *consentv1.CheckLegalBasisRequest) { q.Subjects = append(q.Subjects, q.GetSubject()) },
		} {
			q := ask("photos", "p1")
			change(q)
			if got := b.check(q); got != "ALLOW" {
				t.Errorf("%s: %s", name, got)
			}
			if got := b.check(q); got != "kept ALLOW" {
				t.Errorf("%s again: %s", name, got)
			}
		}
		for name, change := range map[string]func(*consentv1.CheckLegalBasisRequest){
			"signed": func(q *consentv1.CheckLegalBasisRequest) { q.Signed = true },
			"past":   func(q *consentv1.CheckLegalBasisRequest) { q.AsOf = timestamppb.Now() },
			"full": func(q *consentv1.CheckLegalBasisRequest) {
				q.Consistency = &consentv1.Consistency{Requirement: &consentv1.Consistency_Full{Full: true}}
			},
		} {
			q := ask("photos", "p1")
			change(q)
			for range 2 {
				if got := b.check(q); got != "ALLOW" {
					t.Errorf("%s: %s", name, got)
				}
			}
		}
		foreign := ask("photos", "p1")
		foreign.Parent = "controllers/b"
		if _, err := b.Check(b.t.Context(), foreign); err == nil {
			t.Error("another controller is answered")
		}
		own := ask("photos", "p1")
		own.Parent = "controllers/a"
		b.want("kept ALLOW", own)
	})
}

// What a caller does with an answer does not change the next one.
func TestAnswersAreCopies(t *testing.T) {
	t.Parallel()
	inBubble(t, legalbasis.Config{}, func(b *bubble) {
		for range 3 {
			a, err := b.Check(b.t.Context(), ask("photos", "p1"))
			if err != nil || !a.Allowed() {
				t.Fatalf("%v %v", a, err)
			}
			a.Decision.Decision = consentv1.Decision_DENY
		}
	})
}

// While nobody follows, everything is asked.
func TestWithoutRun(t *testing.T) {
	t.Parallel()
	s := newService()
	s.set(consentv1.LegalBasisChange_ACTIVITY_CHANGED, "photos", "", true)
	s.events[0].at, s.events[1].at = time.Time{}, time.Time{}
	c, err := legalbasis.New(legalbasis.Config{Service: s, Controller: "a"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if a, err := c.Check(t.Context(), ask("photos", "p1")); err != nil || a.Kept || !a.Allowed() || c.Fresh() {
			t.Errorf("%v %v", a, err)
		}
	}
	if s.asked != 2 {
		t.Errorf("asked %d times", s.asked)
	}
}

// oddly answers in a way that cannot be kept.
type oddly struct {
	*service
	change func(*consentv1.Decision)
}

func (o oddly) CheckLegalBasis(ctx context.Context, in *consentv1.CheckLegalBasisRequest, opts ...grpc.CallOption) (*consentv1.Decision, error) {
	d, err := o.service.CheckLegalBasis(ctx, in, opts...)
	if err == nil {
		o.change(d)
	}
	return d, err
}

func TestWhatIsNotKept(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*consentv1.Decision){
		"no pseudonym":        func(d *consentv1.Decision) { d.SubjectRefs = nil },
		"no outcome":          func(d *consentv1.Decision) { d.Decision = 0 },
		"freshness not shown": func(d *consentv1.Decision) { d.Decision, d.Reason = 2, consentv1.Decision_FRESHNESS_UNPROVABLE },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, legalbasis.Config{}, func(b *bubble) {
				o := oddly{b.service, change}
				c, err := legalbasis.New(legalbasis.Config{Service: o, Controller: "a"})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(b.t.Context())
				go func() { _ = c.Run(ctx) }()
				time.Sleep(time.Second)
				if !c.Fresh() {
					t.Fatal("not up to date")
				}
				for range 2 {
					if a, err := c.Check(ctx, ask("photos", "p1")); err != nil || a.Kept {
						t.Errorf("%v %v", a, err)
					}
				}
				cancel()
				synctest.Wait()
			})
		})
	}
}

// Who is told why watches end, and that no identifier is in it.
func TestBroken(t *testing.T) {
	t.Parallel()
	inBubble(t, legalbasis.Config{}, func(b *bubble) {
		b.service.with(func(s *service) { s.delay = time.Hour })
		time.Sleep(13 * time.Second)
		synctest.Wait()
		if errs := b.broken(); len(errs) != 1 || !strings.Contains(errs[0].Error(), "silent") || b.Fresh() {
			t.Errorf("%v", errs)
		}
		b.service.with(func(s *service) { s.delay, s.down = 0, true })
		b.service.breakStreams()
		time.Sleep(time.Minute)
		if errs := b.broken(); len(errs) < 5 || len(errs) > 30 || status.Code(errs[len(errs)-1]) != codes.Unavailable {
			t.Errorf("%d breaks in a minute: %v", len(errs), errs)
		}
		b.service.with(func(s *service) { s.down = false })
		time.Sleep(10 * time.Second)
		if !b.Fresh() {
			t.Error("it does not come back")
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]legalbasis.Config{
		"no service": {Controller: "a"}, "no controller": {Service: newService()},
		"negative bound": {Service: newService(), Controller: "a", Bound: -1}, "negative age": {Service: newService(), Controller: "a", MaxAge: -1},
	} {
		if _, err := legalbasis.New(cfg); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
