package reporter

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/fault"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
)

// TestTogether: what waits is sent together, at most a hundred at once and no more than fit into a message, in order.
func TestTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.report(t, "a.b", 250)
		f.run(t)()
		if got := f.audit.sizes(); !slices.Equal(got, []int{100, 100, 50}) {
			t.Errorf("reports of %v events", got)
		}
		if ids := f.audit.order; !slices.IsSorted(ids) || len(ids) != 250 {
			t.Errorf("%d events, in order: %t", len(ids), slices.IsSorted(ids))
		}
		for _, md := range f.audit.headers {
			if len(md.Get("authorization")) > 0 {
				t.Error("a caller's token went along")
			}
		}
		f.restart(t)
		f.audit.reports = nil
		large := &auditv1.ReportedEvent{Action: "c.d", Detail: map[string]string{"x": strings.Repeat("x", 60<<10)}}
		for range 20 {
			e := proto.Clone(large).(*auditv1.ReportedEvent)
			f.Report(t.Context(), e)
		}
		f.run(t)()
		if got := f.audit.sizes(); slices.Max(got)*proto.Size(large) > 1<<20 || len(f.audit.order) != 270 {
			t.Errorf("reports of %v large events; %d are kept", got, len(f.audit.order))
		}
	})
}

// TestBound: what does not fit is dropped and counted by its action, and nobody waits.
func TestBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		if taken := f.report(t, "a.b", queued+7); taken != queued || f.meter.of("a.b") != 7 {
			t.Errorf("%d were taken and %d counted as dropped", taken, f.meter.of("a.b"))
		}
		f.run(t)()
		if n := len(f.audit.order); n != queued || f.meter.of("a.b") != 7 {
			t.Errorf("%d were told, %d dropped", n, f.meter.of("a.b"))
		}
	})
}

// TestRetry: while the audit service is away events wait, the pauses grow to five seconds, and nothing is lost or told twice.
func TestRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.audit.away = 8
		stop, begun := f.run(t), time.Now()
		f.report(t, "a.b", 3)
		for len(f.audit.actions()) < 3 && time.Since(begun) < time.Hour {
			time.Sleep(10 * time.Millisecond)
		}
		// 0.2 + 0.4 + 0.8 + 1.6 + 3.2 + 3 x 5 s
		if took, want := time.Since(begun), 21200*time.Millisecond; took < want || took > want+20*time.Millisecond {
			t.Errorf("they were told after %v, want %v", took, want)
		}
		f.audit.mu.Lock()
		f.audit.away = 1
		f.audit.mu.Unlock()
		again := time.Now()
		f.report(t, "c.d", 1)
		for len(f.audit.actions()) < 4 && time.Since(again) < time.Hour {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(again); took > pause+20*time.Millisecond {
			t.Errorf("after a success the pauses begin with %v", took)
		}
		stop()
		if got := f.audit.actions(); len(got) != 4 || f.meter.of("a.b") != 0 {
			t.Errorf("told %v, dropped %d", got, f.meter.of("a.b"))
		}
		if !strings.Contains(f.log.String(), `"code":"Unavailable"`) {
			t.Errorf("the log does not say why events wait: %s", f.log)
		}
	})
}

// TestEnd: what is left at the end is sent in one last attempt; what that does not bring is counted as dropped, and the end is not kept
// waiting for longer than one attempt takes.
func TestEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.audit.gate = make(chan struct{})
		stop := f.run(t)
		f.report(t, "a.b", 1)
		synctest.Wait() // the first one is on its way
		f.report(t, "a.b", 130)
		go func() { time.Sleep(time.Second); close(f.audit.gate) }()
		stop()
		if n := len(f.audit.order); n != 131 || f.meter.of("a.b") != 0 {
			t.Errorf("at the end %d were told and %d dropped", n, f.meter.of("a.b"))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.audit.away = 1 << 30
		stop := f.run(t)
		f.report(t, "a.b", 1)
		synctest.Wait()
		f.report(t, "a.b", 130)
		f.report(t, "c.d", 4)
		stop()
		if attempts := len(f.audit.sizes()); attempts != 2 || f.meter.of("a.b") != 131 || f.meter.of("c.d") != 4 {
			t.Errorf("%d attempts, dropped %d and %d", attempts, f.meter.of("a.b"), f.meter.of("c.d"))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.audit.hangs = true
		stop := f.run(t)
		f.report(t, "a.b", 5)
		synctest.Wait()
		begun := time.Now()
		stop()
		if took := time.Since(begun); took > sendTime || f.meter.of("a.b") != 5 {
			t.Errorf("an audit service that hangs held up the end for %v; %d were counted as dropped", took, f.meter.of("a.b"))
		}
	})
}

// TestRefusedEvents: one event that the audit service does not take goes alone, and the log says which kind it was.
func TestRefusedEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.audit.refuses = map[string]struct{}{"bad.one": {}}
		f.report(t, "a.b", 2)
		f.report(t, "bad.one", 1)
		f.report(t, "a.b", 2)
		f.run(t)()
		if got := f.audit.actions(); !slices.Equal(got, []string{"a.b", "a.b", "a.b", "a.b"}) || f.meter.of("bad.one") != 1 || f.meter.of("a.b") != 0 {
			t.Errorf("told %v, dropped %v", got, f.meter.lost)
		}
		if got := f.audit.sizes(); !slices.Equal(got, []int{5, 1, 1, 1, 1, 1}) {
			t.Errorf("reports of %v events", got)
		}
		if log := f.log.String(); !strings.Contains(log, `"bad.one"`) || !strings.Contains(log, "InvalidArgument") || strings.Contains(log, "withheld") {
			t.Errorf("log: %s", log)
		}
		f.restart(t)
		f.audit.reports = nil
		f.report(t, "bad.one", 1)
		f.run(t)()
		if got := f.audit.sizes(); !slices.Equal(got, []int{1}) || f.meter.of("bad.one") != 2 {
			t.Errorf("a refused event alone was sent %v times, %d dropped", got, f.meter.of("bad.one"))
		}
	})
}

