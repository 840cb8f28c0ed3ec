package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/telemetry"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// answers is a participant that gives what it is told to, and remembers what it was asked.
type answers struct {
	participant.Participant
	location participant.Location
	records  []participant.Record
	omitted  []participant.Omission
	result   participant.VerifyResult
	err      error
	asked    participant.EraseRequest
}

func (a *answers) Describe(context.Context) (participant.Description, error) {
	return participant.Description{System: "own", DataMapDigest: "d"}, nil
}

func (a *answers) Locate(context.Context, participant.Subject) (participant.Location, error) {
	return a.location, a.err
}

func (a *answers) Export(_ context.Context, _ participant.ExportRequest, yield func(participant.Record) error) ([]participant.Omission, error) {
	for _, r := range a.records {
		if err := yield(r); err != nil {
			return nil, err
		}
	}
	return a.omitted, a.err
}

func (a *answers) Erase(_ context.Context, r participant.EraseRequest) (participant.EraseResult, error) {
	a.asked = r
	return participant.EraseResult{Datasets: []participant.ErasedDataset{{Dataset: "logins", Located: 3, Erased: 2, Unchanged: 1}}}, a.err
}

func (a *answers) Verify(context.Context, participant.VerifyRequest) (participant.VerifyResult, error) {
	return a.result, a.err
}

// serve makes a server over one participant, for the controller "school".
func serve(t testing.TB, a *answers, explain func(error) (string, bool)) (s *Server, log *bytes.Buffer, spans *tracetest.SpanRecorder) {
	t.Helper()
	log, spans = &bytes.Buffer{}, tracetest.NewSpanRecorder()
	tel, err := telemetry.New(t.Context(), telemetry.Config{Service: "participant", Log: log, SpanProcessors: []sdktrace.SpanProcessor{spans}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tel.Shutdown(context.Background()) })
	s, err = New(Config{Systems: []System{{Name: "lms", Participant: a, Controllers: []string{"school"}}},
		Clock: clock.NewFake(time.Unix(0, 0)), Telemetry: tel, Explain: explain})
	if err != nil {
		t.Fatal(err)
	}
	return s, log, spans
}

const value = "anna1234"

func ids() []*typev1.Subject {
	return []*typev1.Subject{{Type: typev1.Subject_UNILOGIN, Value: value}}
}

func verify(ctx context.Context, s *Server) error {
	_, err := s.Verify(ctx, &participantv1.VerifyRequest{Participant: "lms", Controller: "school", Request: "r", Identifiers: ids()})
	return err
}

func TestErrorsHaveTheirWordInTheProtocol(t *testing.T) {
	t.Parallel()
	down := errors.New("the driver's own")
	for name, c := range map[string]struct {
		err    error
		code   codes.Code
		reason string
		retry  bool
		logged bool
	}{
		"fenced":      {participant.ErrFenced, codes.FailedPrecondition, "FENCED", false, false},
		"map changed": {participant.ErrDataMapChanged, codes.FailedPrecondition, "DATA_MAP_CHANGED", false, false},
		"reused":      {participant.ErrRequestReused, codes.FailedPrecondition, "REQUEST_REUSED", false, false},
		"unsettled":   {participant.ErrUnsettled, codes.Unavailable, "UNSETTLED", true, true},
		"invalid":     {participant.ErrInvalid, codes.InvalidArgument, "INVALID_ARGUMENT", false, false},
		"unavailable": {ErrUnavailable, codes.Unavailable, "PARTICIPANT_UNAVAILABLE", true, true},
		"driver down": {down, codes.Unavailable, "PARTICIPANT_UNAVAILABLE", true, true},
		"deadline":    {context.DeadlineExceeded, codes.DeadlineExceeded, "DEADLINE_EXCEEDED", false, false},
		"cancelled":   {context.Canceled, codes.Canceled, "", false, false},
		"a fault":     {fault.New(fault.Exhausted, "LIMIT", "Wait."), codes.ResourceExhausted, "LIMIT", false, false},
		"anything":    {io.ErrUnexpectedEOF, codes.Internal, "INTERNAL", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wrapped := fmt.Errorf("no rows for %q: %w", value, c.err)
			s, log, spans := serve(t, &answers{err: wrapped}, func(err error) (string, bool) {
				return "sqlmap: counting: no answer", errors.Is(err, down)
			})
			err := server.Status(t.Context(), verify(t.Context(), s))
			if status.Code(err) != c.code {
				t.Errorf("code %v, want %v", status.Code(err), c.code)
			}
			if c.code != codes.Canceled {
				f := fault.From(server.Fault(err))
				if f.Reason() != c.reason || (f.RetryAfter() > 0) != c.retry {
					t.Errorf("reason %q, retry after %v; want %q, %v", f.Reason(), f.RetryAfter(), c.reason, c.retry)
				}
			}
			if logged := strings.Contains(log.String(), `"system":"lms"`); logged != c.logged {
				t.Errorf("logged %v, want %v: %s", logged, c.logged, log)
			}
			if c.logged && !strings.Contains(log.String(), "sqlmap: counting: no answer") {
				t.Errorf("the log does not say what is known: %s", log)
			}
			told := fmt.Sprint(status.Convert(err).Proto(), log, spans.Ended()[0].Status(), spans.Ended()[0].Events())
			if strings.Contains(told, value) {
				t.Errorf("the person is named: %s", told)
			}
		})
	}
}

