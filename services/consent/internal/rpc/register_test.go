package rpc_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/fault"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typepb "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

func TestControllerDefaultsAndUpdate(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	made := must[*pb.Controller](t)(s.Register.CreateController(t.Context(), &pb.CreateControllerRequest{ControllerId: "a",
		Controller: &pb.Controller{DisplayName: "School", Jurisdiction: "DK"}}))
	at := timestamppb.New(noon.Truncate(time.Microsecond))
	want := &pb.Controller{Name: "controllers/a", DisplayName: "School", Jurisdiction: "DK", TimeZone: "Europe/Copenhagen", Language: "da",
		RequiredApprovals: 1, GracePeriod: durationpb.New(24 * time.Hour), PrimaryIdentifierType: typepb.Subject_UNILOGIN,
		Etag: made.GetEtag(), CreateTime: at, UpdateTime: at}
	if d := cmp.Diff(want, made, protocmp.Transform()); d != "" {
		t.Error(d)
	}
	read := must[*pb.Controller](t)(s.Register.GetController(t.Context(), &pb.GetControllerRequest{Name: "controllers/a"}))
	if d := cmp.Diff(made, read, protocmp.Transform()); d != "" {
		t.Errorf("read again: %s", d)
	}

	s.clock.Advance(time.Hour)
	changed := must[*pb.Controller](t)(s.Register.UpdateController(t.Context(), &pb.UpdateControllerRequest{
		Controller: &pb.Controller{Name: "controllers/a", Etag: made.GetEtag(), DisplayName: "ignored", GracePeriod: durationpb.New(0),
			Dpo: &pb.ContactPerson{Name: "ignored", Email: "dpo@example.org"}, TimeZone: "Europe/Oslo"},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"grace_period", "dpo.email", "time_zone", "contact"}},
	}))
	want.GracePeriod, want.Dpo, want.TimeZone = durationpb.New(0), &pb.ContactPerson{Email: "dpo@example.org"}, "Europe/Oslo"
	want.Etag, want.UpdateTime = changed.GetEtag(), timestamppb.New(at.AsTime().Add(time.Hour))
	if d := cmp.Diff(want, changed, protocmp.Transform()); d != "" {
		t.Error(d)
	}
	if changed.GetEtag() == made.GetEtag() {
		t.Error("the etag did not change")
	}
	refused[*pb.Controller](t, fault.Aborted, "ETAG_MISMATCH")(s.Register.UpdateController(t.Context(), &pb.UpdateControllerRequest{
		Controller: &pb.Controller{Name: "controllers/a", Etag: made.GetEtag(), Contact: "x"}}))
	refused[*pb.Controller](t, fault.NotFound, "NOT_FOUND")(s.Register.UpdateController(t.Context(), &pb.UpdateControllerRequest{
		Controller: &pb.Controller{Name: "controllers/b", Contact: "x"}}))
	refused[*pb.Controller](t, fault.NotFound, "NOT_FOUND")(s.Register.GetController(t.Context(), &pb.GetControllerRequest{Name: "controllers/b"}))
}

func TestAnExplicitGracePeriodOfNothingIsKept(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	made := must[*pb.Controller](t)(s.Register.CreateController(t.Context(), &pb.CreateControllerRequest{ControllerId: "a",
		Controller: &pb.Controller{DisplayName: "School", Jurisdiction: "DK", GracePeriod: durationpb.New(0)}}))
	if made.GetGracePeriod() == nil || made.GetGracePeriod().AsDuration() != 0 {
		t.Errorf("grace period %v, want 0s", made.GetGracePeriod())
	}
}

