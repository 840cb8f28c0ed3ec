package rpc_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/privacyops/privacyops/libs/fault"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typepb "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

func (s *suite) kind(kind pb.Controller_Kind) *pb.UpdateControllerRequest {
	return &pb.UpdateControllerRequest{Controller: &pb.Controller{Name: "controllers/a", Kind: kind}}
}

func newsletter(change func(*pb.Activity)) *pb.CreateActivityRequest {
	a := &pb.Activity{Purpose: "News of the school", LegalBasis: typepb.LegalBasis_LEGITIMATE_INTERESTS}
	change(a)
	return &pb.CreateActivityRequest{Parent: "controllers/a", ActivityId: "news", Activity: a}
}

// A public authority has no legitimate interests in its tasks, whichever is said first.
func TestLegitimateInterestsOfAnAuthority(t *testing.T) {
	t.Parallel()
	s := ready(t)
	made := must[*pb.Activity](t)(s.Register.CreateActivity(t.Context(), newsletter(func(*pb.Activity) {})))
	f := refused[*pb.Controller](t, fault.Invalid, "LEGITIMATE_INTERESTS_OF_AUTHORITY")(s.Register.UpdateController(t.Context(), s.kind(pb.Controller_PUBLIC_AUTHORITY)))
	if !strings.Contains(f.message, ": news.") || len(f.violations) != 1 || f.violations[0].Field != "controller.kind" {
		t.Errorf("%+v", f)
	}
	outside := must[*pb.Activity](t)(s.Register.UpdateActivity(t.Context(), &pb.UpdateActivityRequest{Activity: &pb.Activity{Name: made.GetName(), OutsideAuthorityTasks: true}}))
	if !outside.GetOutsideAuthorityTasks() || outside.GetEtag() == made.GetEtag() {
		t.Errorf("%v", outside)
	}
	c := must[*pb.Controller](t)(s.Register.UpdateController(t.Context(), s.kind(pb.Controller_PUBLIC_AUTHORITY)))
	if c.GetKind() != pb.Controller_PUBLIC_AUTHORITY {
		t.Errorf("%v", c)
	}
	second := newsletter(func(*pb.Activity) {})
	second.ActivityId = "more-news"
	f = refused[*pb.Activity](t, fault.Invalid, "LEGITIMATE_INTERESTS_OF_AUTHORITY")(s.Register.CreateActivity(t.Context(), second))
	if len(f.violations) != 1 || f.violations[0].Field != "activity.legal_basis" {
		t.Errorf("%+v", f)
	}
	refused[*pb.Activity](t, fault.Invalid, "LEGITIMATE_INTERESTS_OF_AUTHORITY")(s.Register.UpdateActivity(t.Context(), &pb.UpdateActivityRequest{
		Activity: &pb.Activity{Name: made.GetName()}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"outside_authority_tasks"}}}))
	must[*pb.Activity](t)(s.Register.ArchiveActivity(t.Context(), &pb.ArchiveActivityRequest{Name: made.GetName()}))
}

// What is said of transfers, marketing and ages is kept in every version and read as it was said.
func TestNewFieldsAreKept(t *testing.T) {
	t.Parallel()
	s := ready(t)
	said := newsletter(func(a *pb.Activity) {
		a.DirectMarketing, a.OutsideAuthorityTasks, a.Locations = true, true, []string{"DK", "US"}
		a.Transfers = []*pb.Transfer{{Location: "US", Ground: pb.Transfer_ADEQUACY_DECISION, Safeguard: "https://example.org/dpf"}}
	})
	made := must[*pb.Activity](t)(s.Register.CreateActivity(t.Context(), said))
	read := must[*pb.Activity](t)(s.Register.GetActivity(t.Context(), &pb.GetActivityRequest{Name: made.GetName()}))
	if d := cmp.Diff(made, read, protocmp.Transform()); d != "" {
		t.Error(d)
	}
	set := protocmp.IgnoreFields(made, "name", "etag", "version", "state", "create_time", "update_time")
	if d := cmp.Diff(said.GetActivity(), read, protocmp.Transform(), set); d != "" {
		t.Error(d)
	}
	next := must[*pb.Activity](t)(s.Register.UpdateActivity(t.Context(), &pb.UpdateActivityRequest{Activity: &pb.Activity{Name: made.GetName(), Purpose: "More news"}}))
	if d := cmp.Diff(made.GetTransfers(), next.GetTransfers(), protocmp.Transform()); d != "" || !next.GetDirectMarketing() {
		t.Error(d)
	}
	refused[*pb.Activity](t, fault.Invalid, "TRANSFER_GROUND_REQUIRED")(s.Register.UpdateActivity(t.Context(), &pb.UpdateActivityRequest{
		Activity: &pb.Activity{Name: made.GetName()}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"transfers"}}}))
	refused[*pb.Activity](t, fault.Invalid, "TRANSFER_UNFOUNDED")(s.Register.UpdateActivity(t.Context(), &pb.UpdateActivityRequest{
		Activity: &pb.Activity{Name: made.GetName(), Locations: []string{"DK"}}}))
	update := s.kind(pb.Controller_PRIVATE)
	update.Controller.AgePolicy = pb.Controller_RENEW
	must[*pb.Controller](t)(s.Register.UpdateController(t.Context(), update))
	c := must[*pb.Controller](t)(s.Register.GetController(t.Context(), &pb.GetControllerRequest{Name: "controllers/a"}))
	if c.GetKind() != pb.Controller_PRIVATE || c.GetAgePolicy() != pb.Controller_RENEW {
		t.Errorf("%v", c)
	}
}
