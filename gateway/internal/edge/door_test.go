package edge

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/privacyops/privacyops/gateway/internal/route"
	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/telemetry"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

type fixture struct {
	Config
	issuer *access.Issuer
	log    *strings.Builder
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	f := fixture{log: &strings.Builder{}}
	dir := t.TempDir()
	var err error
	check := func(e error) {
		if e != nil {
			t.Fatal(e)
		}
	}
	f.Clock = clock.NewFake(start)
	f.Limiter = redis.NewLocalLimiter(f.Clock)
	f.issuer, err = access.OpenIssuer(dir)
	check(err)
	keys, err := access.NewFileKeys(access.JWKSPath(dir))
	check(err)
	ring, err := keyring.New(make([]byte, keyring.KeySize))
	check(err)
	f.Verifier, err = access.NewVerifier(access.VerifierConfig{Issuer: access.DevelopmentIssuer, Audience: access.DevelopmentAudience,
		Keys: keys, Keyring: ring, Clock: f.Clock})
	check(err)
	f.Telemetry, err = telemetry.New(t.Context(), telemetry.Config{Service: "gateway", Log: f.log})
	check(err)
	f.Routes, err = route.Load(nil, route.Route{Method: http.MethodGet, Template: "/page", Kind: route.Page},
		route.Route{Method: http.MethodGet, Template: "/v1/controllers/{controller}/exports/{export}", RPC: exportv1.Exports_GetExport_FullMethodName})
	check(err)
	return f
}

func (f fixture) token(t *testing.T, who string) string {
	t.Helper()
	text, err := f.issuer.Token(access.Claims{Subject: who, Roles: []string{"dpo"}, Controllers: []string{"skole"}, Issued: start, Expires: start.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// door makes the door in front of a handler.
func (f fixture) door(t *testing.T, next http.Handler) http.Handler {
	t.Helper()
	h, err := New(f.Config, next)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(h http.Handler, path, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.URL.Scheme, r.URL.Host = "", ""
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPanicBecomesAnError(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	h := f.door(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("anna@skole.dk") }))
	w := get(h, "/page", "")
	var body struct {
		Details []struct{ Metadata map[string]string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != 500 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if id := w.Header().Get("X-Request-Id"); id == "" || body.Details[0].Metadata["errorId"] != id {
		t.Errorf("error id %q, request id %q", body.Details[0].Metadata["errorId"], id)
	}
	if strings.Contains(w.Body.String()+f.log.String(), "anna") || !strings.Contains(f.log.String(), "panic in a request") {
		t.Errorf("body %s, log %s", w.Body, f.log)
	}
}

func TestPanicInTheMiddleOfAnAnswerBreaksTheConnection(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	srv := httptest.NewServer(f.door(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
		panic("late")
	})))
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL + "/page")
	if err == nil {
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
	}
	if err == nil {
		t.Error("half an answer looks whole")
	}
}

func TestCallersAreLimitedEachForThemselves(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Limits = Limits{CallsPerCaller: 3}
	var served atomic.Int64
	h := f.door(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if !access.CallerFrom(r.Context()).HasToken() {
			t.Error("a call without a caller came through")
		}
		served.Add(1)
	}))
	path := "/v1/controllers/skole/exports/01977e2e-5a4b-7c3d-8e9f-0a1b2c3d4e5f"
	for range 3 {
		if w := get(h, path, f.token(t, "a")); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	// Two tokens of one person are one caller.
	w := get(h, path, f.token(t, "a"))
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" {
		t.Errorf("the fourth: %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	if w := get(h, path, f.token(t, "b")); w.Code != 200 {
		t.Errorf("another caller: %d", w.Code)
	}
	if served.Load() != 4 {
		t.Errorf("%d served", served.Load())
	}
}

// counting is a limiter that counts how often it is asked, and for whom.
type counting struct {
	redis.Limiter
	asked []string
}

func (c *counting) Allow(ctx context.Context, controller redis.Controller, caller string, rate redis.Rate) redis.Verdict {
	c.asked = append(c.asked, string(controller)+"/"+caller)
	return c.Limiter.Allow(ctx, controller, caller, rate)
}

// The shared rate costs a call one question, and strangers none.
func TestTheRateIsAskedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	limiter := &counting{Limiter: f.Limiter}
	f.Limiter = limiter
	h := f.door(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	path := "/v1/controllers/skole/exports/01977e2e-5a4b-7c3d-8e9f-0a1b2c3d4e5f"
	get(h, path, "")
	get(h, path, "nonsense")
	get(h, "/page", "")
	if len(limiter.asked) != 0 {
		t.Fatalf("asked about strangers: %q", limiter.asked)
	}
	if w := get(h, path, f.token(t, "anna@skole.dk")); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if len(limiter.asked) != 1 || !strings.HasPrefix(limiter.asked[0], "/usr_") {
		t.Errorf("asked about %q, want once, by reference", limiter.asked)
	}
}

func TestLimitsThatCannotBeKept(t *testing.T) {
	t.Parallel()
	for _, calls := range []int{-1, 1_000_001} {
		f := newFixture(t)
		f.Limits = Limits{CallsPerCaller: calls}
		if _, err := New(f.Config, http.NotFoundHandler()); err == nil {
			t.Errorf("%d calls per caller were accepted", calls)
		}
	}
}

func TestAddressesAreLimitedBeforeTokensAreLookedAt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Limits = Limits{CallsPerAddress: 2}
	h := f.door(t, http.NotFoundHandler())
	for range 2 {
		if w := get(h, "/v1/controllers/skole/exports/a", "x"); w.Code != http.StatusUnauthorized {
			t.Errorf("%d", w.Code)
		}
	}
	if w := get(h, "/v1/controllers/skole/exports/a", f.token(t, "a")); w.Code != http.StatusTooManyRequests {
		t.Errorf("%d", w.Code)
	}
}

func TestEveryAnswerIsSecured(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	h := f.door(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, path := range []string{"/page", "/nothing", "/v1/controllers/skole/exports/a"} {
		w := get(h, path, "")
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Referrer-Policy": "no-referrer"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s: %q", path, name, got)
			}
		}
		if len(w.Header().Get("X-Request-Id")) != 32 || w.Header().Get("Server") != "" {
			t.Errorf("%s: %v", path, w.Header())
		}
	}
}
