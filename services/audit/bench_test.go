package audit_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/privacyops/privacyops/libs/access"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

// BenchmarkAppend reports events in batches as the outbox does, beside a running sequencer; the figure is per event. The
// floor is 1,000 events a second on two cores.
func BenchmarkAppend(b *testing.B) {
	service, db, _, err := openService(context.Background(), b.TempDir(), &bytes.Buffer{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(access.WithCaller(context.Background(), access.Caller{Service: "erasure"}))
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	var in ingest
	service.Register(&in)
	const batch = 200
	for b.Loop() {
		req := &auditv1.AppendAuditEventsRequest{}
		for range batch {
			req.Events = append(req.Events, report("school-a", "erasure"))
		}
		if _, err := in.AppendAuditEvents(ctx, req); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "events/s")
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
