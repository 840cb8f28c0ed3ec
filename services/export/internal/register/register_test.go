package register

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/export/internal/export"
)

type conn struct {
	grpc.ClientConnInterface
	reply *consentv1.Snapshot
	err   error
}

func (c conn) Invoke(_ context.Context, _ string, args, reply any, _ ...grpc.CallOption) error {
	if got := args.(*consentv1.GetSnapshotRequest).GetParent(); got != "controllers/north" {
		return status.Error(codes.InvalidArgument, got)
	}
	if c.err == nil {
		proto.Merge(reply.(proto.Message), c.reply)
	}
	return c.err
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	got, err := New(conn{reply: &consentv1.Snapshot{
		Controller: &consentv1.Controller{Name: "controllers/north", DisplayName: "Nord", Jurisdiction: "DK", TimeZone: "Europe/Oslo",
			Language: "en", Contact: "c", Dpo: &consentv1.ContactPerson{Name: "n", Email: "e"}},
		Activities: []*consentv1.Activity{{Name: "controllers/north/activities/a", Purpose: "p", LegalBasis: typev1.LegalBasis_PUBLIC_TASK,
			SpecialCategoryCondition: "j", DataCategories: []string{"d"}, SubjectCategories: []string{"s"}, Recipients: []string{"r"},
			Systems: []string{"lms"}, Locations: []string{"DK"}, Source: "src", AutomatedDecisions: true, State: consentv1.Activity_ARCHIVED,
			Retention: &consentv1.Retention{Period: "P1Y", Event: "COURSE_END", Protected: true, Ground: "law"}}},
		Systems: []*consentv1.System{{Name: "controllers/north/systems/lms", DisplayName: "LMS", Participant: "p", Location: "DK",
			OperatedBy: "us", Mandatory: true}},
	}}).Snapshot(context.Background(), "north")
	if err != nil {
		t.Fatal(err)
	}
	want := export.Snapshot{
		Controller: export.Controller{ID: "north", DisplayName: "Nord", Jurisdiction: "DK", TimeZone: "Europe/Oslo", Language: "en",
			Contact: "c", DPOName: "n", DPOEmail: "e"},
		Activities: []export.Activity{{ID: "a", Purpose: "p", LegalBasis: "PUBLIC_TASK", SpecialCategory: "j", DataCategories: []string{"d"},
			SubjectCategories: []string{"s"}, Recipients: []string{"r"}, Systems: []export.SystemID{"lms"}, Locations: []string{"DK"},
			Source: "src", AutomatedDecisions: true, Archived: true,
			Retention: export.Retention{Period: "P1Y", Event: "COURSE_END", Protected: true, Ground: "law"}}},
		Systems: []export.RegisteredSystem{{ID: "lms", DisplayName: "LMS", Participant: "p", Location: "DK", OperatedBy: "us", Mandatory: true}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	_, err := New(conn{err: status.Error(codes.NotFound, "")}).Snapshot(context.Background(), "north")
	if !errors.Is(err, export.ErrNoController) {
		t.Errorf("an unknown controller: %v", err)
	}
	_, err = New(conn{err: status.Error(codes.Unavailable, "")}).Snapshot(context.Background(), "north")
	if err == nil || errors.Is(err, export.ErrNoController) {
		t.Errorf("an unreachable register: %v", err)
	}
}
