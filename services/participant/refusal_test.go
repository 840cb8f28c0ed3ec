package participant_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/server"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	"github.com/privacyops/privacyops/services/participant"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// reason is the stable word of a refusal.
func reason(err error) string {
	if err == nil {
		return "OK"
	}
	return fault.From(server.Fault(err)).Reason()
}

// allVerbs asks every verb of a participant for a controller.
func allVerbs(ctx context.Context, s *suite, t *testing.T, name, controller string) map[string]error {
	t.Helper()
	exporter, eraser := s.as(t, "export"), s.as(t, "erasure")
	out := map[string]error{}
	_, out["locate"] = eraser.Locate(ctx, &participantv1.LocateRequest{Participant: name, Controller: controller, Identifiers: subjects()})
	stream, err := exporter.Export(ctx, &participantv1.ExportRequest{Participant: name, Controller: controller, Identifiers: subjects()})
	if err == nil {
		_, err = collect(stream)
	}
	out["export"] = err
	_, out["erase"] = eraser.Erase(ctx, &participantv1.EraseRequest{Participant: name, Controller: controller, Request: "r", FencingToken: 1,
		Identifiers: subjects(), DataMapDigest: strings.Repeat("0", 64)})
	_, out["verify"] = eraser.Verify(ctx, &participantv1.VerifyRequest{Participant: name, Controller: controller, Request: "r", Identifiers: subjects()})
	return out
}

func TestForeignControllersAndUnknownParticipantsLookTheSame(t *testing.T) {
	t.Parallel()
	s := start(t)
	unknown := allVerbs(t.Context(), s, t, "no-such-system", sample.Controller)
	foreign := allVerbs(t.Context(), s, t, sample.System, sample.OtherController)
	for verb, err := range unknown {
		a, b := status.Convert(err), status.Convert(foreign[verb])
		if a.Code() != codes.NotFound || !proto.Equal(a.Proto(), b.Proto()) {
			t.Errorf("%s: an unknown participant gives %v, a foreign controller %v", verb, a, b)
		}
	}
	_, err := s.as(t, "export").Describe(t.Context(), &participantv1.DescribeRequest{Participant: "no-such-system"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("describe of an unknown participant: %v", err)
	}
}

func TestOnlyExportAndErasureMayCall(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, service := range []string{"gateway", "consent", "audit", "participant"} {
		if _, err := s.as(t, service).Locate(t.Context(), locateRequest()); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s was answered with %v", service, err)
		}
	}
	_, err := s.as(t, "export").Erase(t.Context(), eraseRequest(t, s.as(t, "erasure")))
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("export may erase: %v", err)
	}
	stream, err := s.as(t, "erasure").Export(t.Context(), &participantv1.ExportRequest{Participant: sample.System,
		Controller: sample.Controller, Identifiers: subjects()})
	if err == nil {
		_, err = collect(stream)
	}
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("erasure may export: %v", err)
	}
}

func TestATokenDoesNotOpenTheParticipant(t *testing.T) {
	t.Parallel()
	s := start(t)
	token, err := s.issuer.Token(access.Claims{Subject: "dpo-1", Roles: []string{"dpo", "platform"},
		Controllers: []string{sample.Controller}, Issued: now, Expires: now.AddDate(0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	for _, service := range []string{"gateway", "erasure"} {
		if _, err := s.as(t, service).Locate(ctx, locateRequest()); status.Code(err) != codes.PermissionDenied {
			t.Errorf("a token with the certificate of %s was answered with %v", service, err)
		}
	}
	// Without a certificate there is no connection at all.
	pem, err := os.ReadFile(s.certificate(t, "export").Authority)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		RootCAs: pool, ServerName: "participant.privacyops.internal", MinVersion: tls.VersionTLS13})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := participantv1.NewParticipantClient(conn).Locate(ctx, locateRequest()); status.Code(err) != codes.Unavailable {
		t.Errorf("a caller without a certificate was answered with %v", err)
	}
}

func TestEraseRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*participantv1.EraseRequest)
		want   string
	}{
		"a lower fencing token":  {func(r *participantv1.EraseRequest) { r.FencingToken = 1 }, "FENCED"},
		"another plan":           {func(r *participantv1.EraseRequest) { r.Datasets = r.Datasets[1:] }, "REQUEST_REUSED"},
		"another person":         {func(r *participantv1.EraseRequest) { r.Identifiers[0].Value = "nobody00" }, "REQUEST_REUSED"},
		"another data map":       {func(r *participantv1.EraseRequest) { r.Request, r.DataMapDigest = "r2", strings.Repeat("0", 64) }, "DATA_MAP_CHANGED"},
		"an unknown dataset":     {func(r *participantv1.EraseRequest) { r.Request, r.Datasets = "r3", []string{"no-such"} }, "DATA_MAP_CHANGED"},
		"no fencing token":       {func(r *participantv1.EraseRequest) { r.FencingToken = 0 }, "INVALID_ARGUMENT"},
		"no identifier":          {func(r *participantv1.EraseRequest) { r.Identifiers = nil }, "INVALID_ARGUMENT"},
		"the same request again": {func(*participantv1.EraseRequest) {}, "OK"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := start(t).as(t, "erasure")
			r := eraseRequest(t, client)
			if _, err := client.Erase(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			c.change(r)
			if _, err := client.Erase(t.Context(), r); reason(err) != c.want {
				t.Errorf("got %v, want reason %s", err, c.want)
			}
		})
	}
}

