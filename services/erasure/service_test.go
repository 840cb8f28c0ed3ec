package erasure_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/certificate"
	"github.com/privacyops/privacyops/libs/fault"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/erasure"
)

// TestErasure follows one erasure from the request to a certificate that verifies, with every event on the way.
func TestErasure(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	e := s.planned()
	plan := e.GetPlan()
	if len(plan.GetWarnings()) != 1 || !strings.Contains(plan.GetWarnings()[0], "unheard-of") {
		t.Errorf("warnings %q, want one of the activity that nobody instructed", plan.GetWarnings())
	}
	if len(plan.GetItems()) != 5 || plan.GetItems()[0].GetSystem() != "desk" || plan.GetItems()[4].GetAction().String() != "KEEP" ||
		len(plan.GetSharedIdentifiers()) != 1 || plan.GetSharedIdentifiers()[0].GetPeople() != 2 {
		t.Errorf("the plan is %v", plan)
	}
	_, err := s.erasures.GetCertificate(s.dpo(), &erasurev1.GetCertificateRequest{Name: e.GetName()})
	wantFault(t, err, fault.Precondition, "NOT_CERTIFIED")
	stale := proto.Clone(e).(*erasurev1.Erasure)
	stale.Plan.PlanHash = strings.Repeat("0", 64)
	_, err = s.approve(s.dpo(), stale)
	wantFault(t, err, fault.Precondition, "PLAN_HASH_MISMATCH")

	watch, err := s.erasures.WatchErasure(s.platform(), &erasurev1.WatchErasureRequest{Name: e.GetName()})
	check(t, err)
	_, err = s.approve(s.dpo(), e)
	check(t, err)
	states, err := drain(watch)
	if err != nil || len(states) < 2 || states[len(states)-1] != erasurev1.Erasure_COMPLETED {
		t.Fatalf("watched %v, then %v", states, err)
	}
	file, err := s.erasures.GetCertificate(s.as("auditor", "auditor"), &erasurev1.GetCertificateRequest{Name: e.GetName()})
	check(t, err)
	report, err := certificate.Verify(file.GetData(), certificate.Trust{CertificateKeys: []string{s.cfg.Signer.VerifierKey()}, LogKeys: []string{s.audit.key}})
	check(t, err)
	if report.Statement.Verdict != certificate.CompleteWithKept || report.Statement.PlanHash != plan.GetPlanHash() || len(report.Statement.Approvals) != 1 {
		t.Errorf("the statement is %+v", report.Statement)
	}
	if diff := cmp.Diff([]string{"lms/marks/" + pupil}, s.systems.left()); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	refs := []string{s.cfg.Keyring.Subject("north", "UNILOGIN", pupil), s.cfg.Keyring.Subject("north", "EMAIL", pupilMail)}
	if len(s.register.erased) != 1 || !slices.Equal(s.register.erased[0].GetSubjectRefs(), refs) || s.register.erased[0].GetErasure() != e.GetName() {
		t.Errorf("the register was told %v", s.register.erased)
	}
	counts := s.tally()
	delete(counts, "erasure.get OK")
	want := map[string]int{"erasure.create OK": 1, "erasure.plan OK": 1, "erasure.certificate INVALID NOT_CERTIFIED": 1,
		"erasure.approve INVALID PLAN_HASH_MISMATCH": 1, "erasure.watch OK": 1, "erasure.approve OK": 1, "erasure.start OK": 1,
		"erasure.execute OK": 2, "erasure.executed OK": 1, "erasure.verify OK": 1, "erasure.complete OK": 1, "erasure.certificate OK": 1}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	s.leaks()
}

func TestUnknownSubject(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	e := s.create(func(r *erasurev1.CreateErasureRequest) { r.Subject = subject("nobody") })
	e = s.awaitState(e.GetName(), erasurev1.Erasure_COMPLETED)
	file, err := s.erasures.GetCertificate(s.dpo(), &erasurev1.GetCertificateRequest{Name: e.GetName()})
	check(t, err)
	report, err := certificate.Verify(file.GetData(), certificate.Trust{})
	if err != nil || report.Statement.Verdict != certificate.NothingFound {
		t.Errorf("verdict %s, %v", report.Statement.Verdict, err)
	}
	counts := s.tally()
	for _, want := range []string{"erasure.create OK", "erasure.plan OK", "erasure.verify OK", "erasure.complete OK"} {
		if counts[want] != 1 {
			t.Errorf("%d events %q", counts[want], want)
		}
	}
}

