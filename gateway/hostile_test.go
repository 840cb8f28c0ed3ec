package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

const (
	exportID = "01977e2e-5a4b-7c3d-8e9f-0a1b2c3d4e5f"
	check    = "/v1/controllers/skole/legalBasis:check"
	subject  = `"subject":{"type":"UNILOGIN","value":"u000007"}`
	good     = `{` + subject + `,"activity":"logning"}`
)

// h makes headers.
func h(pairs ...string) map[string][]string {
	out := map[string][]string{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = append(out[pairs[i]], pairs[i+1])
	}
	return out
}

// Bodies that no client means are refused at the door with one clear answer, and none reaches a service.
func TestBodies(t *testing.T) {
	s := newSuite(t)
	token := s.token("platform", "skole")
	many := strings.TrimSuffix(strings.Repeat(`{},`, 100_000), ",")
	for name, c := range map[string]struct {
		body   string
		header map[string][]string
		status int
		reason string
	}{
		"W4 B1 unknown field":             {`{"aproved":true}`, nil, 400, "INVALID_ARGUMENT"},
		"W6 B3 trailing object":           {good + `{"b":2} xx`, nil, 400, "JSON_INVALID"},
		"W6 trailing word":                {good + ` xx`, nil, 400, "JSON_INVALID"},
		"W8 text/plain":                   {good, h("Content-Type", "text/plain"), 415, "CONTENT_TYPE_UNSUPPORTED"},
		"W8 no content type":              {good, h("Content-Type", ""), 415, "CONTENT_TYPE_UNSUPPORTED"},
		"W9 form with override":           {"a=1", h("Content-Type", "application/x-www-form-urlencoded", "X-HTTP-Method-Override", "DELETE"), 415, "CONTENT_TYPE_UNSUPPORTED"},
		"two content types":               {good, h("Content-Type", "application/json", "Content-Type", "text/plain"), 415, "CONTENT_TYPE_UNSUPPORTED"},
		"other charset":                   {good, h("Content-Type", "application/json; charset=utf-16"), 415, "CONTENT_TYPE_UNSUPPORTED"},
		"A2 truncated":                    {good[:20], nil, 400, "JSON_INVALID"},
		"A3 W16 too large":                {`{"activity":"` + strings.Repeat("a", 1<<20) + `"}`, nil, 413, "BODY_TOO_LARGE"},
		"A12 gzip":                        {good, h("Content-Encoding", "gzip"), 415, "ENCODING_UNSUPPORTED"},
		"B2 duplicate key":                {`{"activity":"a","activity":"b"}`, nil, 400, "JSON_INVALID"},
		"B2 both names of one field":      {`{"dataCategories":[],"data_categories":[]}`, nil, 400, "JSON_INVALID"},
		"B4 wrong type":                   {`{"activity":7}`, nil, 400, "INVALID_ARGUMENT"},
		"B7 unknown enum name":            {`{"subject":{"type":"CPR","value":"x"},"activity":"a"}`, nil, 400, "INVALID_ARGUMENT"},
		"B9 bad UTF-8":                    {"{\"activity\":\"\xff\"}", nil, 400, "JSON_INVALID"},
		"B10 lone surrogate":              {`{"activity":"\ud800"}`, nil, 400, "JSON_INVALID"},
		"B15 nesting":                     {strings.Repeat(`{"subject":`, 10_001) + strings.Repeat(`}`, 10_001), nil, 400, "INVALID_ARGUMENT"},
		"B16 W17 many items":              {`{"subjects":[` + many + `],"activity":"a"}`, nil, 400, "INVALID_ARGUMENT"},
		"B20 oneof twice":                 {`{"consistency":{"token":"a","full":true}}`, nil, 400, "JSON_INVALID"},
		"B24 byte order mark":             {"\ufeff" + good, nil, 400, "JSON_INVALID"},
		"B25 comment":                     {`{/* x */}`, nil, 400, "JSON_INVALID"},
		"null":                            {`null`, nil, 400, "JSON_INVALID"},
		"list":                            {`[]`, nil, 400, "JSON_INVALID"},
		"W7 A1 empty body":                {``, nil, 400, "INVALID_ARGUMENT"},
		"W21 B11 NUL":                     {`{` + subject + `,"activity":"a\u0000"}`, nil, 400, "INVALID_ARGUMENT"},
		"B8 enum 0":                       {`{"subject":{"type":"TYPE_UNSPECIFIED","value":"x"},"activity":"a"}`, nil, 400, "INVALID_ARGUMENT"},
		"body overrides the path":         {`{"parent":"controllers/andre",` + good[1:], nil, 200, ""},
		"charset in any case":             {good, h("Content-Type", "application/json; charset=UTF-8"), 200, ""},
		"good":                            {good, nil, 200, ""},
		"E11 a field that only we fill":   {`{"state":"COMPLETED"}`, nil, 400, "INVALID_ARGUMENT"},
		"Idempotency-Key twice":           {good, h("Idempotency-Key", exportID, "Idempotency-Key", exportID), 400, "IDEMPOTENCY_KEY_INVALID"},
		"Idempotency-Key that is no UUID": {good, h("Idempotency-Key", "ø"), 400, "IDEMPOTENCY_KEY_INVALID"},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.do(call{method: "POST", path: check, body: c.body, token: token, header: c.header})
			if a.StatusCode != c.status {
				t.Fatalf("%d, want %d: %s", a.StatusCode, c.status, a.body)
			}
			if c.status != 200 && a.reason(t) != c.reason {
				t.Errorf("reason %s, want %s: %s", a.reason(t), c.reason, a.body)
			}
		})
	}
	if n := len(s.consent.all()); n != 3 {
		t.Errorf("the service heard %d calls, want the 3 good ones", n)
	}
}

