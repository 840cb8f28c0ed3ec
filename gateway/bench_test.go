package gateway_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/gateway"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

// BenchmarkCheckLegalBasis measures what the gateway adds to a check that many callers make at once: the service behind it is a fake
// that always answers the same.
func BenchmarkCheckLegalBasis(b *testing.B) {
	b.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
	b.Setenv("OTEL_TRACES_SAMPLER_ARG", "0.01")
	s := newSuite(b, func(cfg *gateway.Config) {
		cfg.Limits.CallsPerCaller, cfg.Limits.CallsPerAddress = 1_000_000, 1_000_000
	})
	decision := &consentv1.Decision{Decision: consentv1.Decision_ALLOW, Reason: consentv1.Decision_CONSENT_HOLDS, LegalBasis: typev1.LegalBasis_CONSENT,
		Activity: "photos", ActivityVersion: 1, DecisionId: "01980f0e-0000-7000-8000-000000000001", DecidedAt: timestamppb.Now(),
		Consent: "controllers/skole/consents/01980f0e-0000-7000-8000-000000000002", SubjectRefs: []string{"sub_" + strings.Repeat("0", 40)},
		ConsistencyToken: strings.Repeat("0", 60), Explanation: &typev1.LocalizedText{Da: strings.Repeat("å", 80), En: strings.Repeat("a", 120)}}
	s.consent.check = func(context.Context, *consentv1.CheckLegalBasisRequest) (*consentv1.Decision, error) {
		return decision, nil
	}
	token, hc := s.token("platform", "skole"), &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	b.SetParallelism(32)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			req := must(http.NewRequestWithContext(b.Context(), http.MethodPost, "http://"+s.addr+check, strings.NewReader(good)))
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer "+token)
			resp, err := hc.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
				b.Errorf("%v, %v", resp.Status, err)
			}
			_ = resp.Body.Close()
		}
	})
	hc.CloseIdleConnections()
}
