package consent_test

import (
	"sync/atomic"
	"testing"

	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typepb "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

// BenchmarkCheckLegalBasis measures a check as the service ships: mutual TLS, token, method rule, validation, tracing, and the
// decision recorded before the answer.
func BenchmarkCheckLegalBasis(b *testing.B) {
	in := install(b)
	in.register("school-a")
	basis, consents := pb.NewLegalBasisClient(in.certs["gateway"]), pb.NewConsentsClient(in.certs["gateway"])
	people := make([]*typepb.Subject, 200)
	for i := range people {
		people[i] = &typepb.Subject{Type: typepb.Subject_UNILOGIN, Value: "anna" + string(rune('a'+i/26)) + string(rune('a'+i%26))}
		req := give("school-a")
		req.Subject = people[i]
		if _, err := consents.GiveConsent(in.as("platform", "school-a"), req); err != nil {
			b.Fatal(err)
		}
	}
	ctx := in.as("partner", "school-a")
	var n atomic.Int64
	b.SetParallelism(32)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			req := ask("school-a")
			req.Subject = people[n.Add(1)%int64(len(people))]
			if d, err := basis.CheckLegalBasis(ctx, req); err != nil || d.GetReason() != pb.Decision_CONSENT_HOLDS {
				b.Errorf("%v, %v", d, err)
				return
			}
		}
	})
}
