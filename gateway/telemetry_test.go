package gateway_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc"

	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

// canary is a value that must turn up nowhere, in any way of writing it.
const canary = "søren.åberg@skole.dk"

func spellings(value string) []string {
	return []string{value, url.QueryEscape(value), url.PathEscape(value), base64.StdEncoding.EncodeToString([]byte(value)),
		base64.RawURLEncoding.EncodeToString([]byte(value)), hex.EncodeToString([]byte(value)), "s\\u00f8ren", "åberg", "%C3%A5berg"}
}

// A person's name, wherever it is put, is in no span, metric or log line (G11).
func TestNothingOfARequestIsInTelemetry(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	token := s.token("platform", "skole")
	s.export.watch = func(_ *exportv1.WatchExportRequest, st grpc.ServerStreamingServer[exportv1.Export]) error {
		_ = st.Send(&exportv1.Export{})
		return fmt.Errorf("driver: %s", canary)
	}
	s.consent.check = func(_ context.Context, req *consentv1.CheckLegalBasisRequest) (*consentv1.Decision, error) {
		if req.GetLocation() == "DK" {
			panic(canary)
		}
		return nil, fmt.Errorf("unique violation (%s)", canary)
	}
	body := `{"subject":{"type":"EMAIL","value":"` + canary + `"},"activity":"logning"}`
	in := url.PathEscape(canary)
	calls := []call{
		{method: "POST", path: check, body: body, token: token},
		{method: "POST", path: check, body: strings.Replace(body, "}}", `},"location":"DK"}`, 1), token: token},
		{method: "POST", path: check, body: strings.Replace(body, `},"a`, `},"location":"DK","a`, 1), token: token},
		{method: "POST", path: check, body: `{"` + canary + `":1}`, token: token},
		{method: "POST", path: check, body: `{"activity":["` + canary + `"]}`, token: token},
		{method: "POST", path: check, body: canary, token: token},
		{method: "POST", path: check, body: body, token: "x." + canary + ".y"},
		{method: "POST", path: check, body: body, token: s.token("dpo", "andre")},
		{method: "POST", path: check + "?subject=" + in, body: body, token: token},
		{method: "GET", path: "/v1/controllers/" + in, token: token},
		{method: "GET", path: "/v1/controllers/skole/exports/" + in + ":watch", token: token},
		{method: "GET", path: "/" + in},
		{method: "GET", path: "/docs/" + in},
		{method: "GET", path: "/v1/controllers/skole/activities?pageToken=" + in, token: token},
		{method: "GET", path: "/v1/controllers/skole/activities?pageSize=" + in, token: token},
		{method: "GET", path: exportPath + ":watch", token: token},
		{method: "GET", path: "/v1/audit/checkpoint", header: h("Traceparent", "00-"+hex.EncodeToString([]byte(canary))[:32]+"-0102030405060708-01",
			"Tracestate", "a="+in, "Baggage", "user="+in, "User-Agent", canary, "Referer", "https://x/"+in, "Cookie", canary,
			"X-Forwarded-For", canary, "X-Request-Id", canary, "Host", "x")},
		{method: "GET", path: "/v1/audit/checkpoint", header: h("Authorization", canary, "Authorization", canary)},
		{method: "POST", path: check, body: body, token: token, header: h("Content-Type", canary)},
		{method: "POST", path: check, body: body, token: token, header: h("Idempotency-Key", in)},
		{method: strings.ToUpper(hex.EncodeToString([]byte(canary))), path: "/v1/controllers"},
	}
	for _, c := range calls {
		if a := s.do(c); strings.Contains(a.body, "åberg") {
			t.Errorf("%s %s repeats it: %s", c.method, c.path, a.body)
		}
	}
	s.raw("GET /healthz HTTP/1.1\r\nHost: "+in+"\r\nConnection: close\r\n\r\n", 1e9)

	spans := s.spans.GetSpans()
	if len(spans) < len(calls) {
		t.Fatalf("%d spans of %d calls", len(spans), len(calls))
	}
	metrics := httptest.NewRecorder()
	s.gateway.AdminHandler().ServeHTTP(metrics, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if !strings.Contains(metrics.Body.String(), "http_server_request_duration") {
		t.Error("no metric of requests")
	}
	sinks := map[string]string{"log": s.logs.String(), "metrics": metrics.Body.String()}
	for i, span := range spans {
		// The link is the one place where something of the client's is kept: a trace id, which is 16 bytes of its choice.
		for j := range span.Links {
			if span.Links[j].SpanContext.TraceState().Len() > 0 {
				t.Error("a link keeps a client's tracestate")
			}
		}
		span.Links = nil
		sinks[fmt.Sprintf("span %d %s", i, span.Name)] = fmt.Sprintf("%s %+v %+v %+v", span.Name, span.Attributes, span.Events, span.Status)
	}
	for name, text := range sinks {
		for _, word := range spellings(canary) {
			if strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
				t.Errorf("%s has %q", name, word)
			}
		}
	}
	if line := regexp.MustCompile(`(?m)^http_server.*127\.0\.0\.1.*$`).FindString(sinks["metrics"]); line != "" {
		t.Errorf("an address is a label: %s", line)
	}
}

// A trace context from outside is linked to, never joined; the request's own trace id is its request id.
func TestTraceContextFromOutside(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	outside := "4bf92f3577b34da6a3ce929d0e0e4736"
	a := s.do(call{method: "POST", path: check, body: good, token: s.token("platform", "skole"), header: h("Traceparent", "00-"+outside+"-00f067aa0ba902b7-01")})
	id := a.Header.Get("X-Request-Id")
	if len(id) != 32 || id == outside {
		t.Fatalf("request id %q", id)
	}
	var found bool
	for _, span := range s.spans.GetSpans() {
		if span.Name != "POST /v1/controllers/{controller}/legalBasis:check" {
			continue
		}
		found = true
		if span.SpanContext.TraceID().String() != id || span.Parent.IsValid() {
			t.Errorf("trace %s, parent %v", span.SpanContext.TraceID(), span.Parent)
		}
		if len(span.Links) != 1 || span.Links[0].SpanContext.TraceID().String() != outside {
			t.Errorf("links: %v", span.Links)
		}
	}
	if !found {
		t.Error("no span by the route's name")
	}
	if tp := s.consent.all()[0].Get("traceparent"); len(tp) != 1 || !strings.Contains(tp[0], id) {
		t.Errorf("the service saw traceparent %q", tp)
	}
}