// TestLogIn: a token logs in once with each of its controllers, or with the suite where it is for all; told again by another gateway or
// after a new start the event has the same id and counts once, and what came with it in one report is told all the same.
func TestLogIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		dpo := access.Caller{Ref: "usr_1", Roles: []authv1.Rule_Role{authv1.Rule_DPO}, Controllers: []string{"north", "south"}}
		operator := access.Caller{Ref: "usr_2", Roles: []authv1.Rule_Role{authv1.Rule_OPERATOR}, AllControllers: true, Controllers: []string{"x"}}
		for range 3 {
			f.Verified(t.Context(), dpo, "token")
			f.Verified(t.Context(), operator, "all")
		}
		f.Verified(t.Context(), dpo, "another token")
		f.run(t)()
		got := f.audit.events()
		if len(got) != 5 || !slices.Equal(f.audit.sizes(), []int{5}) {
			t.Fatalf("%d log-ins in reports of %v: %v", len(got), f.audit.sizes(), got)
		}
		for i, want := range []struct{ controller, ref string }{{"north", "usr_1"}, {"south", "usr_1"}, {"", "usr_2"}, {"north", "usr_1"}, {"south", "usr_1"}} {
			e := got[i]
			if e.GetController() != want.controller || e.GetActor().GetRef() != want.ref || e.GetActor().GetKind() != auditv1.Actor_CALLER || e.GetAction() != access.LoginAction ||
				e.GetKind() != authv1.Rule_LOGIN || e.GetOutcome() != auditv1.AuditEvent_OK || e.GetService() != "gateway" || !e.GetOccurTime().AsTime().Equal(noon) {
				t.Errorf("log-in %d is %v", i, e)
			}
		}
		f.restart(t)
		f.clock.Advance(time.Hour)
		f.audit.reports = nil
		f.report(t, "a.b", 1)
		f.Verified(t.Context(), dpo, "token")
		f.report(t, "a.b", 1)
		f.run(t)()
		if got := f.audit.actions(); len(got) != 7 || got[6] != "a.b" || f.meter.of(access.LoginAction) != 0 || !slices.Equal(f.audit.sizes(), []int{4}) {
			t.Errorf("after a new start the log has %v, in reports of %v; dropped %v", got, f.audit.sizes(), f.meter.lost)
		}
	})
}

// TestLogInWithoutRoom is told with a later call, whole.
func TestLogInWithoutRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		dpo := access.Caller{Ref: "usr_1", Controllers: []string{"north", "south"}}
		f.report(t, "a.b", queued-1)
		f.Verified(t.Context(), dpo, "token") // north finds room
		if f.meter.of(access.LoginAction) != 1 {
			t.Errorf("%d log-ins were dropped", f.meter.of(access.LoginAction))
		}
		stop := f.run(t)
		synctest.Wait()
		f.Verified(t.Context(), dpo, "token")
		stop()
		var at []string
		for _, e := range f.audit.events() {
			if e.GetAction() == access.LoginAction {
				at = append(at, e.GetController())
			}
		}
		if !slices.Equal(at, []string{"north", "south"}) {
			t.Errorf("log-ins at %v", at)
		}
	})
}

// TestRefused: calls without a good token make one event a minute and reason, with how many there were since the last.
func TestRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		bad := fault.New(fault.Unauthenticated, "TOKEN_INVALID", "x").Because(errors.New("token of anna"))
		other := fault.New(fault.Unauthenticated, "TOKEN_MISSING", "x")
		for range 60 { // a call a second
			f.Refused(t.Context(), bad)
			f.clock.Advance(time.Second)
		}
		f.Refused(t.Context(), other)
		for range 61 {
			f.Refused(t.Context(), bad)
			f.clock.Advance(time.Second)
		}
		f.run(t)()
		var got []string
		for _, e := range f.audit.events() {
			got = append(got, e.GetReason()+" "+e.GetDetail()["count"])
			if e.GetAction() != access.RefuseAction || e.GetKind() != authv1.Rule_LOGIN || e.GetOutcome() != auditv1.AuditEvent_DENIED ||
				e.GetActor().GetKind() != auditv1.Actor_ANONYMOUS || e.GetActor().GetRef() != "" || e.GetController() != "" || strings.Contains(e.String(), "anna") {
				t.Errorf("%v", e)
			}
		}
		if want := []string{"TOKEN_INVALID 1", "TOKEN_MISSING 1", "TOKEN_INVALID 60", "TOKEN_INVALID 60"}; !slices.Equal(got, want) {
			t.Errorf("told %v, want %v", got, want)
		}
	})
}

// TestNewNeedsEverything.
func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	whole := newFixture(t).cfg
	for name, change := range map[string]func(*Config){
		"audit": func(c *Config) { c.Audit = nil }, "clock": func(c *Config) { c.Clock = nil }, "ids": func(c *Config) { c.NewID = nil },
		"log": func(c *Config) { c.Log = nil }, "meter": func(c *Config) { c.Meter = nil }, "verifier": func(c *Config) { c.Verifier = nil },
	} {
		cfg := whole
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("a reporter without %s", name)
		}
	}
}
