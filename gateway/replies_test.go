package gateway_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/gateway"
	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/redis/redistest"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
)

// creating is a creating call, which the fake service answers differently each time.
func creating(token, body string) call {
	return call{method: "POST", path: "/v1/controllers/skole/erasures", token: token, body: body}
}

const (
	keyed = `{"subject":{"type":"UNILOGIN","value":"anna1234"},"ground":"UNLAWFUL","requestId":"` + exportID + `"}`
	plain = `{"subject":{"type":"UNILOGIN","value":"anna1234"},"ground":"UNLAWFUL"}`
)

// otherID is another request's key.
const otherID = "5b0c6e2e-5a4b-7c3d-8e9f-0a1b2c3d4e5f"

func key(id string) map[string][]string { return h("Idempotency-Key", id) }

// A repeated call is answered from memory: to the same caller, for the same request, as long as its role allows it. All else
// is the service's to answer.
func TestWhoIsAnsweredFromMemory(t *testing.T) {
	t.Parallel()
	other := strings.Replace(keyed, "anna1234", "otto1234", 1)
	for name, c := range map[string]struct {
		first, second call
		who, role     string // of the second call
		memory        bool   // the service is not asked
	}{
		"the same":                      {first: creating("", keyed), second: creating("", keyed), memory: true},
		"the same key in the header":    {first: call{body: plain, header: key(exportID)}, second: call{body: plain, header: key(exportID)}, memory: true},
		"the key in other letters":      {first: call{body: plain, header: key(exportID)}, second: call{body: plain, header: key(strings.ToUpper(exportID))}, memory: true},
		"blanks in the body":            {first: creating("", keyed), second: creating("", strings.ReplaceAll(keyed, ",", " , ")), memory: true},
		"key in both":                   {first: creating("", keyed), second: call{body: keyed, header: key(exportID)}, memory: true},
		"key in the field, then header": {first: creating("", keyed), second: call{body: plain, header: key(exportID)}},
		"two keys":                      {first: call{body: keyed, header: key(otherID)}, second: call{body: keyed, header: key(otherID)}},
		"no key":                        {first: creating("", plain), second: creating("", plain)},
		"another body":                  {first: creating("", keyed), second: creating("", other)},
		"another caller":                {first: creating("", keyed), second: creating("", keyed), who: "other"},
		"another role of the caller":    {first: creating("", keyed), second: creating("", keyed), role: "platform", memory: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			send := func(c call, who, role string) answer {
				c.method, c.path, c.token = "POST", "/v1/controllers/skole/erasures", s.person(who, role)
				return s.do(c)
			}
			first := send(c.first, "dpo", "dpo")
			if first.StatusCode != http.StatusOK || len(s.audit.reported()) != 0 {
				t.Fatalf("the first: %d %s; %d events of the gateway", first.StatusCode, first.body, len(s.audit.reported()))
			}
			who, role := c.who, c.role
			if who == "" {
				who = "dpo"
			}
			if role == "" {
				role = "dpo"
			}
			second := send(c.second, who, role)
			asked, events := len(s.erasure.all()), len(s.audit.reported())
			switch {
			case c.memory && (asked != 1 || events != 1 || second.body != first.body):
				t.Errorf("the service was asked %d times, %d events; %s, first %s", asked, events, second.body, first.body)
			case !c.memory && (asked != 2 || events != 0 || second.body == first.body):
				t.Errorf("the service was asked %d times, want 2; %d events; %s", asked, events, second.body)
			}
		})
	}
}