func TestUpdateMasks(t *testing.T) {
	t.Parallel()
	s := ready(t)
	for _, path := range []string{"name", "version", "state", "create_time", "update_time", "purpos", "retention.forever", "data_categories.x", "", "Purpose"} {
		f := refused[*pb.Activity](t, fault.Invalid, "INVALID_ARGUMENT")(s.Register.UpdateActivity(t.Context(), &pb.UpdateActivityRequest{
			Activity:   &pb.Activity{Name: "controllers/a/activities/photos", Purpose: "Other", Version: 7},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"purpose", path}}}))
		if v := f.violations; len(v) != 1 || v[0].Field != "update_mask" {
			t.Errorf("%q: %v, want the blame on update_mask", path, v)
		}
	}
	name := "controllers/a/activities/photos"
	merged := must[*pb.Activity](t)(s.Register.UpdateActivity(t.Context(), &pb.UpdateActivityRequest{
		Activity:   &pb.Activity{Name: name, Retention: &pb.Retention{Period: "P1Y", Ground: "ignored"}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"retention.period", "etag", "recipients"}}}))
	if merged.GetVersion() != 2 || merged.GetRetention().GetPeriod() != "P1Y" || merged.GetRetention().GetGround() != "" ||
		len(merged.GetRecipients()) != 0 || merged.GetPurpose() != "Something" || len(merged.GetLocations()) != 1 {
		t.Errorf("merged: %v", merged)
	}
	unmasked := must[*pb.Activity](t)(s.Register.UpdateActivity(t.Context(), &pb.UpdateActivityRequest{
		Activity: &pb.Activity{Name: name, Etag: merged.GetEtag(), Purpose: "New words"}}))
	if unmasked.GetVersion() != 3 || unmasked.GetPurpose() != "New words" || unmasked.GetRetention().GetPeriod() != "P1Y" {
		t.Errorf("without a mask only what is set changes: %v", unmasked)
	}
	full := must[*pb.Activity](t)(s.Register.UpdateActivity(t.Context(), &pb.UpdateActivityRequest{
		Activity:   &pb.Activity{Name: name, Purpose: "Alone", LegalBasis: typepb.LegalBasis_CONTRACT},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"*"}}}))
	if full.GetVersion() != 4 || full.GetRetention() != nil || len(full.GetLocations()) != 0 || full.GetLegalBasis() != typepb.LegalBasis_CONTRACT {
		t.Errorf("with * everything is replaced: %v", full)
	}
	if d := cmp.Diff(full, must[*pb.Activity](t)(s.Register.GetActivity(t.Context(), &pb.GetActivityRequest{Name: name})), protocmp.Transform()); d != "" {
		t.Error(d)
	}
}

