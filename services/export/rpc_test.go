package export

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

type record = participantv1.Record

// noise is a JSON object that does not compress.
func noise(n int) []byte {
	raw := make([]byte, n)
	_, _ = rand.Read(raw)
	return []byte(`{"noise":"` + hex.EncodeToString(raw) + `"}`)
}

func isReason(err error, reason string) bool {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetReason() == reason {
			return true
		}
	}
	return false
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	s := newSuite(t, learning())
	subject := &typev1.Subject{Type: typev1.Subject_EMAIL, Value: "a@example.org"}
	for name, c := range map[string]struct {
		req  *exportv1.CreateExportRequest
		code codes.Code
	}{
		"a request from the future": {&exportv1.CreateExportRequest{Parent: "controllers/north", Subject: subject, Kind: 1,
			ReceivedAt: timestamppb.New(start.Add(time.Second))}, codes.InvalidArgument},
		"a request before the GDPR": {&exportv1.CreateExportRequest{Parent: "controllers/north", Subject: subject, Kind: 1,
			ReceivedAt: timestamppb.New(time.Unix(0, 0))}, codes.InvalidArgument},
		"an unknown controller": {&exportv1.CreateExportRequest{Parent: "controllers/south", Subject: subject, Kind: 1}, codes.NotFound},
		"no person":             {&exportv1.CreateExportRequest{Parent: "controllers/north", Kind: 1}, codes.InvalidArgument},
		"no kind":               {&exportv1.CreateExportRequest{Parent: "controllers/north", Subject: subject}, codes.InvalidArgument},
		"a recipient with a typo": {&exportv1.CreateExportRequest{Parent: "controllers/north", Subject: subject, Kind: 1,
			RecipientKey: "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"}, codes.InvalidArgument},
	} {
		if _, err := s.client.CreateExport(context.Background(), c.req); status.Code(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	list, err := s.client.ListExports(context.Background(), &exportv1.ListExportsRequest{Parent: "controllers/north"})
	check(t, err)
	if len(list.GetExports()) != 0 {
		t.Error("a refused request left an export")
	}
}

func TestCreateOnce(t *testing.T) {
	t.Parallel()
	s := newSuite(t, learning())
	id := uuid.NewString()
	with := func(r *exportv1.CreateExportRequest) { r.RequestId = id }
	first, again := s.create(with), s.create(with)
	if diff := cmp.Diff(first, again, protocmp.Transform()); diff != "" {
		t.Errorf("the same request got another answer:\n%s", diff)
	}
	_, err := s.client.CreateExport(context.Background(), &exportv1.CreateExportRequest{Parent: "controllers/north", Kind: 2, RequestId: id,
		Subject: &typev1.Subject{Type: typev1.Subject_EMAIL, Value: "b@example.org"}})
	if !isReason(err, "IDEMPOTENCY_KEY_REUSED") {
		t.Errorf("another request with the same key: %v", err)
	}
	if got := s.recorded("export.createexport"); got.GetResource() != first.GetName() || len(got.GetSubjectRefs()) != 1 {
		t.Errorf("event %v", got)
	}
}

func TestListPages(t *testing.T) {
	t.Parallel()
	s := newSuite(t, learning())
	var want []string
	for range 5 {
		want = append([]string{s.create().GetName()}, want...)
	}
	var got []string
	req := &exportv1.ListExportsRequest{Parent: "controllers/north", PageSize: 2}
	for {
		page, err := s.client.ListExports(context.Background(), req)
		check(t, err)
		for _, e := range page.GetExports() {
			got = append(got, e.GetName())
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
		foreign := &exportv1.ListExportsRequest{Parent: "controllers/south", PageToken: req.PageToken}
		if _, err := s.client.ListExports(context.Background(), foreign); status.Code(err) != codes.InvalidArgument {
			t.Fatalf("another controller's token: %v", err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("newest first (-want +got):\n%s", diff)
	}
}

func TestForeignIsMissing(t *testing.T) {
	t.Parallel()
	s := newSuite(t, learning())
	e := s.create()
	foreign := "controllers/south" + e.GetName()[len("controllers/north"):]
	_, gerr := s.client.GetExport(context.Background(), &exportv1.GetExportRequest{Name: foreign})
	_, cerr := s.client.CancelExport(context.Background(), &exportv1.CancelExportRequest{Name: foreign})
	_, rerr := s.read(foreign, 0, 0)
	for _, err := range []error{gerr, cerr, rerr} {
		if status.Code(err) != codes.NotFound {
			t.Errorf("another controller's export: %v", err)
		}
	}
	if got := s.get(e.GetName()); got.GetState() != exportv1.Export_PENDING {
		t.Errorf("a foreign cancel made it %s", got.GetState())
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	l := learning()
	l.fail(status.Error(codes.Unavailable, ""))
	s := newSuite(t, l, support())
	e := s.advance(s.create())
	if len(s.files()) != 1 {
		t.Fatalf("files %v", s.files())
	}
	for range 2 { // the second time it is cancelled already
		got, err := s.client.CancelExport(context.Background(), &exportv1.CancelExportRequest{Name: e.GetName(), Reason: "asked twice"})
		check(t, err)
		if got.GetState() != exportv1.Export_CANCELLED || got.GetPackage() != nil {
			t.Errorf("cancelled as %v", got)
		}
	}
	if len(s.files()) != 0 {
		t.Errorf("files are left: %v", s.files())
	}
	if _, err := s.read(e.GetName(), 0, 0); !isReason(err, "NO_PACKAGE") {
		t.Errorf("read after cancel: %v", err)
	}
	l.fail(nil)
	done := s.advance(s.create())
	_, err := s.client.CancelExport(context.Background(), &exportv1.CancelExportRequest{Name: done.GetName()})
	if !isReason(err, "EXPORT_FINISHED") {
		t.Errorf("cancel after the end: %v", err)
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	s := newSuite(t, learning())
	e := s.create()
	stream, err := s.client.WatchExport(context.Background(), &exportv1.WatchExportRequest{Name: e.GetName()})
	check(t, err)
	first, err := stream.Recv()
	check(t, err)
	if first.GetState() != exportv1.Export_PENDING {
		t.Errorf("first seen as %s", first.GetState())
	}
	s.run()
	last := first
	for {
		next, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		check(t, err)
		last = next
	}
	if last.GetState() != exportv1.Export_READY || last.GetPackage() == nil {
		t.Errorf("last seen as %v", last)
	}
}
