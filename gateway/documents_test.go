package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/httpbody"

	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// GetNotice answers with the document that is set.
func (f *fakeConsent) GetNotice(ctx context.Context, _ *consentv1.GetNoticeRequest) (*httpbody.HttpBody, error) {
	f.note(ctx)
	return f.document, f.err
}

// Documents come out as they are, with their own type. Only a page may have styles, and no answer may be taken for another type.
func TestDocuments(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	const nothing, page = "default-src 'none'; frame-ancestors 'none'", "style-src 'unsafe-inline'"
	for kind, policy := range map[string]string{
		"text/html; charset=utf-8": page, "TEXT/HTML": page, "text/markdown; charset=utf-8": nothing, "text/csv; charset=utf-8": nothing,
		"application/ld+json": nothing, "application/json": nothing, "text/plain; x=text/html": nothing,
	} {
		s.consent.document = &httpbody.HttpBody{ContentType: kind, Data: []byte("æ <b>\r\n{}")}
		a := s.do(call{method: "GET", path: "/v1/controllers/skole/notice?language=da&audience=GUARDIAN&format=html", token: s.token("partner", "skole")})
		csp := a.Header.Get("Content-Security-Policy")
		if a.StatusCode != http.StatusOK || a.body != "æ <b>\r\n{}" || a.Header.Get("Content-Type") != kind || a.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v %q", kind, a.StatusCode, a.Header, a.body)
		}
		if !strings.Contains(csp, policy) || strings.Contains(csp, "script") || (policy == page) != strings.HasSuffix(csp, "sandbox") || !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%s: Content-Security-Policy %q", kind, csp)
		}
	}
}

// A failing document is a refusal like any other, not a page.
func TestDocumentThatFails(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	for query, reason := range map[string]string{"?format=pdf&x=1": "UNKNOWN_PARAMETER", "?audience=EVERYBODY": "INVALID_ARGUMENT"} {
		a := s.do(call{method: "GET", path: "/v1/controllers/skole/notice" + query, token: s.token("partner", "skole")})
		if a.StatusCode != http.StatusBadRequest || a.reason(t) != reason {
			t.Errorf("%s: %d %s", query, a.StatusCode, a.body)
		}
	}
}