func (r *register) change(f func(*consentv1.Snapshot)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r.snapshot)
}

func TestTwoPeople(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.register.change(func(c *consentv1.Snapshot) {
		c.Controller.RequiredApprovals, c.Controller.GracePeriod = 2, durationpb.New(time.Hour)
	})
	e := s.planned()
	_, err := s.approve(s.as("platform", "dpo"), e) // the one who asked, with another role
	wantFault(t, err, fault.Denied, "OWN_REQUEST")
	got, err := s.approve(s.as("bo", "dpo"), e)
	if err != nil || got.GetState() != erasurev1.Erasure_AWAITING_APPROVAL || len(got.GetApprovals()) != 1 {
		t.Fatalf("after one of two: %v, %v", got.GetState(), err)
	}
	_, err = s.approve(s.as("bo", "dpo"), e)
	wantFault(t, err, fault.Exists, "ALREADY_APPROVED")
	got, err = s.approve(s.as("ib", "dpo"), e)
	if err != nil || got.GetState() != erasurev1.Erasure_GRACE || time.Until(got.GetGraceEndTime().AsTime()) < 50*time.Minute {
		t.Fatalf("after two of two: %v, %v", got, err)
	}
	for range 2 { // the second time changes nothing
		got, err = s.erasures.CancelErasure(s.platform(), &erasurev1.CancelErasureRequest{Name: e.GetName(), Reason: "a mistake"})
		if err != nil || got.GetState() != erasurev1.Erasure_CANCELLED || got.GetReason() != "a mistake" {
			t.Fatalf("called back: %v, %v", got, err)
		}
	}
	if len(s.systems.left()) != 5 {
		t.Error("rows went")
	}
	counts := s.tally()
	for key, want := range map[string]int{"erasure.approve DENIED OWN_REQUEST": 1, "erasure.approve OK": 2, "erasure.approve INVALID ALREADY_APPROVED": 1, "erasure.cancel OK": 2} {
		if counts[key] != want {
			t.Errorf("%d events %q, want %d", counts[key], key, want)
		}
	}
}

func TestRejecting(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	e := s.planned()
	for range 2 {
		got, err := s.erasures.RejectErasure(s.dpo(), &erasurev1.RejectErasureRequest{Name: e.GetName(), Reason: "kept for a case"})
		if err != nil || got.GetState() != erasurev1.Erasure_REJECTED {
			t.Fatalf("rejected: %v, %v", got, err)
		}
	}
	_, err := s.approve(s.dpo(), e)
	wantFault(t, err, fault.Precondition, "NOT_AWAITING_APPROVAL")
	_, err = s.erasures.CancelErasure(s.dpo(), &erasurev1.CancelErasureRequest{Name: e.GetName(), Reason: "x"})
	wantFault(t, err, fault.Precondition, "ALREADY_ENDED")
	watch, err := s.erasures.WatchErasure(s.dpo(), &erasurev1.WatchErasureRequest{Name: e.GetName()})
	check(t, err)
	if states, err := drain(watch); err != nil || len(states) != 1 {
		t.Errorf("watching what has ended: %v, %v", states, err)
	}
	if next := s.create(); next.GetName() == e.GetName() {
		t.Error("a rejected erasure answers a new request")
	}
}

func TestCancelAfterTheStart(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	e := s.planned()
	holding := make(chan struct{})
	s.systems.set(func() { s.systems.holding = holding })
	_, err := s.approve(s.dpo(), e)
	check(t, err)
	s.awaitState(e.GetName(), erasurev1.Erasure_RUNNING)
	_, err = s.erasures.CancelErasure(s.dpo(), &erasurev1.CancelErasureRequest{Name: e.GetName(), Reason: "too late"})
	wantFault(t, err, fault.Precondition, "ALREADY_STARTED")
	_, err = s.approve(s.as("bo", "dpo"), e)
	wantFault(t, err, fault.Precondition, "NOT_AWAITING_APPROVAL")
	close(holding)
	s.awaitState(e.GetName(), erasurev1.Erasure_COMPLETED)
}

