package rpc_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typepb "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// secret is what a person says; it must stand nowhere but in what the DPO reads.
const secret = "my brother is in the same class"

func (s *suite) objecting(activity string, values ...string) *pb.CreateObjectionRequest {
	return &pb.CreateObjectionRequest{Parent: "controllers/a", Subjects: pupil(values...), Activity: activity, Grounds: secret}
}

func (s *suite) object(activity string, values ...string) *pb.Objection {
	s.t.Helper()
	return must[*pb.Objection](s.t)(s.Rights.CreateObjection(s.t.Context(), s.objecting(activity, values...)))
}

func (s *suite) resolve(name string, outcome pb.ResolveObjectionRequest_Outcome) *pb.Objection {
	s.t.Helper()
	return must[*pb.Objection](s.t)(s.Rights.ResolveObjection(s.t.Context(), &pb.ResolveObjectionRequest{Name: name, Outcome: outcome, Reason: "because of " + secret}))
}

func (s *suite) restrict(activity string, values ...string) *pb.Restriction {
	s.t.Helper()
	return must[*pb.Restriction](s.t)(s.Rights.CreateRestriction(s.t.Context(), &pb.CreateRestrictionRequest{Parent: "controllers/a",
		Subjects: pupil(values...), Activity: activity, Ground: pb.Restriction_LEGAL_CLAIMS}))
}

func (s *suite) lift(name string) *pb.Restriction {
	s.t.Helper()
	return must[*pb.Restriction](s.t)(s.Rights.LiftRestriction(s.t.Context(), &pb.LiftRestrictionRequest{Name: name}))
}

// wantAnswer checks a decision by its reason.
func (s *suite) wantAnswer(want pb.Decision_Reason, activity string, values ...string) {
	s.t.Helper()
	d := s.check(activity, values...)
	allowed := want == pb.Decision_CONSENT_HOLDS || want == pb.Decision_LEGAL_BASIS_HOLDS
	if d.GetReason() != want || (d.GetDecision() == pb.Decision_ALLOW) != allowed {
		s.t.Errorf("%s of %v: %s %s, want %s", activity, values, d.GetDecision(), d.GetReason(), want)
	}
}

// marketing makes an activity of direct marketing.
func (s *suite) marketing(id string, basis typepb.LegalBasis) {
	s.t.Helper()
	must[*pb.Activity](s.t)(s.Register.CreateActivity(s.t.Context(), &pb.CreateActivityRequest{Parent: "controllers/a", ActivityId: id,
		Activity: &pb.Activity{Purpose: "News of our books", LegalBasis: basis, DirectMarketing: true}}))
}

func TestAnObjectionIsWeighed(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.wantAnswer(pb.Decision_LEGAL_BASIS_HOLDS, "learning", "u1")
	made := s.object("learning", "u1")
	want := &pb.Objection{Name: made.GetName(), State: pb.Objection_OPEN, Activity: "learning", SubjectRef: s.ref("u1"),
		CreateTime: timestamppb.New(noon.Truncate(time.Microsecond)), ConsistencyToken: made.GetConsistencyToken()}
	if d := cmp.Diff(want, made, protocmp.Transform()); d != "" || made.GetConsistencyToken() == "" {
		t.Error(d)
	}
	s.wantAnswer(pb.Decision_OBJECTED, "learning", "u1")
	s.wantAnswer(pb.Decision_LEGAL_BASIS_HOLDS, "learning", "u2")
	want.Grounds = secret
	read := must[*pb.Objection](t)(s.Rights.GetObjection(t.Context(), &pb.GetObjectionRequest{Name: made.GetName()}))
	if d := cmp.Diff(want, read, protocmp.Transform()); d != "" {
		t.Error(d)
	}
	s.clock.Advance(time.Hour)
	decided := s.resolve(made.GetName(), pb.ResolveObjectionRequest_REJECTED)
	want.State, want.ResolveTime, want.Resolution = pb.Objection_REJECTED, timestamppb.New(want.GetCreateTime().AsTime().Add(time.Hour)), "because of "+secret
	want.ConsistencyToken = decided.GetConsistencyToken()
	if d := cmp.Diff(want, decided, protocmp.Transform()); d != "" {
		t.Error(d)
	}
	s.wantAnswer(pb.Decision_LEGAL_BASIS_HOLDS, "learning", "u1")
	s.clock.Advance(time.Hour)
	if d := cmp.Diff(decided, s.resolve(made.GetName(), pb.ResolveObjectionRequest_REJECTED), protocmp.Transform()); d != "" {
		t.Errorf("decided again: %s", d)
	}
	refused[*pb.Objection](t, fault.Precondition, "OBJECTION_RESOLVED")(s.Rights.ResolveObjection(t.Context(),
		&pb.ResolveObjectionRequest{Name: made.GetName(), Outcome: pb.ResolveObjectionRequest_UPHELD, Reason: "x"}))
	s.resolve(s.object("learning", "u1").GetName(), pb.ResolveObjectionRequest_UPHELD)
	s.wantAnswer(pb.Decision_OBJECTED, "learning", "u1")
}

