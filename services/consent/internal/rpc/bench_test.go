package rpc_test

import (
	"strconv"
	"sync/atomic"
	"testing"

	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// BenchmarkCheck measures a decision that is recorded durably, over gRPC in memory, with many callers at once.
func BenchmarkCheck(b *testing.B) {
	s := ready(b)
	for i := range 20 {
		s.give("u" + strconv.Itoa(i))
	}
	var n atomic.Int64
	b.SetParallelism(32)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			req := &pb.CheckLegalBasisRequest{Parent: "controllers/a", Subjects: pupil("u" + strconv.FormatInt(n.Add(1)%20, 10)), Activity: "photos"}
			d, err := s.Basis.CheckLegalBasis(b.Context(), req)
			if err != nil || d.GetReason() != pb.Decision_CONSENT_HOLDS {
				b.Fatalf("%v, %v", d, err)
			}
		}
	})
}