func TestPreviewIsThePlan(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	p, err := s.erasures.PreviewErasure(s.platform(), &erasurev1.PreviewErasureRequest{Parent: "controllers/north", Subject: subject(pupil), Ground: erasurev1.Erasure_NO_LONGER_NECESSARY})
	check(t, err)
	if e := s.planned(); e.GetPlan().GetPlanHash() != p.GetPlanHash() {
		t.Error("the erasure has another plan than the preview")
	}
	if counts := s.tally(); counts["erasure.preview OK"] != 1 || counts["erasure.create OK"] != 1 {
		t.Errorf("events %v", counts)
	}
}

func TestAskingTwice(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.systems.fails("lms", codes.Unavailable) // so that it goes on
	first := s.create()
	if again := s.create(); again.GetName() != first.GetName() {
		t.Errorf("asked twice: %s and %s", first.GetName(), again.GetName())
	}
	if other := s.create(func(r *erasurev1.CreateErasureRequest) { r.Ground = erasurev1.Erasure_UNLAWFUL }); other.GetName() == first.GetName() {
		t.Error("another ground is the same erasure")
	}
	key := func(r *erasurev1.CreateErasureRequest) {
		r.RequestId, r.Subject = "6f0d1dfc-54c3-4f0c-8b5b-2f7d7a7c0001", subject("other0001")
	}
	one := s.create(key)
	if two := s.create(key); !proto.Equal(one, two) {
		t.Errorf("the same key has two answers: %v, %v", one, two)
	}
	_, err := s.erasures.CreateErasure(s.platform(), request(key, func(r *erasurev1.CreateErasureRequest) { r.Ground = erasurev1.Erasure_UNLAWFUL }))
	wantFault(t, err, fault.Exists, "IDEMPOTENCY_KEY_REUSED")
	s.tally()
	s.leaks()
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	future := func(r *erasurev1.CreateErasureRequest) { r.ReceivedAt = timestamppb.New(time.Now().Add(time.Hour)) }
	for name, change := range map[string]func(*erasurev1.CreateErasureRequest){
		"received in the future": future,
		"received long ago":      func(r *erasurev1.CreateErasureRequest) { r.ReceivedAt = timestamppb.New(time.Unix(0, 0)) },
		"nobody":                 func(r *erasurev1.CreateErasureRequest) { r.Subject = nil },
		"no ground":              func(r *erasurev1.CreateErasureRequest) { r.Ground = 0 },
		"no kind of identifier":  func(r *erasurev1.CreateErasureRequest) { r.Subject.Type = 0 },
		"no UUID":                func(r *erasurev1.CreateErasureRequest) { r.RequestId = "x" },
	} {
		_, err := s.erasures.CreateErasure(s.platform(), request(change))
		if f := fault.From(err); err == nil || f == nil {
			t.Errorf("%s: accepted", name)
		}
		wantFault(t, err, fault.Invalid, "INVALID_ARGUMENT")
	}
	e := s.create(func(r *erasurev1.CreateErasureRequest) {
		r.ReceivedAt = timestamppb.New(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))
		r.Subjects, r.Channel = []*typev1.Subject{subject(pupil), {Type: typev1.Subject_EMAIL, Value: "x@example.org"}}, erasurev1.Erasure_SUPPORT
	})
	if got := e.GetDueTime().AsTime(); got.Before(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)) || got.After(time.Date(2026, 4, 9, 0, 0, 0, 0, time.UTC)) || e.GetChannel() != erasurev1.Erasure_SUPPORT {
		t.Errorf("due %s, channel %s", got, e.GetChannel())
	}
	s.tally()
	s.leaks()
}

