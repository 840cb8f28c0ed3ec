package webhook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/monitor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	secretText = "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	loopback   = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
)

func secretOf(string) (string, error) { return secretText + "\n", nil }

// outbound is a store with one delivery.
type outbound struct {
	mu sync.Mutex
	o  monitor.Outgoing
}

func (s *outbound) Due(_ context.Context, now time.Time, _ int) ([]monitor.Outgoing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.o.State != monitor.Pending || s.o.Next.After(now) {
		return nil, nil
	}
	return []monitor.Outgoing{s.o}, nil
}

func (s *outbound) Settle(_ context.Context, d monitor.Delivery) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.o.Delivery = d
	return nil
}

func newOutbound(raised time.Time) *outbound {
	a := monitor.Alert{ID: "01980f0e-0000-7000-8000-000000000001", Controller: "north", Rule: monitor.SelfApproval, Severity: monitor.Warning,
		Summary: monitor.Text{Danish: "Nogen …", English: "Somebody …"}, Raised: raised, Last: raised, Count: 1, Events: []audit.EventID{"e1"}}
	return &outbound{o: monitor.Outgoing{Of: a, Delivery: monitor.Delivery{Alert: a.ID, Webhook: "ops", State: monitor.Pending, Next: raised}}}
}

func newSender(t *testing.T, url string, s *outbound, c clock.Clock, allowed []netip.Prefix) *Sender {
	t.Helper()
	hooks, err := Parse(strings.NewReader(`{"webhooks": [{"id": "ops", "url": "`+url+`", "secretFile": "f", "controllers": "all"}]}`), secretOf)
	if err != nil {
		t.Fatal(err)
	}
	sender, err := NewSender(Config{Webhooks: hooks, Deliveries: s, Clock: c, Allowed: allowed,
		Tried: func(context.Context, monitor.Delivery) {}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sender.client.CloseIdleConnections)
	return sender
}

// TestDelivery: a receiver that refuses the first two attempts gets the third one, the same message under the same id, with a
// signature that the reference library of Standard Webhooks accepts.
func TestDelivery(t *testing.T) {
	t.Parallel()
	verifier, err := standardwebhooks.NewWebhook(secretText)
	if err != nil {
		t.Fatal(err)
	}
	var ids, bodies []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifier.Verify(content, r.Header)
		}
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %v: %v", r.Method, r.Header, err)
		}
		if err := verifier.Verify(append(content, ' '), r.Header); err == nil {
			t.Error("the signature fits another body")
		}
		if ids, bodies = append(ids, r.Header.Get("Webhook-Id")), append(bodies, string(content)); len(ids) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(srv.Close)
	now := time.Now()
	s, c := newOutbound(now), clock.NewFake(now)
	sender := newSender(t, srv.URL, s, c, loopback)
	for range 10 {
		if err := sender.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.Advance(time.Second)
	}
	if s.o.State != monitor.Delivered || s.o.Attempts != 3 || s.o.Reason != "" {
		t.Errorf("the delivery: %+v", s.o.Delivery)
	}
	if len(ids) != 3 || ids[0] != ids[2] || ids[0] != string(s.o.Alert) || bodies[0] != bodies[2] {
		t.Errorf("ids %v, bodies %v", ids, bodies)
	}
	var m message
	if err := json.Unmarshal([]byte(bodies[0]), &m); err != nil || m.Type != "alert.raised" || m.Data.Name != s.o.Of.Name() ||
		m.Data.Rule != monitor.SelfApproval || m.Data.Severity != "WARNING" || m.Data.Events[0] != "controllers/north/auditEvents/e1" {
		t.Errorf("the message: %s, %v", bodies[0], err)
	}
}

// TestGivingUp: what a receiver never takes lies dead after a day, and one that says that it is gone is not asked again.
func TestGivingUp(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status   int
		reason   string
		attempts [2]int // at least, at most
	}{
		"refuses":         {http.StatusInternalServerError, "HTTP_500", [2]int{10, 20}},
		"is gone":         {http.StatusGone, "HTTP_410", [2]int{1, 1}},
		"leads elsewhere": {http.StatusTemporaryRedirect, "REDIRECT", [2]int{10, 20}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
			t.Cleanup(elsewhere.Close)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", elsewhere.URL)
				w.WriteHeader(tc.status)
			}))
			t.Cleanup(srv.Close)
			start := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
			s, c := newOutbound(start), clock.NewFake(start)
			sender := newSender(t, srv.URL, s, c, loopback)
			for s.o.State == monitor.Pending && c.Now().Before(start.Add(48*time.Hour)) {
				c.Set(s.o.Next)
				if err := sender.Step(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if d := s.o.Delivery; d.State != monitor.Dead || d.Reason != tc.reason || d.Attempts < tc.attempts[0] || d.Attempts > tc.attempts[1] {
				t.Errorf("the delivery: %+v", d)
			}
			if c.Now().After(start.Add(lifetime)) {
				t.Errorf("the last attempt was %v after the alert", c.Now().Sub(start))
			}
		})
	}
}