func TestUnknownFieldIsNamed(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	a := s.do(call{method: "POST", path: check, body: `{"aproved":true}`, token: s.token("platform", "skole")})
	if !strings.Contains(a.body, `"field":"aproved"`) || !strings.Contains(a.body, "unknown field") {
		t.Errorf("the answer does not name the field: %s", a.body)
	}
	a = s.do(call{method: "POST", path: check, body: `{"anna@skole.dk":true}`, token: s.token("platform", "skole")})
	if strings.Contains(a.body, "anna") || a.StatusCode != http.StatusBadRequest {
		t.Errorf("the answer repeats what is no field's name: %s", a.body)
	}
}

// Paths have one reading.
func TestPaths(t *testing.T) {
	s := newSuite(t)
	token := s.token("platform", "skole")
	base := "/v1/controllers/skole/exports/"
	for name, c := range map[string]struct {
		method, path string
		status       int
	}{
		"C1 W11 dots":                 {"GET", "/v1/controllers/../erasures/" + exportID, 400},
		"C1 one dot":                  {"GET", "/v1/controllers/./erasures/" + exportID, 400},
		"C1 escaped dots":             {"GET", "/v1/controllers/%2e%2e/erasures/" + exportID, 400},
		"C2 W11 empty segment":        {"GET", "/v1/controllers//erasures/" + exportID, 400},
		"C3 escaped slash":            {"GET", base + "a%2Fb", 404},
		"C3 W12 traversal":            {"GET", base + "a%2F..%2F..%2Fetc%2Fpasswd", 404},
		"C4 NUL":                      {"GET", base + "%00", 400},
		"C5 twice escaped":            {"GET", base + "%252e", 400},
		"C6 65 characters":            {"GET", base + strings.Repeat("a", 65), 400},
		"C7 upper case":               {"GET", base + strings.ToUpper(exportID), 404},
		"C8 homoglyph":                {"GET", "/v1/controllers/sk%D0%BEle", 404},
		"C9 foreign controller":       {"GET", "/v1/controllers/andre/exports/" + exportID, 404},
		"C12 trailing slash":          {"GET", base + exportID + "/", 404},
		"C13 unknown verb":            {"POST", base + exportID + ":explode", 404},
		"C13 verb of another method":  {"GET", base + exportID + ":cancel", 405},
		"C14 jsessionid":              {"GET", base + exportID + ";jsessionid=1", 404},
		"escaped letter":              {"GET", "/v1/controllers/%73kole", 404},
		"escaped verb":                {"GET", base + exportID + "%3Awatch", 404},
		"bad UTF-8":                   {"GET", base + "%ff", 400},
		"control character":           {"GET", base + "a%0ab", 400},
		"W5 unknown parameter":        {"GET", "/v1/controllers/skole/activities?foo=1", 400},
		"parameter by its proto name": {"GET", "/v1/controllers/skole/activities?page_size=1", 400},
		"parameter twice":             {"GET", "/v1/controllers/skole/activities?pageSize=1&pageSize=2", 400},
		"parameter of wrong type":     {"GET", "/v1/controllers/skole/activities?pageSize=u000007", 400},
		"parameter set by the path":   {"GET", "/v1/controllers/skole/activities?parent=controllers/andre", 400},
		"parameter on body \"*\"":     {"POST", check + "?activity=a", 400},
		"malformed query":             {"GET", "/v1/controllers/skole/activities?%zz", 400},
		"good query":                  {"GET", "/v1/controllers/skole/activities?pageSize=5&pageToken=x", 200},
		"nothing there":               {"GET", "/v2/controllers", 404},
		"admin only":                  {"GET", "/metrics", 404},
		"debug":                       {"GET", "/debug/pprof/", 404},
		"gRPC by its name":            {"POST", "/privacyops.audit.v1.AuditIngest/AppendAuditEvents", 404},
	} {
		t.Run(name, func(t *testing.T) {
			body := ""
			if c.method == "POST" {
				body = good
			}
			a := s.do(call{method: c.method, path: c.path, body: body, token: token})
			if a.StatusCode != c.status {
				t.Fatalf("%d, want %d: %s", a.StatusCode, c.status, a.body)
			}
			if c.status != 200 {
				a.reason(t)
			}
			if strings.Contains(a.body, "u000007") {
				t.Errorf("the answer repeats a value: %s", a.body)
			}
		})
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	for _, c := range []struct{ method, path, allow string }{
		{"HEAD", "/v1/controllers/skole", "GET, PATCH"},
		{"OPTIONS", "/v1/controllers/skole", "GET, PATCH"},
		{"TRACE", "/v1/controllers/skole", "GET, PATCH"},
		{"DELETE", "/v1/controllers/skole/exports/" + exportID, "GET"},
		{"PUT", check, "POST"},
		{"POST", "/v1/audit/checkpoint", "GET"},
		{"POST", "/healthz", "GET"},
		{"BREW", "/docs", "GET"},
	} {
		a := s.do(call{method: c.method, path: c.path, token: s.token("dpo", "skole")})
		if a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow %q, want 405 and %q", c.method, c.path, a.StatusCode, a.Header.Get("Allow"), c.allow)
		}
	}
	// W10: a form posted to a path that is only read.
	a := s.do(call{method: "POST", path: "/v1/controllers/skole", body: "x=1", token: s.token("dpo", "skole"),
		header: h("Content-Type", "application/x-www-form-urlencoded")})
	if a.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("form to a GET route: %d", a.StatusCode)
	}
}