// The event of an answer from memory says who, what and whom, and is accepted before the answer is given.
func TestAnswersFromMemoryAreReported(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	token := s.token("dpo", "skole")
	s.do(creating(token, keyed))
	a := s.do(creating(token, keyed))
	events := s.audit.reported()
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	e := events[0]
	got := []any{e.GetAction(), e.GetKind(), e.GetController(), e.GetOutcome(), e.GetReason(), e.GetService(), e.GetResource(), e.GetSubjectRefs(), e.GetDetail()}
	want := []any{"erasure.create", authv1.Rule_CREATE, "skole", auditv1.AuditEvent_OK, "", "gateway",
		"controllers/skole/erasures/1", []string{"sub_1"}, map[string]string{"replay": "true"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(e.GetActor().GetRef(), "usr_") || !strings.Contains(e.GetTraceparent(), a.Header.Get("X-Request-Id")) {
		t.Errorf("actor %q, traceparent %q", e.GetActor().GetRef(), e.GetTraceparent())
	}
	// Where the event is not accepted the service answers, which writes its own.
	s.audit.mu.Lock()
	s.audit.appendErr = errors.New("disk full")
	s.audit.mu.Unlock()
	if a := s.do(creating(token, keyed)); a.StatusCode != http.StatusOK || len(s.erasure.all()) != 2 || strings.Contains(a.body, "erasures/1\"") {
		t.Errorf("%d, the service was asked %d times: %s", a.StatusCode, len(s.erasure.all()), a.body)
	}
}

// Who has lost the role, or the controller, gets no answer from memory either.
func TestMemoryIsNoWayRoundTheRule(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.do(creating(s.person("somebody", "dpo"), keyed))
	if a := s.do(creating(s.person("somebody", "partner"), keyed)); a.StatusCode != http.StatusForbidden || a.reason(t) != "ROLE_REQUIRED" {
		t.Errorf("without the role: %d %s", a.StatusCode, a.body)
	}
	gone := must(s.issuer.Token(access.Claims{Subject: "somebody", Roles: []string{"dpo"}, Controllers: []string{"andre"},
		Issued: time.Now(), Expires: time.Now().Add(time.Hour)}))
	if a := s.do(creating(gone, keyed)); a.StatusCode != http.StatusNotFound {
		t.Errorf("without the controller: %d %s", a.StatusCode, a.body)
	}
	for _, e := range s.audit.reported() {
		if e.GetOutcome() != auditv1.AuditEvent_DENIED {
			t.Errorf("event %s %s", e.GetAction(), e.GetOutcome())
		}
	}
}

// What a service refuses is not remembered: the same key may try again.
func TestRefusalsAreNotRemembered(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	token := s.token("dpo", "skole")
	s.erasure.err = fault.New(fault.Exists, "IDEMPOTENCY_KEY_REUSED", "Used before.")
	for range 2 {
		if a := s.do(creating(token, keyed)); a.StatusCode != http.StatusConflict {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	s.erasure.err = nil
	if a := s.do(creating(token, keyed)); a.StatusCode != http.StatusOK || len(s.erasure.all()) != 3 {
		t.Errorf("%d; the service was asked %d times", a.StatusCode, len(s.erasure.all()))
	}
}

// A method that honours no key is asked each time.
func TestOtherCallsAreNotRemembered(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	c := call{method: "POST", path: "/v1/controllers/skole/erasures/" + exportID + ":approve", body: `{"planHash":"` + strings.Repeat("a", 64) + `"}`,
		token: s.token("dpo", "skole"), header: key(exportID)}
	for range 2 {
		if a := s.do(c); a.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	if n := len(s.erasure.all()); n != 2 {
		t.Errorf("the service was asked %d times, want 2", n)
	}
}

// One gateway remembers what another was answered, where they share a Redis.
func TestGatewaysShareReplies(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one := newSuite(t, with(t, server.Config()))
	other, alone := one.beside(with(t, server.Config())), one.beside(func(c *gateway.Config) { c.Redis = nil })
	token := one.token("dpo", "skole")
	first := one.do(creating(token, keyed))
	if a := other.do(creating(token, keyed)); a.body != first.body || len(one.erasure.all()) != 1 {
		t.Errorf("the service was asked %d times: %s, first %s", len(one.erasure.all()), a.body, first.body)
	}
	if a := alone.do(creating(token, keyed)); a.body == first.body || len(one.erasure.all()) != 2 {
		t.Errorf("a gateway without Redis knows the reply: %s", a.body)
	}
	// Nothing that Redis holds can be read there.
	keys, _ := server.Do(t, "KEYS", "*").([]any)
	replies := 0
	for _, k := range keys {
		value, _ := server.Do(t, "EVAL", "return redis.call('GET', KEYS[1]) or ''", 1, k).(string) // a bucket may be full and gone by now
		if name, _ := k.(string); strings.Contains(name+value, "erasures/1") || strings.Contains(name+value, "usr_") || strings.Contains(name+value, "anna") {
			t.Errorf("%s holds %q", name, value)
		}
		if name, _ := k.(string); strings.Contains(name, ":reply:") {
			replies++
			if ttl, _ := server.Do(t, "PTTL", k).(int64); ttl <= 0 || ttl > time.Hour.Milliseconds() {
				t.Errorf("%s lives for %d ms", k, ttl)
			}
		}
	}
	if replies != 1 {
		t.Errorf("keys: %q, want one reply", keys)
	}
}