func TestInwardIsRefused(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("an inward address was connected to") }))
	t.Cleanup(srv.Close)
	now := time.Now()
	for name, url := range map[string]string{"number": srv.URL, "name": strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)} {
		s := newOutbound(now)
		if err := newSender(t, url, s, clock.NewFake(now), nil).Step(t.Context()); err != nil || s.o.State != monitor.Pending || s.o.Reason != "ADDRESS_INWARD" {
			t.Errorf("%s: %+v, %v", name, s.o.Delivery, err)
		}
	}
	s := newOutbound(now)
	sender := newSender(t, srv.URL, s, clock.NewFake(now), nil)
	sender.Webhooks = nil
	if err := sender.Step(t.Context()); err != nil || s.o.State != monitor.Dead || s.o.Reason != "WEBHOOK_REMOVED" {
		t.Errorf("one that is no longer configured: %+v, %v", s.o.Delivery, err)
	}
}

func TestOutward(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1::1": true,
		"127.0.0.1": false, "::1": false, "10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "::": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "fe80::1%eth0": false,
		"fd00::1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "::127.0.0.1": false, "224.0.0.1": false, "255.255.255.255": false,
		"ff02::1": false, "198.18.0.1": false, "192.0.0.170": false,
	} {
		if got := outward(netip.MustParseAddr(text), nil); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	if !outward(netip.MustParseAddr("::ffff:127.0.0.1"), loopback) || outward(netip.MustParseAddr("10.0.0.1"), loopback) {
		t.Error("what is allowed is not exactly what was allowed")
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	const one = "webhooks:\n- {id: ops, url: 'https://ops.example/hook', secretFile: f, controllers: [north], leastSeverity: critical}\n"
	hooks, err := Parse(strings.NewReader(one), secretOf)
	if err != nil || len(hooks) != 1 {
		t.Fatal(hooks, err)
	}
	for name, tc := range map[string]struct {
		a    monitor.Alert
		want int
	}{
		"its own, critical": {monitor.Alert{Controller: "north", Severity: monitor.Critical}, 1},
		"its own, less":     {monitor.Alert{Controller: "north", Severity: monitor.Warning}, 0},
		"another's":         {monitor.Alert{Controller: "south", Severity: monitor.Critical}, 0},
		"the suite's":       {monitor.Alert{Severity: monitor.Critical}, 0},
	} {
		if got := To(hooks, tc.a); len(got) != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for name, change := range map[string][2]string{
		"unknown field":  {"id: ops", "id: ops, name: x"},
		"bad id":         {"id: ops", "id: OPS!"},
		"no TLS":         {"https://ops", "http://ops"},
		"a password":     {"https://ops", "https://u:p@ops"},
		"another scheme": {"https:", "file:"},
		"no controllers": {"[north]", "[]"},
		"some word":      {"[north]", "some"},
		"bad controller": {"[north]", "['*']"},
		"severity":       {"critical", "urgent"},
		"no secret":      {"secretFile: f, ", ""},
		"twice":          {"webhooks:\n", "webhooks:\n- {id: ops, url: 'https://a.example', secretFile: f, controllers: all}\n"},
		"a second file":  {"critical}\n", "critical}\n---\nwebhooks: []\n"},
		"no list":        {"webhooks:\n- ", "webhooks: "},
	} {
		text := strings.Replace(one, change[0], change[1], 1)
		if text == one {
			t.Fatalf("%s changes nothing", name)
		}
		if got, err := Parse(strings.NewReader(text), secretOf); err == nil {
			t.Errorf("%s was taken: %+v", name, got)
		}
	}
	for name, secret := range map[string]string{"short": "whsec_YWJj", "no base64": "whsec_!!!!", "empty": ""} {
		if _, err := Parse(strings.NewReader(one), func(string) (string, error) { return secret, nil }); err == nil || strings.Contains(err.Error(), "YWJj") {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("mode 0644")
	if _, err := Parse(strings.NewReader(one), func(string) (string, error) { return "", broken }); !errors.Is(err, broken) {
		t.Errorf("a secret that cannot be read: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("webhooks:\n- {id: ops, url: 'https://ops.example/hook', secretFile: f, controllers: all}\n")
	f.Add(`{"webhooks": [{"id": "a", "controllers": ["b"]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		hooks, err := Parse(strings.NewReader(text), secretOf)
		if err != nil {
			return
		}
		for _, w := range hooks {
			if w.ID == "" || w.URL == "" || len(w.secret) < minSecret || !w.All && len(w.Controllers) == 0 {
				t.Errorf("taken: %+v", w)
			}
		}
	})
}
