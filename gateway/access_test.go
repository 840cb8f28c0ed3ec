package gateway_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/fault"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

// Every bad token gets the same answer, bytes and all, and no service hears of it.
func TestTokens(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	valid := s.token("dpo", "skole")
	parts := strings.Split(valid, ".")
	claims := func(change func(*access.Claims)) string {
		c := access.Claims{Subject: "x", Roles: []string{"dpo"}, Controllers: []string{"skole"}, Issued: time.Now(), Expires: time.Now().Add(time.Hour)}
		change(&c)
		return must(s.issuer.Token(c))
	}
	var first string
	for name, values := range map[string][]string{
		"D1 none":                   {},
		"D2 two":                    {"Bearer " + valid, "Bearer " + valid},
		"D2 two in one header":      {"Bearer " + valid + ", Bearer " + valid},
		"D3 alg none":               {"Bearer " + forged(t, map[string]any{"alg": "none"}, parts[1], nil) + ""},
		"D4 HS256":                  {"Bearer " + forged(t, map[string]any{"alg": "HS256"}, parts[1], []byte("secret"))},
		"D5 embedded key":           {"Bearer " + forged(t, map[string]any{"alg": "EdDSA", "jwk": map[string]any{"kty": "oct"}}, parts[1], []byte("x"))},
		"D6 address of keys":        {"Bearer " + forged(t, map[string]any{"alg": "EdDSA", "jku": "http://127.0.0.1:1/"}, parts[1], []byte("x"))},
		"D7 kid of a file":          {"Bearer " + forged(t, map[string]any{"alg": "EdDSA", "kid": "../../dev/null"}, parts[1], []byte("x"))},
		"D15 crit":                  {"Bearer " + forged(t, map[string]any{"alg": "EdDSA", "crit": []string{"x"}}, parts[1], []byte("x"))},
		"D11 expired":               {"Bearer " + claims(func(c *access.Claims) { c.Expires = time.Now().Add(-61 * time.Second) })},
		"D13 issued in the future":  {"Bearer " + claims(func(c *access.Claims) { c.Issued = time.Now().Add(5 * time.Minute) })},
		"D16 many dots":             {"Bearer " + strings.Repeat(".", 8000)},
		"signature cut":             {"Bearer " + valid[:len(valid)-4]},
		"no scheme":                 {valid},
		"other scheme":              {"Basic " + valid},
		"empty":                     {""},
		"star for a dpo":            {"Bearer " + claims(func(c *access.Claims) { c.Controllers = []string{"*"} })},
		"a sentence about somebody": {"Bearer token for anna@skole.dk expired"},
	} {
		a := s.do(call{method: "GET", path: "/v1/controllers/skole", header: map[string][]string{"Authorization": values}})
		if a.StatusCode != http.StatusUnauthorized || a.Header.Get("WWW-Authenticate") != `Bearer realm="privacyops"` {
			t.Errorf("%s: %d, challenge %q", name, a.StatusCode, a.Header.Get("WWW-Authenticate"))
		}
		if first == "" {
			first = a.body
		}
		if a.body != first || a.reason(t) != "TOKEN_INVALID" {
			t.Errorf("%s: another answer: %s", name, a.body)
		}
	}
	if n := len(s.consent.all()); n != 0 {
		t.Errorf("a service heard %d calls", n)
	}
	if n := len(s.audit.reported()); n != 0 {
		t.Errorf("%d events about callers that are unknown", n)
	}
	// D11: within the leeway; and the scheme is taken in any case (RFC 9110 section 11.1).
	late := claims(func(c *access.Claims) { c.Expires = time.Now().Add(-50 * time.Second) })
	if a := s.do(call{method: "GET", path: "/v1/controllers/skole", header: h("Authorization", "bearer "+late)}); a.StatusCode != http.StatusOK {
		t.Errorf("a token within the leeway: %d %s", a.StatusCode, a.body)
	}
}