// Headers that a client makes up reach no service (W1, W2, W3, W18, W19).
func TestHeadersAreNotPassedOn(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	a := s.do(call{method: "POST", path: check, body: good, token: s.token("platform", "skole"), header: h(
		"Grpc-Metadata-X-Tenant", "victim", "Grpc-Metadata-X-User-Roles", "dpo", "Grpc-Metadata-Authorization", "Bearer forged",
		"X-Forwarded-For", "9.9.9.9", "X-Forwarded-Host", "evil.example", "Cookie", "sid=victim", "Grpc-Timeout", "99999999H",
		"Baggage", "name=victim", "Idempotency-Key", exportID, "Te", "trailers", "User-Agent", "victim")})
	if a.StatusCode != http.StatusOK {
		t.Fatalf("%d: %s", a.StatusCode, a.body)
	}
	calls := s.consent.all()
	if len(calls) != 1 {
		t.Fatalf("%d calls", len(calls))
	}
	for key, values := range calls[0] {
		switch key {
		case ":authority", "content-type", "user-agent", "grpc-accept-encoding", "traceparent", "tracestate":
		case "authorization", "idempotency-key":
			if len(values) != 1 {
				t.Errorf("%s: %d values", key, len(values))
			}
		default:
			t.Errorf("the service received %s", key)
		}
		if joinedValues := strings.Join(values, ","); strings.Contains(joinedValues, "victim") || strings.Contains(joinedValues, "9.9.9.9") || strings.Contains(joinedValues, "forged") {
			t.Errorf("%s carries a client's value", key)
		}
	}
	if got := calls[0].Get("idempotency-key"); len(got) != 1 || got[0] != exportID {
		t.Errorf("idempotency key: %q", got)
	}
}