// A controller that a token does not reach, and an erasure that does not exist, are the same answer.
func TestForeignControllers(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	e := s.planned()
	absent := "controllers/north/erasures/" + uuid.NewString()
	texts := map[string]bool{}
	for who, ctx := range map[string]func() context.Context{"foreign": func() context.Context { return s.as("eve", "dpo", "south") }, "absent": s.dpo} {
		name := e.GetName()
		if who == "absent" {
			name = absent
		}
		_, get := s.erasures.GetErasure(ctx(), &erasurev1.GetErasureRequest{Name: name})
		_, approve := s.erasures.ApproveErasure(ctx(), &erasurev1.ApproveErasureRequest{Name: name, PlanHash: e.GetPlan().GetPlanHash()})
		_, reject := s.erasures.RejectErasure(ctx(), &erasurev1.RejectErasureRequest{Name: name, Reason: "x"})
		_, cancel := s.erasures.CancelErasure(ctx(), &erasurev1.CancelErasureRequest{Name: name, Reason: "x"})
		_, certificate := s.erasures.GetCertificate(ctx(), &erasurev1.GetCertificateRequest{Name: name})
		stream, err := s.erasures.WatchErasure(ctx(), &erasurev1.WatchErasureRequest{Name: name})
		check(t, err)
		_, watch := drain(stream)
		for _, err := range []error{get, approve, reject, cancel, certificate, watch} {
			wantFault(t, err, fault.NotFound, "NOT_FOUND")
			texts[fmt.Sprint(err)] = true
		}
	}
	if len(texts) != 1 {
		t.Errorf("the answers differ: %v", texts)
	}
	_, err := s.erasures.CreateErasure(s.as("eve", "platform", "south"), request())
	wantFault(t, err, fault.NotFound, "NOT_FOUND")
	_, err = s.erasures.CreateErasure(s.as("eve", "platform", "south"), request(func(r *erasurev1.CreateErasureRequest) { r.Parent = "controllers/south" }))
	wantFault(t, err, fault.NotFound, "UPSTREAM_NOT_FOUND") // the register knows no such controller
	_, err = s.approve(s.platform(), e)
	wantFault(t, err, fault.Denied, "ROLE_REQUIRED")
	if got := s.get(e.GetName()); got.GetState() != erasurev1.Erasure_AWAITING_APPROVAL {
		t.Errorf("the erasure is %s", got.GetState())
	}
}

func TestListing(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	var want []string
	for n := range 5 {
		want = append([]string{s.create(func(r *erasurev1.CreateErasureRequest) { r.Subject = subject(fmt.Sprintf("p%d", n)) }).GetName()}, want...)
	}
	var got []string
	req := &erasurev1.ListErasuresRequest{Parent: "controllers/north", PageSize: 2}
	for pages := 0; ; pages++ {
		list, err := s.erasures.ListErasures(s.dpo(), req)
		check(t, err)
		for _, e := range list.GetErasures() {
			got = append(got, e.GetName())
		}
		if req.PageToken = list.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	_, err := s.erasures.ListErasures(s.dpo(), &erasurev1.ListErasuresRequest{Parent: "controllers/north", PageToken: "forged"})
	wantFault(t, err, fault.Invalid, "INVALID_ARGUMENT")
}

// Whoever watches and goes leaves one event, and no failure.
func TestLeavingAWatch(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	e := s.planned()
	ctx, cancel := context.WithCancel(s.dpo())
	watch, err := s.erasures.WatchErasure(ctx, &erasurev1.WatchErasureRequest{Name: e.GetName()})
	check(t, err)
	if got, err := watch.Recv(); err != nil || got.GetState() != erasurev1.Erasure_AWAITING_APPROVAL {
		t.Fatalf("watched %v, %v", got, err)
	}
	cancel()
	time.Sleep(300 * time.Millisecond) // longer than the pause between two looks
	for key, n := range s.tally() {
		if strings.HasPrefix(key, "erasure.watch") && (key != "erasure.watch OK" || n != 1) {
			t.Errorf("%d events %q", n, key)
		}
	}
}

func TestWhatIsRequired(t *testing.T) {
	t.Parallel()
	if s, err := erasure.New(context.Background(), erasure.Config{}); err == nil || s != nil {
		t.Error("a service of nothing opens")
	}
}