// An objection to direct marketing is not weighed, whatever its basis is (GDPR art. 21(3)).
func TestAnObjectionToDirectMarketing(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.marketing("news", typepb.LegalBasis_CONTRACT)
	s.marketing("offers", typepb.LegalBasis_CONSENT)
	giving := s.giving("u1")
	giving.Activity = "offers"
	must[*pb.Consent](t)(s.Consents.GiveConsent(t.Context(), giving))
	for _, activity := range []string{"news", "offers"} {
		o := s.object(activity, "u1")
		if o.GetState() != pb.Objection_UPHELD || !proto.Equal(o.GetResolveTime(), o.GetCreateTime()) {
			t.Errorf("%v", o)
		}
		s.wantAnswer(pb.Decision_OBJECTED, activity, "u1")
		refused[*pb.Objection](t, fault.Precondition, "DIRECT_MARKETING")(s.Rights.ResolveObjection(t.Context(),
			&pb.ResolveObjectionRequest{Name: o.GetName(), Outcome: pb.ResolveObjectionRequest_REJECTED, Reason: "x"}))
		s.resolve(o.GetName(), pb.ResolveObjectionRequest_UPHELD)
		s.wantAnswer(pb.Decision_OBJECTED, activity, "u1")
	}
}

func TestObjectionRefusals(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.activity("a", "payroll", typepb.LegalBasis_LEGAL_OBLIGATION)
	s.activity("a", "old", typepb.LegalBasis_PUBLIC_TASK)
	must[*pb.Activity](t)(s.Register.ArchiveActivity(t.Context(), &pb.ArchiveActivityRequest{Name: "controllers/a/activities/old"}))
	for name, test := range map[string]struct {
		change func(*pb.CreateObjectionRequest)
		kind   fault.Kind
		reason string
	}{
		"to a consent":          {func(r *pb.CreateObjectionRequest) { r.Activity = "photos" }, fault.Invalid, "WITHDRAW_CONSENT"},
		"to a legal obligation": {func(r *pb.CreateObjectionRequest) { r.Activity = "payroll" }, fault.Invalid, "NOT_OBJECTIONABLE"},
		"to what has ended":     {func(r *pb.CreateObjectionRequest) { r.Activity = "old" }, fault.Precondition, "ACTIVITY_ARCHIVED"},
		"to nothing":            {func(r *pb.CreateObjectionRequest) { r.Activity = "other" }, fault.Invalid, "UNKNOWN_ACTIVITY"},
		"unknown controller":    {func(r *pb.CreateObjectionRequest) { r.Parent = "controllers/b" }, fault.NotFound, "NOT_FOUND"},
		"no person":             {func(r *pb.CreateObjectionRequest) { r.Subjects = nil }, fault.Invalid, "INVALID_ARGUMENT"},
		"a novel": {func(r *pb.CreateObjectionRequest) { r.Grounds = strings.Repeat(secret, 1000) }, fault.Invalid,
			"INVALID_ARGUMENT"},
	} {
		req := s.objecting("learning", "u1")
		test.change(req)
		if f := refused[*pb.Objection](t, test.kind, test.reason)(s.Rights.CreateObjection(t.Context(), req)); strings.Contains(f.message, secret) {
			t.Errorf("%s: the message repeats what was said: %s", name, f.message)
		}
	}
	s.wantAnswer(pb.Decision_LEGAL_BASIS_HOLDS, "learning", "u1")
	absent := "controllers/a/objections/" + uuid.NewString()
	refused[*pb.Objection](t, fault.NotFound, "NOT_FOUND")(s.Rights.GetObjection(t.Context(), &pb.GetObjectionRequest{Name: absent}))
	refused[*pb.Objection](t, fault.NotFound, "NOT_FOUND")(s.Rights.ResolveObjection(t.Context(),
		&pb.ResolveObjectionRequest{Name: absent, Outcome: pb.ResolveObjectionRequest_UPHELD, Reason: "x"}))
}

