package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/privacyops/privacyops/gateway"
	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/redis/redistest"
)

// open makes a client that is closed with the test, after its gateways.
func open(t *testing.T, cfg redis.Config) *redis.Client {
	t.Helper()
	c := must(redis.New(cfg))
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// with gives a gateway a client of its own.
func with(t *testing.T, cfg redis.Config) func(*gateway.Config) {
	client := open(t, cfg)
	return func(c *gateway.Config) { c.Redis = client }
}

func rate(calls int) func(*gateway.Config) {
	return func(c *gateway.Config) { c.Limits.CallsPerCaller = calls }
}

// person makes a token for somebody with a role.
func (s *suite) person(name, role string) string {
	return must(s.issuer.Token(access.Claims{Subject: name, Roles: []string{role}, Controllers: []string{"skole"},
		Issued: time.Now(), Expires: time.Now().Add(time.Hour)}))
}

// fresh is the name of somebody who has called no server before: tests may share one.
func fresh() string { return "somebody-" + uuid.NewString() }

// burst sends calls in turn to gateways, and counts those that were let through. Every other must be refused as one too many.
func burst(t *testing.T, token string, calls int, gateways ...*suite) (passed int) {
	t.Helper()
	for i := range calls {
		a := gateways[i%len(gateways)].do(call{method: "GET", path: "/v1/controllers/skole", token: token})
		switch {
		case a.StatusCode == http.StatusOK:
			passed++
		case a.StatusCode != http.StatusTooManyRequests || a.reason(t) != "RATE_LIMITED" || a.Header.Get("Retry-After") == "":
			t.Fatalf("%d, Retry-After %q: %s", a.StatusCode, a.Header.Get("Retry-After"), a.body)
		}
	}
	return passed
}

// Two gateways together let a caller do what one does, where they share a Redis; without one each counts for itself.
func TestOneRateForAllGateways(t *testing.T) {
	t.Parallel()
	cfg := redistest.Config(t)
	const most, calls = 5, 20
	for _, shared := range []bool{true, false} {
		t.Run(fmt.Sprintf("shared %t", shared), func(t *testing.T) {
			t.Parallel()
			changes, lowest := []func(*gateway.Config){rate(most)}, 2*most
			if shared {
				changes, lowest = append(changes, with(t, cfg)), most
			}
			one := newSuite(t, changes...)
			other := one.beside()
			if shared {
				other = one.beside(with(t, cfg)) // a client of its own, as a process has
			}
			start := time.Now()
			passed := burst(t, one.person(fresh(), "dpo"), calls, one, other)
			highest := calls
			if shared {
				highest = most + 1 + int(time.Since(start).Seconds()*most) // what has come back meanwhile
			}
			if passed < lowest || passed > highest {
				t.Errorf("%d of %d calls passed, want %d to %d", passed, calls, lowest, highest)
			}
		})
	}
}

// Redis that is not there, or goes away, delays calls at most: each gateway then counts and remembers for itself.
func TestCallsGoOnWithoutRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := newSuite(t, with(t, server.Config()))
	token := s.token("dpo", "skole")
	for _, step := range []struct {
		name string
		do   func()
	}{{"Redis is there", func() {}}, {"paused", func() { server.Do(t, "CLIENT", "PAUSE", 60_000, "ALL") }}, {"killed", func() { server.Kill(t) }}} {
		step.do()
		for range 3 {
			start := time.Now()
			if a := s.do(creating(token, keyed)); a.StatusCode != http.StatusOK {
				t.Fatalf("%s: %d %s", step.name, a.StatusCode, a.body)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("%s: a call took %s", step.name, took)
			}
		}
	}
	ready := httptest.NewRecorder()
	if s.gateway.AdminHandler().ServeHTTP(ready, httptest.NewRequest(http.MethodGet, "/readyz", nil)); ready.Code != http.StatusOK {
		t.Errorf("without Redis the gateway is not ready: %s", ready.Body)
	}
	// One call of the first step was carried out, all later ones went to the service, which knows the key itself.
	if n := len(s.erasure.all()); n != 1+3+3 {
		t.Errorf("the service heard %d calls, want 7", n)
	}
}

// An operator reads in the log, once each, that Redis went away and came back, and no address.
func TestRedisIsNotedWhenItGoes(t *testing.T) {
	t.Parallel()
	server, lines := redistest.Start(t), &lockedBuffer{}
	client := open(t, server.Config())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- gateway.WatchRedis(ctx, client, slog.New(slog.NewTextHandler(lines, nil)), 10*time.Millisecond)
	}()
	await := func(text string) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !strings.Contains(lines.String(), text); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the log does not say %q: %s", text, lines)
			}
		}
	}
	time.Sleep(50 * time.Millisecond) // a few rounds with nothing to say
	server.Kill(t)
	await("redis is away")
	server.Restart(t)
	await("redis is back")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if text := lines.String(); strings.Count(text, "\n") != 2 || strings.Contains(text, "127.0.0.1") {
		t.Errorf("log: %s", text)
	}
}

// A caller who goes on calling though they are told to slow down is told of in the log, once a minute.
func TestAStormIsReported(t *testing.T) {
	t.Parallel()
	s := newSuite(t, rate(1))
	token := s.person(fresh(), "dpo")
	burst(t, token, 250, s)
	storms := func() (n int) {
		for _, e := range s.audit.reported() {
			if e.GetAction() == "rate_limit.storm" {
				n++
				if e.GetService() != "gateway" || e.GetController() != "" || e.GetActor().GetRef() == "" || e.GetReason() != "RATE_LIMITED" {
					t.Errorf("the event is %v", e)
				}
			}
		}
		return n
	}
	for deadline := time.Now().Add(5 * time.Second); storms() == 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if n := storms(); n != 1 {
		t.Errorf("%d storms were reported, want 1", n)
	}
}
