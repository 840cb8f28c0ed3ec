package audit_test

import (
	"bytes"
	"context"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/access"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

// BenchmarkAppend reports events in batches as the outboxes of many services do, beside a follower that runs; the figure is per
// report.
func BenchmarkAppend(b *testing.B) {
	const batch = 200
	benchmarkIngest(b, "erasure", 32, func() *auditv1.AppendAuditEventsRequest {
		req := &auditv1.AppendAuditEventsRequest{}
		for range batch {
			req.Events = append(req.Events, report("school-a", "erasure"))
		}
		return req
	})
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkAppendOne reports events one by one, with many reports on their way at a time.
func BenchmarkAppendOne(b *testing.B) {
	event := benchEvents()
	benchmarkIngest(b, "erasure", auditInFlight, func() *auditv1.AppendAuditEventsRequest {
		return &auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{event()}}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkAppendDecisions reports decisions on legal basis, 256 in one event and each about another person; the figure is per event.
func BenchmarkAppendDecisions(b *testing.B) {
	const batch = 256
	benchmarkIngest(b, "consent", 32, func() *auditv1.AppendAuditEventsRequest {
		return &auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{decisions("school-a", batch)}}
	})
	b.ReportMetric(float64(proto.Size(decisions("school-a", batch)))/batch, "bytes/decision")
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "decisions/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/decision")
}

// benchmarkIngest sends requests of a service to a running audit service, some of them at a time.
func benchmarkIngest(b *testing.B, caller string, inFlight int, request func() *auditv1.AppendAuditEventsRequest) {
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
	requests := make(chan *auditv1.AppendAuditEventsRequest, inFlight)
	go func() { // making them is no part of what is measured, as far as there are cores
		defer close(requests)
		for range b.N {
			requests <- request()
		}
	}()
	b.ResetTimer()
	var group sync.WaitGroup
	for range inFlight {
		group.Go(func() {
			for r := range requests {
				if _, err := in.AppendAuditEvents(ctx, r); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	b.StopTimer()
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