func TestARestriction(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.give("u1")
	one := s.restrict("photos", "u1")
	want := &pb.Restriction{Name: one.GetName(), State: pb.Restriction_ACTIVE, Activity: "photos", SubjectRef: s.ref("u1"), Ground: pb.Restriction_LEGAL_CLAIMS,
		CreateTime: timestamppb.New(noon.Truncate(time.Microsecond)), ConsistencyToken: one.GetConsistencyToken()}
	if d := cmp.Diff(want, one, protocmp.Transform()); d != "" || one.GetConsistencyToken() == "" {
		t.Error(d)
	}
	s.wantAnswer(pb.Decision_RESTRICTED, "photos", "u1")
	s.wantAnswer(pb.Decision_LEGAL_BASIS_HOLDS, "learning", "u1")
	all := s.restrict("", "u1")
	s.wantAnswer(pb.Decision_RESTRICTED, "learning", "u1")
	s.wantAnswer(pb.Decision_LEGAL_BASIS_HOLDS, "learning", "u2")
	s.clock.Advance(time.Hour)
	lifted := s.lift(all.GetName())
	if lifted.GetState() != pb.Restriction_LIFTED || lifted.GetLiftTime().AsTime() != want.GetCreateTime().AsTime().Add(time.Hour) {
		t.Errorf("%v", lifted)
	}
	s.wantAnswer(pb.Decision_LEGAL_BASIS_HOLDS, "learning", "u1")
	s.wantAnswer(pb.Decision_RESTRICTED, "photos", "u1")
	s.clock.Advance(time.Hour)
	for _, again := range []*pb.Restriction{s.lift(all.GetName()),
		must[*pb.Restriction](t)(s.Rights.GetRestriction(t.Context(), &pb.GetRestrictionRequest{Name: all.GetName()}))} {
		if d := cmp.Diff(lifted, again, protocmp.Transform()); d != "" {
			t.Errorf("lifted again, and read: %s", d)
		}
	}
	s.lift(one.GetName())
	s.wantAnswer(pb.Decision_CONSENT_HOLDS, "photos", "u1")
	refused[*pb.Restriction](t, fault.Invalid, "UNKNOWN_ACTIVITY")(s.Rights.CreateRestriction(t.Context(), &pb.CreateRestrictionRequest{
		Parent: "controllers/a", Subjects: pupil("u1"), Activity: "other", Ground: pb.Restriction_LEGAL_CLAIMS}))
	absent := "controllers/a/restrictions/" + uuid.NewString()
	refused[*pb.Restriction](t, fault.NotFound, "NOT_FOUND")(s.Rights.GetRestriction(t.Context(), &pb.GetRestrictionRequest{Name: absent}))
	refused[*pb.Restriction](t, fault.NotFound, "NOT_FOUND")(s.Rights.LiftRestriction(t.Context(), &pb.LiftRestrictionRequest{Name: absent}))
}