// What comes out of a change is checked as a whole: by the contract's patterns and by the register's rules.
func TestUpdatesAreValidated(t *testing.T) {
	t.Parallel()
	s := ready(t)
	update := func(a *pb.Activity, paths ...string) (*pb.Activity, error) {
		a.Name = "controllers/a/activities/photos"
		return s.Register.UpdateActivity(t.Context(), &pb.UpdateActivityRequest{Activity: a, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
	}
	for field, a := range map[string]*pb.Activity{
		"purpose": {}, "legal_basis": {}, "special_category_condition": {SpecialCategoryCondition: "z"}, "locations": {Locations: []string{"dk"}},
	} {
		f := refused[*pb.Activity](t, fault.Invalid, "INVALID_ARGUMENT")(update(a, field))
		if v := f.violations; len(v) != 1 || len(v[0].Field) < len("activity.")+len(field) || v[0].Field[:len("activity.")+len(field)] != "activity."+field {
			t.Errorf("%s: %v", field, v)
		}
	}
	refused[*pb.Activity](t, fault.Invalid, "CONSENT_CANNOT_PROTECT")(update(&pb.Activity{Retention: &pb.Retention{Protected: true, Ground: "law"}}, "retention"))
	refused[*pb.Activity](t, fault.Invalid, "SPECIAL_CATEGORY_CONDITION_REQUIRED")(update(&pb.Activity{DataCategories: []string{"health"}}, "data_categories"))
	for _, name := range []string{"controllers/a/activities/photos/x", "controllers/a/activities/", "controllers/a/systems/photos", "controllers/a/activities/../x"} {
		refused[*pb.Activity](t, fault.Invalid, "INVALID_ARGUMENT")(s.Register.UpdateActivity(t.Context(),
			&pb.UpdateActivityRequest{Activity: &pb.Activity{Name: name, Purpose: "x"}}))
	}
	if a := must[*pb.Activity](t)(s.Register.GetActivity(t.Context(), &pb.GetActivityRequest{Name: "controllers/a/activities/photos"})); a.GetVersion() != 1 {
		t.Errorf("refused changes made version %d", a.GetVersion())
	}
}

func TestCreateRefusesWhatOnlyTheServiceSets(t *testing.T) {
	t.Parallel()
	s := ready(t)
	good := func() *pb.Activity { return &pb.Activity{Purpose: "x", LegalBasis: typepb.LegalBasis_CONTRACT} }
	for field, change := range map[string]func(*pb.Activity){
		"activity.state":       func(a *pb.Activity) { a.State = pb.Activity_ARCHIVED },
		"activity.version":     func(a *pb.Activity) { a.Version = 7 },
		"activity.create_time": func(a *pb.Activity) { a.CreateTime = timestamppb.New(noon) },
		"activity.name":        func(a *pb.Activity) { a.Name = "controllers/b/activities/new" },
	} {
		a := good()
		change(a)
		f := refused[*pb.Activity](t, fault.Invalid, "INVALID_ARGUMENT")(s.Register.CreateActivity(t.Context(),
			&pb.CreateActivityRequest{Parent: "controllers/a", ActivityId: "new", Activity: a}))
		if v := f.violations; len(v) != 1 || v[0].Field != field {
			t.Errorf("%v, want the blame on %s", v, field)
		}
	}
	a := good()
	a.Name = "controllers/a/activities/new"
	must[*pb.Activity](t)(s.Register.CreateActivity(t.Context(), &pb.CreateActivityRequest{Parent: "controllers/a", ActivityId: "new", Activity: a}))
	refused[*pb.Activity](t, fault.Exists, "ALREADY_EXISTS")(s.Register.CreateActivity(t.Context(),
		&pb.CreateActivityRequest{Parent: "controllers/a", ActivityId: "new", Activity: good()}))
	refused[*pb.Activity](t, fault.NotFound, "NOT_FOUND")(s.Register.CreateActivity(t.Context(),
		&pb.CreateActivityRequest{Parent: "controllers/b", ActivityId: "new", Activity: good()}))
	refused[*pb.Controller](t, fault.Invalid, "INVALID_ARGUMENT")(s.Register.CreateController(t.Context(),
		&pb.CreateControllerRequest{ControllerId: "c", Controller: &pb.Controller{DisplayName: "x", Jurisdiction: "DK", TimeZone: "Mars/Olympus"}}))
}

func TestArchive(t *testing.T) {
	t.Parallel()
	s := ready(t)
	name := "controllers/a/activities/photos"
	first := must[*pb.Activity](t)(s.Register.GetActivity(t.Context(), &pb.GetActivityRequest{Name: name}))
	refused[*pb.Activity](t, fault.Aborted, "ETAG_MISMATCH")(s.Register.ArchiveActivity(t.Context(), &pb.ArchiveActivityRequest{Name: name, Etag: "other"}))
	archived := must[*pb.Activity](t)(s.Register.ArchiveActivity(t.Context(), &pb.ArchiveActivityRequest{Name: name, Etag: first.GetEtag()}))
	if archived.GetState() != pb.Activity_ARCHIVED || archived.GetVersion() != 2 {
		t.Errorf("%v", archived)
	}
	again := must[*pb.Activity](t)(s.Register.ArchiveActivity(t.Context(), &pb.ArchiveActivityRequest{Name: name, Etag: first.GetEtag()}))
	if d := cmp.Diff(archived, again, protocmp.Transform()); d != "" {
		t.Errorf("archived twice: %s", d)
	}
	refused[*pb.Activity](t, fault.Precondition, "ACTIVITY_ARCHIVED")(s.Register.UpdateActivity(t.Context(),
		&pb.UpdateActivityRequest{Activity: &pb.Activity{Name: name, Purpose: "x"}}))
	refused[*pb.Consent](t, fault.Precondition, "ACTIVITY_ARCHIVED")(s.Consents.GiveConsent(t.Context(), s.giving("u1")))
	s.wantReason(pb.Decision_ACTIVITY_ARCHIVED, "u1")
}

func TestSystems(t *testing.T) {
	t.Parallel()
	s := ready(t)
	made := must[*pb.System](t)(s.Register.CreateSystem(t.Context(), &pb.CreateSystemRequest{Parent: "controllers/a", SystemId: "lms",
		System: &pb.System{DisplayName: "Platform", Participant: "lms", Mandatory: true, Order: 3}}))
	changed := must[*pb.System](t)(s.Register.UpdateSystem(t.Context(), &pb.UpdateSystemRequest{
		System:     &pb.System{Name: made.GetName(), Etag: made.GetEtag(), Location: "DK"},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"location", "mandatory"}}}))
	if changed.GetMandatory() || changed.GetLocation() != "DK" || changed.GetOrder() != 3 || changed.GetDisplayName() != "Platform" {
		t.Errorf("%v", changed)
	}
	if d := cmp.Diff(changed, must[*pb.System](t)(s.Register.GetSystem(t.Context(), &pb.GetSystemRequest{Name: made.GetName()})), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	refused[*pb.System](t, fault.Aborted, "ETAG_MISMATCH")(s.Register.UpdateSystem(t.Context(), &pb.UpdateSystemRequest{
		System: &pb.System{Name: made.GetName(), Etag: made.GetEtag(), Location: "SE"}}))
	refused[*pb.System](t, fault.Invalid, "INVALID_ARGUMENT")(s.Register.UpdateSystem(t.Context(), &pb.UpdateSystemRequest{
		System: &pb.System{Name: made.GetName(), Order: -1}}))
	refused[*pb.System](t, fault.NotFound, "NOT_FOUND")(s.Register.GetSystem(t.Context(), &pb.GetSystemRequest{Name: "controllers/a/systems/other"}))
}

func TestListsInPages(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.school("b")
	for _, id := range []string{"z", "b", "k"} {
		s.activity("a", id, typepb.LegalBasis_CONTRACT)
		must[*pb.System](t)(s.Register.CreateSystem(t.Context(), &pb.CreateSystemRequest{Parent: "controllers/a", SystemId: id,
			System: &pb.System{DisplayName: "x", Participant: "lms"}}))
	}
	var got []string
	req := &pb.ListActivitiesRequest{Parent: "controllers/a", PageSize: 2}
	for {
		page := must[*pb.ListActivitiesResponse](t)(s.Register.ListActivities(t.Context(), req))
		for _, a := range page.GetActivities() {
			got = append(got, a.GetName())
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	prefix := "controllers/a/activities/"
	if d := cmp.Diff([]string{prefix + "b", prefix + "k", prefix + "learning", prefix + "photos", prefix + "z"}, got); d != "" {
		t.Error(d)
	}
	first := must[*pb.ListSystemsResponse](t)(s.Register.ListSystems(t.Context(), &pb.ListSystemsRequest{Parent: "controllers/a", PageSize: 2}))
	if len(first.GetSystems()) != 2 || first.GetNextPageToken() == "" {
		t.Fatalf("%v", first)
	}
	rest := must[*pb.ListSystemsResponse](t)(s.Register.ListSystems(t.Context(), &pb.ListSystemsRequest{Parent: "controllers/a", PageToken: first.GetNextPageToken()}))
	if len(rest.GetSystems()) != 1 || rest.GetNextPageToken() != "" {
		t.Errorf("%v", rest)
	}
	token := first.GetNextPageToken()
	refused[*pb.ListSystemsResponse](t, fault.Invalid, "PAGE_TOKEN_INVALID")(s.Register.ListSystems(t.Context(), &pb.ListSystemsRequest{Parent: "controllers/b", PageToken: token}))
	refused[*pb.ListSystemsResponse](t, fault.Invalid, "PAGE_TOKEN_INVALID")(s.Register.ListSystems(t.Context(), &pb.ListSystemsRequest{Parent: "controllers/a", PageToken: token + "A"}))
	refused[*pb.ListActivitiesResponse](t, fault.Invalid, "PAGE_TOKEN_INVALID")(s.Register.ListActivities(t.Context(), &pb.ListActivitiesRequest{Parent: "controllers/a", PageToken: token}))
	refused[*pb.ListActivitiesResponse](t, fault.NotFound, "NOT_FOUND")(s.Register.ListActivities(t.Context(), &pb.ListActivitiesRequest{Parent: "controllers/c"}))
	refused[*pb.ListSystemsResponse](t, fault.NotFound, "NOT_FOUND")(s.Register.ListSystems(t.Context(), &pb.ListSystemsRequest{Parent: "controllers/c"}))
}

func TestSnapshotIsTheWholeRegister(t *testing.T) {
	t.Parallel()
	s := ready(t)
	must[*pb.Activity](t)(s.Register.ArchiveActivity(t.Context(), &pb.ArchiveActivityRequest{Name: "controllers/a/activities/photos"}))
	must[*pb.System](t)(s.Register.CreateSystem(t.Context(), &pb.CreateSystemRequest{Parent: "controllers/a", SystemId: "lms",
		System: &pb.System{DisplayName: "x", Participant: "lms"}}))
	snap := must[*pb.Snapshot](t)(s.Reader.GetSnapshot(t.Context(), &pb.GetSnapshotRequest{Parent: "controllers/a"}))
	if snap.GetController().GetName() != "controllers/a" || len(snap.GetActivities()) != 2 || len(snap.GetSystems()) != 1 ||
		snap.GetActivities()[1].GetState() != pb.Activity_ARCHIVED {
		t.Errorf("%v", snap)
	}
	refused[*pb.Snapshot](t, fault.NotFound, "NOT_FOUND")(s.Reader.GetSnapshot(t.Context(), &pb.GetSnapshotRequest{Parent: "controllers/b"}))
}

func TestRegisterEvents(t *testing.T) {
	t.Parallel()
	s := ready(t)
	must[*pb.Activity](t)(s.Register.UpdateActivity(t.Context(), &pb.UpdateActivityRequest{Activity: &pb.Activity{Name: "controllers/a/activities/photos", Purpose: "x"}}))
	e := s.lastEvent("activity.update")
	if e.GetResource() != "controllers/a/activities/photos" || e.GetController() != "a" || e.GetDetail()["version"] != "2" ||
		e.GetActor().GetRef() != "usr_tester" || e.GetKind().String() != "ADMIN" {
		t.Errorf("%v", e)
	}
	if e := s.lastEvent("controller.create"); e.GetController() != "a" || e.GetResource() != "controllers/a" {
		t.Errorf("%v", e)
	}
	must[*pb.Activity](t)(s.Register.GetActivity(t.Context(), &pb.GetActivityRequest{Name: "controllers/a/activities/photos"}))
	if e := s.lastEvent("activity.get"); e.GetResource() != "controllers/a/activities/photos" {
		t.Errorf("%v", e)
	}
	var author string
	must[string](t)("", s.db.Read(t.Context(), readAuthor(&author)))
	if author != "usr_tester" {
		t.Errorf("the version was made by %q", author)
	}
}