// forged makes a token with a header of its own.
func forged(t *testing.T, header map[string]any, payload string, key []byte) string {
	t.Helper()
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	signed := base64.RawURLEncoding.EncodeToString(text) + "." + payload
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// A role that may not is told so, the event is in the audit service before the answer, and no service is called.
func TestRefusalsAreReported(t *testing.T) {
	s := newSuite(t)
	for name, c := range map[string]struct {
		call
		status     int
		action     string
		kind       authv1.Rule_EventKind
		reason     string
		controller string
	}{
		"E9 partner asks for an erasure": {call{method: "POST", path: "/v1/controllers/skole/erasures", body: `{"ground":"UNLAWFUL"}`, token: s.token("partner", "skole")},
			403, "erasure.create", authv1.Rule_CREATE, "ROLE_REQUIRED", "skole"},
		"E8 platform approves": {call{method: "POST", path: "/v1/controllers/skole/erasures/" + exportID + ":approve", body: `{}`, token: s.token("platform", "skole")},
			403, "erasure.approve", authv1.Rule_MODIFY, "ROLE_REQUIRED", "skole"},
		"E8 in a foreign controller": {call{method: "POST", path: "/v1/controllers/andre/erasures/" + exportID + ":approve", body: `{}`, token: s.token("platform", "skole")},
			403, "erasure.approve", authv1.Rule_MODIFY, "ROLE_REQUIRED", ""},
		"E1 foreign erasure": {call{method: "GET", path: "/v1/controllers/andre/erasures/" + exportID, token: s.token("dpo", "skole")},
			404, "erasure.get", authv1.Rule_VIEW, "CONTROLLER_NOT_REACHED", ""},
		"watching a foreign export": {call{method: "GET", path: "/v1/controllers/andre/exports/" + exportID + ":watch", token: s.token("dpo", "skole")},
			404, "export.watch", authv1.Rule_VIEW, "CONTROLLER_NOT_REACHED", ""},
		"fetching with the wrong role": {call{method: "GET", path: "/v1/controllers/skole/exports/" + exportID + "/package", token: s.token("operator", "*")},
			403, "export.download", authv1.Rule_EXPORT, "ROLE_REQUIRED", "skole"},
		"importing with the wrong role": {call{method: "POST", path: "/v1/controllers/skole/rosters:import?format=UNILOGIN_WSIEKSPORT", body: "<x/>", header: h("Content-Type", "text/xml"), token: s.token("dpo", "skole")},
			403, "roster.import", authv1.Rule_CREATE, "ROLE_REQUIRED", "skole"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(s.audit.reported())
			a := s.do(c.call)
			if a.StatusCode != c.status {
				t.Fatalf("%d, want %d: %s", a.StatusCode, c.status, a.body)
			}
			events := s.audit.reported()[before:]
			if len(events) != 1 {
				t.Fatalf("%d events, want 1", len(events))
			}
			e := events[0]
			got := []any{e.GetAction(), e.GetKind(), e.GetReason(), e.GetController(), e.GetOutcome(), e.GetService(), e.GetActor().GetKind()}
			want := []any{c.action, c.kind, c.reason, c.controller, auditv1.AuditEvent_DENIED, "gateway", auditv1.Actor_CALLER}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
			if e.GetActor().GetRef() == "" || strings.Contains(e.GetActor().GetRef(), "somebody") || !strings.Contains(e.GetTraceparent(), a.Header.Get("X-Request-Id")) {
				t.Errorf("actor %q, traceparent %q", e.GetActor().GetRef(), e.GetTraceparent())
			}
		})
	}
	if n := len(s.erasure.all()) + len(s.export.all()); n != 0 {
		t.Errorf("services heard %d refused calls", n)
	}
	for _, md := range s.audit.all() {
		if len(md.Get("authorization")) > 0 {
			t.Error("the caller's token went along with the gateway's own report")
		}
	}
}

func TestARefusalStandsWithoutTheAuditService(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.audit.appendErr = errors.New("disk of anna full")
	a := s.do(call{method: "POST", path: "/v1/controllers/skole/erasures", body: `{}`, token: s.token("partner", "skole")})
	if a.StatusCode != http.StatusForbidden {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if logs := s.logs.String(); !strings.Contains(logs, "a refused call left no audit event") || strings.Contains(logs, "anna") {
		t.Errorf("log: %s", logs)
	}
}

// What is another controller's looks to the byte like what is not there (G8).
func TestForeignIsAbsent(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.export.get = func(*exportv1.GetExportRequest) (*exportv1.Export, error) { return nil, fault.Missing() }
	token := s.token("dpo", "skole")
	absent := s.do(call{method: "GET", path: "/v1/controllers/skole/exports/" + exportID, token: token})
	if absent.StatusCode != http.StatusNotFound {
		t.Fatalf("absent: %d %s", absent.StatusCode, absent.body)
	}
	for _, path := range []string{
		"/v1/controllers/andre/exports/" + exportID, "/v1/controllers/andre", "/v1/controllers/SKOLE/exports/" + exportID,
		"/v1/controllers/andre/exports/" + exportID + "/package", "/v1/controllers/andre/exports/" + exportID + ":watch",
		"/v1/controllers/skole/exports/" + exportID + "/package",
	} {
		foreign := s.do(call{method: "GET", path: path, token: token})
		if foreign.StatusCode != absent.StatusCode || foreign.body != absent.body {
			t.Errorf("%s: %d %s\nabsent: %s", path, foreign.StatusCode, foreign.body, absent.body)
		}
		for _, header := range []http.Header{foreign.Header, absent.Header} {
			header.Del("Date")
			header.Del("X-Request-Id")
		}
		if diff := cmp.Diff(absent.Header, foreign.Header); diff != "" {
			t.Errorf("%s: headers differ:\n%s", path, diff)
		}
	}
}

// Public routes need no token, and pass none on.
func TestPublicRoutes(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	for _, token := range []string{"", "nonsense", s.token("dpo", "skole")} {
		a := s.do(call{method: "GET", path: "/v1/audit/checkpoint", token: token})
		if a.StatusCode != http.StatusOK || a.body != "example.org/log\n3\nabc=\n\n— note \n" || a.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%d %q %q", a.StatusCode, a.Header.Get("Content-Type"), a.body)
		}
	}
	for _, md := range s.audit.all() {
		if len(md.Get("authorization")) > 0 {
			t.Error("a token was passed on to a public method")
		}
	}
}
