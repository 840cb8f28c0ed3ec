package audit_test

import (
	"bytes"
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/access"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

// BenchmarkAppend reports events in batches as the outbox does, beside a running sequencer; the figure is per event. The
// floor is 1,000 events a second on two cores.
func BenchmarkAppend(b *testing.B) {
	const batch = 200
	benchmarkIngest(b, "erasure", func() *auditv1.AppendAuditEventsRequest {
		req := &auditv1.AppendAuditEventsRequest{}
		for range batch {
			req.Events = append(req.Events, report("school-a", "erasure"))
		}
		return req
	})
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkAppendDecisions reports decisions on legal basis, 256 in one event and each about another person, beside a running
// sequencer; the figure is per decision.
func BenchmarkAppendDecisions(b *testing.B) {
	const batch = 256
	benchmarkIngest(b, "consent", func() *auditv1.AppendAuditEventsRequest {
		return &auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{decisions("school-a", batch)}}
	})
	b.ReportMetric(float64(proto.Size(decisions("school-a", batch)))/batch, "bytes/decision")
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "decisions/s")
}

// benchmarkIngest sends requests of a service to a running audit service.
func benchmarkIngest(b *testing.B, caller string, request func() *auditv1.AppendAuditEventsRequest) {
	b.Helper()
	service, db, _, err := openService(context.Background(), b.TempDir(), &bytes.Buffer{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(access.WithCaller(context.Background(), access.Caller{Service: caller}))
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	var in ingest
	service.Register(&in)
	for b.Loop() {
		if _, err := in.AppendAuditEvents(ctx, request()); err != nil {
			b.Fatal(err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		b.Error(err)
	}
	if err := service.Close(); err != nil {
		b.Error(err)
	}
	if err := db.Close(); err != nil {
		b.Error(err)
	}
}