// sloppy is a participant whose every error quotes whom it was asked about, as an implementation of a platform's own might.
type sloppy struct{ participant.Participant }

func quote(s participant.Subject) error { return fmt.Errorf("no rows for %q", s.Identifiers[0].Value) }

func (sloppy) Locate(_ context.Context, s participant.Subject) (participant.Location, error) {
	return participant.Location{}, quote(s)
}

func (sloppy) Export(_ context.Context, r participant.ExportRequest, _ func(participant.Record) error) ([]participant.Omission, error) {
	return nil, quote(r.Subject)
}

func (sloppy) Erase(_ context.Context, r participant.EraseRequest) (participant.EraseResult, error) {
	return participant.EraseResult{}, errors.Join(participant.ErrUnsettled, quote(r.Subject))
}

func (sloppy) Verify(_ context.Context, r participant.VerifyRequest) (participant.VerifyResult, error) {
	return participant.VerifyResult{}, errors.Join(participant.ErrUnavailable, quote(r.Subject))
}

func TestNoErrorOrSpanNamesThePerson(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *participant.Config) {
		c.Wrap = func(_ string, p participant.Participant) participant.Participant { return sloppy{p} }
	})
	want := map[string]string{"locate": "INTERNAL", "export": "INTERNAL", "erase": "UNSETTLED", "verify": "PARTICIPANT_UNAVAILABLE"}
	for verb, err := range allVerbs(t.Context(), s, t, sample.System, sample.Controller) {
		if reason(err) != want[verb] {
			t.Errorf("%s: got %v, want reason %s", verb, err, want[verb])
		}
		if text := status.Convert(err).Proto().String(); strings.Contains(text, sample.Pupil().UniLogin) {
			t.Errorf("%s: the answer names the person: %s", verb, text)
		}
		if f := fault.From(server.Fault(err)); f.Kind() == fault.Unavailable && f.RetryAfter() <= 0 {
			t.Errorf("%s: no word on when to try again", verb)
		}
	}
	var names []string
	for _, span := range s.spans.Ended() {
		names = append(names, span.Name())
		if text := fmt.Sprintf("%+v %+v %+v", span.Attributes(), span.Events(), span.Status()); strings.Contains(text, sample.Pupil().UniLogin) {
			t.Errorf("span %s names the person: %s", span.Name(), text)
		}
	}
	for _, name := range []string{"participant.locate", "participant.export", "participant.erase", "participant.verify"} {
		if !slices.Contains(names, name) {
			t.Errorf("there is no span %s in %v", name, names)
		}
	}
}

func TestADatabaseThatIsGoneIsUnavailable(t *testing.T) {
	t.Parallel()
	s := start(t)
	if err := s.service.Close(); err != nil {
		t.Fatal(err)
	}
	for verb, err := range allVerbs(t.Context(), s, t, sample.System, sample.Controller) {
		if verb == "erase" { // refused before the database is asked: the digest is not the map's
			continue
		}
		if reason(err) != "PARTICIPANT_UNAVAILABLE" || fault.From(server.Fault(err)).RetryAfter() <= 0 {
			t.Errorf("%s: got %v", verb, err)
		}
	}
}