func TestPanicOfAServiceLeavesEverybodyAlive(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.consent.check = func(context.Context, *consentv1.CheckLegalBasisRequest) (*consentv1.Decision, error) {
		panic("boom for u000007")
	}
	for range 2 {
		a := s.do(call{method: "POST", path: check, body: good, token: s.token("platform", "skole")})
		if a.StatusCode != http.StatusInternalServerError || strings.Contains(a.body, "boom") || !strings.Contains(a.body, a.Header.Get("X-Request-Id")) {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
}

// What net/http's client would not send.
func TestRawConnections(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	for name, c := range map[string]struct {
		text string
		want []string // one of them starts the answer
	}{
		"A5 body shorter than it says":   {"POST " + check + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + s.token("platform", "skole") + "\r\nContent-Type: application/json\r\nContent-Length: 500\r\nConnection: close\r\n\r\n{}", []string{""}},
		"A6 length and chunks":           {"POST " + check + " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", []string{"HTTP/1.1 400", "HTTP/1.1 501"}},
		"A7 two lengths":                 {"POST " + check + " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", []string{"HTTP/1.1 400"}},
		"A8 headers of 17 KiB":           {"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 17<<10) + "\r\nConnection: close\r\n\r\n", []string{"HTTP/1.1 431"}},
		"A8 headers of 1 MiB":            {"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", []string{"HTTP/1.1 431", ""}},
		"A9 1,000 headers":               {"GET /healthz HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", 1000) + "Connection: close\r\n\r\n", []string{"HTTP/1.1 431"}},
		"A13 HTTP/1.0":                   {"GET /healthz HTTP/1.0\r\n\r\n", []string{"HTTP/1.0 505", "HTTP/1.1 505"}},
		"A13 HTTP/0.9":                   {"GET /healthz\r\n\r\n", []string{"HTTP/1.1 400"}},
		"A14 absolute URI":               {"GET http://elsewhere.example/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", []string{"HTTP/1.1 400"}},
		"A14 CONNECT":                    {"CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", []string{"HTTP/1.1 400", "HTTP/1.1 405"}},
		"OPTIONS *":                      {"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", []string{"HTTP/1.1 400", "HTTP/1.1 200"}},
		"header injection":               {"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: a\rX-B: b\r\n\r\n", []string{"HTTP/1.1 400"}},
		"HTTP/2 without being asked":     {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []string{"HTTP/1.1 505", "HTTP/1.1 400", ""}},
		"no HTTP":                        {"\x16\x03\x01\x02\x00", []string{"HTTP/1.1 400", ""}},
		"GET with a body":                {"GET /v1/audit/checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", []string{"HTTP/1.1 400"}},
		"a method that is no known word": {"M!DE /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", []string{"HTTP/1.1 405"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := s.raw(c.text, 3*time.Second)
			for _, w := range c.want {
				if (w == "" && (got == "" || strings.HasPrefix(got, "HTTP/1.1 4"))) || (w != "" && strings.HasPrefix(got, w)) {
					return
				}
			}
			t.Errorf("%.200q, want one of %q", got, c.want)
		})
	}
}

// A4: a body without end is answered at the limit, and the connection closed.
func TestEndlessBody(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	chunk := "10000\r\n" + strings.Repeat("a", 0x10000) + "\r\n"
	start := time.Now()
	got := s.raw("POST "+check+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+s.token("platform", "skole")+
		"\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat(chunk, 24), 10*time.Second)
	if !strings.HasPrefix(got, "HTTP/1.1 413") || !strings.Contains(got, "Connection: close") {
		t.Errorf("%.300q", got)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("closed after %s", took)
	}
}

// A10: headers that drip are not waited for longer than five seconds.
func TestSlowHeaders(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	start := time.Now()
	got := s.raw("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ", 10*time.Second)
	if took := time.Since(start); took > 7*time.Second || took < 4*time.Second {
		t.Errorf("closed after %s: %q", took, got)
	}
}

// A11: a body that does not arrive is not waited for longer than a call may take.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the deadline of 15 seconds")
	}
	s := newSuite(t)
	start := time.Now()
	got := s.raw("POST "+check+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+s.token("platform", "skole")+
		"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", 25*time.Second)
	if took := time.Since(start); !strings.HasPrefix(got, "HTTP/1.1 408") || took > 20*time.Second {
		t.Errorf("after %s: %.200q", took, got)
	}
}
