package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/privacyops/privacyops/gateway"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// A gateway that stops says so first, serves who comes all the same, and gives each client's connection up.
func TestLinger(t *testing.T) {
	t.Parallel()
	const linger = time.Second
	s := newSuite(t, func(c *gateway.Config) { c.Linger = linger })
	s.consent.check = func(context.Context, *consentv1.CheckLegalBasisRequest) (*consentv1.Decision, error) {
		return &consentv1.Decision{Decision: consentv1.Decision_ALLOW}, nil
	}
	client := &http.Client{Timeout: 10 * time.Second} // one that would keep its connection
	ask := func() (status int, closed bool) {
		req := must(http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.addr+check, strings.NewReader(good)))
		req.Header.Set("Authorization", "Bearer "+s.token("platform", "skole"))
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode, resp.Close
	}
	if status, closed := ask(); status != http.StatusOK || closed {
		t.Fatalf("before: %d, closed: %v", status, closed)
	}
	began := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	for ready := true; ready && time.Since(began) < linger/2; time.Sleep(10 * time.Millisecond) {
		ready = s.do(call{method: "GET", path: "/readyz"}).StatusCode == http.StatusOK
	}
	if a := s.do(call{method: "GET", path: "/readyz"}); a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(a.body, `"ready":false`) {
		t.Errorf("readyz: %d %s", a.StatusCode, a.body)
	}
	if status, closed := ask(); status != http.StatusOK || !closed {
		t.Errorf("meanwhile: %d, closed: %v", status, closed)
	}
	if err := <-stopped; err != nil || time.Since(began) < linger {
		t.Errorf("stopped after %s: %v", time.Since(began), err)
	}
}