// Lists go from the newest back, page by page, and another controller's are not in them.
func TestListsOfDemands(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.school("b")
	var objections, restrictions []string
	for range 3 {
		objections = append([]string{s.object("learning", "u1").GetName()}, objections...)
		restrictions = append([]string{s.restrict("", "u1").GetName()}, restrictions...)
	}
	var got []string
	token := ""
	for range 2 {
		page := must[*pb.ListObjectionsResponse](t)(s.Rights.ListObjections(t.Context(), &pb.ListObjectionsRequest{Parent: "controllers/a", PageSize: 2, PageToken: token}))
		for _, o := range page.GetObjections() {
			if o.GetGrounds() != secret {
				t.Errorf("%v", o)
			}
			got = append(got, o.GetName())
		}
		token = page.GetNextPageToken()
	}
	if d := cmp.Diff(objections, got); d != "" || token != "" {
		t.Errorf("%q %s", token, d)
	}
	page := must[*pb.ListRestrictionsResponse](t)(s.Rights.ListRestrictions(t.Context(), &pb.ListRestrictionsRequest{Parent: "controllers/a"}))
	got = nil
	for _, r := range page.GetRestrictions() {
		got = append(got, r.GetName())
	}
	if d := cmp.Diff(restrictions, got); d != "" {
		t.Error(d)
	}
	if n := len(must[*pb.ListObjectionsResponse](t)(s.Rights.ListObjections(t.Context(), &pb.ListObjectionsRequest{Parent: "controllers/b"})).GetObjections()); n != 0 {
		t.Errorf("another school sees %d objections", n)
	}
	refused[*pb.ListRestrictionsResponse](t, fault.NotFound, "NOT_FOUND")(s.Rights.ListRestrictions(t.Context(), &pb.ListRestrictionsRequest{Parent: "controllers/c"}))
	first := must[*pb.ListObjectionsResponse](t)(s.Rights.ListObjections(t.Context(), &pb.ListObjectionsRequest{Parent: "controllers/a", PageSize: 1}))
	refused[*pb.ListRestrictionsResponse](t, fault.Invalid, "PAGE_TOKEN_INVALID")(s.Rights.ListRestrictions(t.Context(),
		&pb.ListRestrictionsRequest{Parent: "controllers/a", PageToken: first.GetNextPageToken()}))
}

// A repeated call makes nothing twice, and its remembered answer holds no words.
func TestDemandsAreMadeOnce(t *testing.T) {
	t.Parallel()
	s := ready(t)
	o := s.objecting("learning", "u1")
	o.RequestId = uuid.NewString()
	r := &pb.CreateRestrictionRequest{Parent: "controllers/a", Subjects: pupil("u1"), Ground: pb.Restriction_LEGAL_CLAIMS, RequestId: uuid.NewString()}
	for _, pair := range [][2]proto.Message{
		{must[*pb.Objection](t)(s.Rights.CreateObjection(t.Context(), o)), must[*pb.Objection](t)(s.Rights.CreateObjection(t.Context(), o))},
		{must[*pb.Restriction](t)(s.Rights.CreateRestriction(t.Context(), r)), must[*pb.Restriction](t)(s.Rights.CreateRestriction(t.Context(), r))},
	} {
		if d := cmp.Diff(pair[0], pair[1], protocmp.Transform()); d != "" {
			t.Error(d)
		}
	}
	if n := len(must[*pb.ListObjectionsResponse](t)(s.Rights.ListObjections(t.Context(), &pb.ListObjectionsRequest{Parent: "controllers/a"})).GetObjections()); n != 1 {
		t.Errorf("%d objections", n)
	}
}