func TestSpansHoldNamesAndCountsOnly(t *testing.T) {
	t.Parallel()
	a := &answers{location: participant.Location{Counts: []participant.DatasetCount{{Dataset: "logins", Rows: 3}, {Dataset: "photos"}, {Dataset: "posts", Rows: 4}}}}
	s, _, spans := serve(t, a, nil)
	_, err := s.Locate(t.Context(), &participantv1.LocateRequest{Participant: "lms", Controller: "school", Identifiers: ids()})
	if err != nil {
		t.Fatal(err)
	}
	span := spans.Ended()[0]
	if span.Name() != "participant.locate" {
		t.Errorf("span %q", span.Name())
	}
	want := []attribute.KeyValue{attribute.String("system", "lms"), attribute.Int64("count", 7)}
	if diff := cmp.Diff(want, span.Attributes(), cmp.AllowUnexported(attribute.Value{})); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if len(span.Events()) != 2 {
		t.Errorf("%d datasets are told, want those with rows", len(span.Events()))
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	tel, err := telemetry.New(t.Context(), telemetry.Config{Service: "participant", Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	one := System{Name: "lms", Participant: &answers{}}
	for name, c := range map[string]Config{
		"no clock":  {Telemetry: tel},
		"no output": {Clock: clock.System()},
		"twice":     {Clock: clock.System(), Telemetry: tel, Systems: []System{one, one}},
		"nobody":    {Clock: clock.System(), Telemetry: tel, Systems: []System{{Name: "lms"}}},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: a server was made", name)
		}
	}
}

func TestEraseHandsEverythingOn(t *testing.T) {
	t.Parallel()
	a := &answers{}
	s, _, _ := serve(t, a, nil)
	got, err := s.Erase(t.Context(), &participantv1.EraseRequest{Participant: "lms", Controller: "school", Request: "r", FencingToken: 4,
		Identifiers: ids(), DataMapDigest: "d", Datasets: []string{"logins"}})
	if err != nil {
		t.Fatal(err)
	}
	want := participant.EraseRequest{Request: "r", FencingToken: 4, DataMapDigest: "d", Datasets: []string{"logins"},
		Subject: participant.Subject{Controller: "school", Identifiers: []participant.Identifier{{Type: participant.UniLogin, Value: value}}}}
	if diff := cmp.Diff(want, a.asked); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	result := &participantv1.EraseResult{Datasets: []*participantv1.DatasetResult{{Dataset: "logins", Located: 3, Erased: 2, Unchanged: 1}}}
	if diff := cmp.Diff(result, got, protocmp.Transform()); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

func TestSharedIdentifiersAreToldOnceByType(t *testing.T) {
	t.Parallel()
	got := sharedOf([]participant.SharedIdentifier{{Type: participant.Email, Dataset: "a", People: 2},
		{Type: participant.Phone, Dataset: "a", People: 1}, {Type: participant.Email, Dataset: "b", People: 3}})
	want := []*participantv1.SharedIdentifier{{Type: typev1.Subject_EMAIL, People: 3}, {Type: typev1.Subject_PHONE, People: 1}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("shared (-want +got):\n%s", diff)
	}
}

func TestEveryIdentifierTypeIsKnownOnBothSides(t *testing.T) {
	t.Parallel()
	for _, want := range participant.IdentifierTypes() {
		s := subjectOf("school", []*typev1.Subject{{Type: typeOf(want), Value: value}})
		if got := s.Identifiers[0].Type; got != want {
			t.Errorf("%s became %s on the way", want, got)
		}
	}
	if len(participant.IdentifierTypes()) != len(typev1.Subject_Type_name)-1 {
		t.Error("the protocol has types that the domain does not know")
	}
}

func TestVerifyTellsLeftoversFromWhatWasKept(t *testing.T) {
	t.Parallel()
	got := verified(participant.VerifyResult{Findings: []participant.Finding{
		{Dataset: "logins", Table: "log", Column: "person", Method: participant.ByLink, Rows: 2},
		{Dataset: "exams", Table: "exam", Column: "unilogin", Method: participant.ByLink, Rows: 4, Kept: true},
		{Dataset: "exams", Table: "exam", Column: "unilogin", Method: participant.ByContent, Rows: 3, Kept: true},
		{Table: "stray", Column: "user", Method: participant.ByLink, Rows: 1},
	}})
	want := &participantv1.VerifyResult{
		Remaining: []*participantv1.Remainder{
			{Dataset: "logins", Table: "log", Column: "person", FoundBy: "LINK", Count: 2},
			{Table: "stray", Column: "user", FoundBy: "LINK", Count: 1},
		},
		Kept: []*participantv1.DatasetCount{{Dataset: "exams", Count: 4}},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}
