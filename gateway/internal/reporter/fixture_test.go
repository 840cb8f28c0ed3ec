package reporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/telemetry"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// ingest is the audit service: it keeps an event once by its id, takes what it does not know from a report that has one which it does,
// and takes nothing from a report that has one which it refuses.
type ingest struct {
	mu      sync.Mutex
	kept    map[string]*auditv1.ReportedEvent
	order   []string
	reports []int               // how many events each report had
	away    int                 // so many reports fail first
	refuses map[string]struct{} // actions
	gate    chan struct{}       // if any, reports wait for it
	hangs   bool                // reports get no answer
	headers []metadata.MD
}

func (s *ingest) AppendAuditEvents(ctx context.Context, req *auditv1.AppendAuditEventsRequest, _ ...grpc.CallOption) (*auditv1.AppendAuditEventsResponse, error) {
	if s.gate != nil {
		<-s.gate
	}
	if s.hangs {
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports = append(s.reports, len(req.GetEvents()))
	md, _ := metadata.FromOutgoingContext(ctx)
	s.headers = append(s.headers, md)
	if s.away > 0 {
		s.away--
		return nil, status.Error(codes.Unavailable, "away")
	}
	for _, e := range req.GetEvents() {
		if _, refuses := s.refuses[e.GetAction()]; refuses {
			return nil, status.Error(codes.InvalidArgument, "no")
		}
	}
	return &auditv1.AppendAuditEventsResponse{}, s.keep(req.GetEvents())
}

func (s *ingest) keep(events []*auditv1.ReportedEvent) error {
	if s.kept == nil {
		s.kept = map[string]*auditv1.ReportedEvent{}
	}
	var err error
	for _, e := range events {
		known := s.kept[e.GetId()]
		if known == nil {
			s.kept[e.GetId()], s.order = e, append(s.order, e.GetId())
		} else if !known.GetOccurTime().AsTime().Equal(e.GetOccurTime().AsTime()) && err == nil {
			st, derr := status.New(codes.AlreadyExists, "known").WithDetails(&errdetails.ErrorInfo{Reason: "EVENT_ID_REUSED", Metadata: map[string]string{"event": e.GetId()}})
			if derr != nil {
				return derr
			}
			err = st.Err()
		}
	}
	return err
}

// actions of what is kept, in order.
func (s *ingest) actions() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.order {
		out = append(out, s.kept[id].GetAction())
	}
	return out
}

func (s *ingest) events() (out []*auditv1.ReportedEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.order {
		out = append(out, s.kept[id])
	}
	return out
}

func (s *ingest) sizes() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.reports)
}

// meter counts what is lost, by action.
type meter struct {
	noop.Meter
	mu   sync.Mutex
	lost map[string]int64
}

type counter struct {
	noop.Int64Counter
	of *meter
}

func (m *meter) Int64Counter(string, ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return counter{of: m}, nil
}

func (c counter) Add(_ context.Context, n int64, options ...metric.AddOption) {
	set := metric.NewAddConfig(options).Attributes()
	action, _ := set.Value("action")
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.lost[action.AsString()] += n
}

func (m *meter) of(action string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lost[action]
}

// noKeys: ids of log-ins need no issuer's keys.
type noKeys struct{}

func (noKeys) Keys(context.Context) (jwk.Set, error) { return nil, errors.New("none") }

// fixture is a reporter with everything around it.
type fixture struct {
	*Reporter
	audit *ingest
	clock *clock.Fake
	meter *meter
	log   *bytes.Buffer
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{audit: &ingest{}, clock: clock.NewFake(noon), meter: &meter{lost: map[string]int64{}}, log: &bytes.Buffer{}}
	f.restart(t)
	return f
}

// restart makes the reporter anew, which remembers nothing.
func (f *fixture) restart(t *testing.T) {
	t.Helper()
	k, err := keyring.New(make([]byte, keyring.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	v, err := access.NewVerifier(access.VerifierConfig{Issuer: "i", Audience: "a", Keys: noKeys{}, Keyring: k, Clock: f.clock})
	if err != nil {
		t.Fatal(err)
	}
	n := len(f.audit.order)
	f.Reporter, err = New(Config{Audit: f.audit, Clock: f.clock, Log: telemetry.Logger(f.log, slog.LevelDebug), Meter: f.meter, Verifier: v,
		NewID: func() string { n++; return fmt.Sprintf("01980f0e-0000-7000-8000-%012d", n) }})
	if err != nil {
		t.Fatal(err)
	}
}

// report reports events of an action.
func (f *fixture) report(t *testing.T, action string, n int) (taken int) {
	t.Helper()
	for range n {
		if f.Report(t.Context(), &auditv1.ReportedEvent{Action: action}) {
			taken++
		}
	}
	return taken
}

// run runs the reporter until stop is called, which waits for its end.
func (f *fixture) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