// everything reads every text and every byte of the database.
func (s *suite) everything() string {
	s.t.Helper()
	const between = `" AS TEXT), '') || ' ' || COALESCE(CAST("`
	var all strings.Builder
	err := s.db.Read(s.t.Context(), func(ctx context.Context, q sqldb.Querier) error {
		tables, err := texts(ctx, q, `SELECT name FROM sqlite_master WHERE type = 'table'`)
		if err != nil {
			return err
		}
		for _, table := range tables {
			columns, err := texts(ctx, q, `SELECT name FROM pragma_table_info('`+table+`')`)
			if err != nil {
				return err
			}
			values, err := texts(ctx, q, `SELECT COALESCE(CAST("`+strings.Join(columns, between)+`" AS TEXT), '') FROM "`+table+`"`)
			if err != nil {
				return err
			}
			all.WriteString(strings.Join(values, "\n"))
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all.String()
}

func texts(ctx context.Context, q sqldb.Querier, query string) (out []string, err error) {
	rows, err := q.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, rows.Err()
}

// What people say is written in envelopes only, and destroyed with them when the person is erased.
func TestWordsAreSealedAndDestroyed(t *testing.T) {
	t.Parallel()
	s := ready(t)
	req := s.objecting("learning", "u1")
	req.RequestId = uuid.NewString()
	mine := must[*pb.Objection](t)(s.Rights.CreateObjection(t.Context(), req))
	s.resolve(mine.GetName(), pb.ResolveObjectionRequest_UPHELD)
	open, others := s.object("learning", "u1"), s.object("learning", "u2")
	if strings.Contains(s.everything(), secret) || !strings.Contains(s.everything(), mine.GetSubjectRef()) {
		t.Error("what was said stands in the database as it was said, or the test does not look there")
	}
	for _, e := range s.events() {
		if strings.Contains(e.String(), secret) {
			t.Errorf("%s holds what was said", e.GetAction())
		}
	}
	s.erase(s.ref("u1"))
	get := func(name string) *pb.Objection {
		return must[*pb.Objection](t)(s.Rights.GetObjection(t.Context(), &pb.GetObjectionRequest{Name: name}))
	}
	if o := get(mine.GetName()); o.GetGrounds() != "" || o.GetResolution() != "" || o.GetState() != pb.Objection_UPHELD {
		t.Errorf("%v", o)
	}
	if o := s.resolve(open.GetName(), pb.ResolveObjectionRequest_REJECTED); o.GetResolution() != "" || o.GetState() != pb.Objection_REJECTED {
		t.Errorf("of an erased person something was written down: %v", o)
	}
	if o := get(others.GetName()); o.GetGrounds() != secret {
		t.Errorf("another person's: %v", o)
	}
	s.wantAnswer(pb.Decision_SUBJECT_ERASED, "learning", "u1")
	if o := get(s.object("learning", "u1").GetName()); o.GetGrounds() != "" {
		t.Errorf("of an erased person something was written down: %v", o)
	}
}

// What was said under an identifier is destroyed when it turns out to be an erased person's.
func TestWordsUnderAnotherIdentifier(t *testing.T) {
	t.Parallel()
	s := ready(t)
	req, mail := s.objecting("learning"), address("anna@example.org")
	req.Subject = mail
	o := must[*pb.Objection](t)(s.Rights.CreateObjection(t.Context(), req))
	s.erase(s.ref("u1"))
	s.link(pupil("u1")[0], mail)
	if o := must[*pb.Objection](t)(s.Rights.GetObjection(t.Context(), &pb.GetObjectionRequest{Name: o.GetName()})); o.GetGrounds() != "" {
		t.Errorf("%v", o)
	}
}

// erase notes that the person behind a pseudonym was erased.
func (s *suite) erase(refs ...string) {
	s.t.Helper()
	_, err := s.Erased.RecordErasure(s.t.Context(), &pb.RecordErasureRequest{Parent: "controllers/a", SubjectRefs: refs,
		Erasure: "controllers/a/erasures/" + uuid.NewString(), EraseTime: timestamppb.New(noon)})
	if err != nil {
		s.t.Fatal(err)
	}
}

// Demands are announced with the person and the activity, so that nobody goes on with an older answer.
func TestDemandsAreAnnounced(t *testing.T) {
	t.Parallel()
	s := ready(t)
	from := len(s.announced)
	o := s.object("learning", "u1")
	s.resolve(o.GetName(), pb.ResolveObjectionRequest_REJECTED)
	s.resolve(o.GetName(), pb.ResolveObjectionRequest_REJECTED) // nothing comes of it
	r := s.restrict("", "u1")
	s.lift(r.GetName())
	s.lift(r.GetName())
	var kinds []consent.ChangeKind
	for _, c := range s.announced[from:] {
		kinds = append(kinds, c.Kind)
		if len(c.Subjects) != 1 || string(c.Subjects[0]) != s.ref("u1") {
			t.Errorf("%+v", c)
		}
	}
	if d := cmp.Diff([]consent.ChangeKind{consent.Objecting, consent.Resolving, consent.Restricting, consent.Lifting}, kinds); d != "" {
		t.Error(d)
	}
	if e := s.lastEvent("objection.create"); e.GetResource() != o.GetName() || e.GetDetail()["state"] != "OPEN" || len(e.GetSubjectRefs()) != 1 {
		t.Errorf("%v", e)
	}
}
