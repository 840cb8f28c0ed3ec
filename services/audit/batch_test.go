package audit_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	domain "github.com/privacyops/privacyops/services/audit/internal/audit"
)

// decisions makes an event that stands for n decisions, each about another person, every second one with a recipient and every
// third one by a consent.
func decisions(controller string, n int) *auditv1.ReportedEvent {
	batch := &auditv1.DecisionBatch{
		Actors: []*auditv1.Actor{
			{Kind: auditv1.Actor_CALLER, Ref: "usr_3f1c6d0f1c9b3f1c6d0f1c9b3f1c6d0f1c9b3f1c", Roles: []authv1.Rule_Role{authv1.Rule_PLATFORM}},
			{Kind: auditv1.Actor_SERVICE, Ref: "export"},
		},
		Texts: []string{"absence-statistics", "CONSENT_GIVEN", "NO_LEGAL_BASIS", "municipality"},
	}
	for i := range n {
		id := uuid.Must(uuid.NewV7())
		person := uuid.New()
		d := &auditv1.BatchedDecision{
			Id: id[:], Actor: uint32(i % 2), OffsetMicros: int64(i) * 100, Activity: 0, Version: 7, Allowed: i%3 == 0, Reason: 2,
			SubjectRefs: []string{fmt.Sprintf("sub_%x%08x", person[:], i)},
			TraceId:     binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, 0x4bf92f3577b34da6), uint64(i)+1),
		}
		if i%2 == 1 {
			d.Recipient = 4
		}
		if i%3 == 0 {
			d.Reason, d.Consent = 1, person[:]
		}
		batch.Decisions = append(batch.Decisions, d)
	}
	return &auditv1.ReportedEvent{
		Id: newID(), Controller: controller, Service: "consent", Actor: &auditv1.Actor{Kind: auditv1.Actor_SERVICE, Ref: "consent"},
		Action: "legal_basis.check", Kind: authv1.Rule_DECISION, Outcome: auditv1.AuditEvent_OK,
		OccurTime: timestamppb.New(time.Now().Truncate(time.Microsecond)), Decisions: batch,
	}
}

// alone is a decision as the consent service reports it when it reports it by itself.
func alone(batch *auditv1.ReportedEvent, place int) *auditv1.ReportedEvent {
	b := batch.GetDecisions()
	d := b.GetDecisions()[place]
	activity := b.GetTexts()[d.GetActivity()]
	e := &auditv1.ReportedEvent{
		Id: uuid.Must(uuid.FromBytes(d.GetId())).String(), Controller: batch.GetController(), Service: batch.GetService(),
		Actor: b.GetActors()[d.GetActor()], Action: "legal_basis.check", Kind: authv1.Rule_DECISION, Outcome: auditv1.AuditEvent_OK,
		Resource:    "controllers/" + batch.GetController() + "/activities/" + activity,
		SubjectRefs: d.GetSubjectRefs(), Traceparent: fmt.Sprintf("00-%x-00f067aa0ba902b7-01", d.GetTraceId()),
		OccurTime: timestamppb.New(batch.GetOccurTime().AsTime().Add(time.Duration(d.GetOffsetMicros()) * time.Microsecond)),
		Detail: map[string]string{
			"decision": map[bool]string{true: "ALLOW", false: "DENY"}[d.GetAllowed()], "reason": b.GetTexts()[d.GetReason()],
			"activity": activity, "version": strconv.FormatInt(d.GetVersion(), 10),
		},
	}
	if r := d.GetRecipient(); r > 0 {
		e.Detail["recipient"] = b.GetTexts()[r-1]
	}
	if len(d.GetConsent()) > 0 {
		e.Detail["consent"] = uuid.Must(uuid.FromBytes(d.GetConsent())).String()
	}
	return e
}

func appendAs(t *testing.T, s *suite, service string, events ...*auditv1.ReportedEvent) error {
	t.Helper()
	_, err := auditv1.NewAuditIngestClient(s.as(t, service)).AppendAuditEvents(context.Background(), &auditv1.AppendAuditEventsRequest{Events: events})
	return err
}

// allPages searches page by page.
func allPages(t *testing.T, s *suite, req *auditv1.SearchAuditEventsRequest) []*auditv1.AuditEvent {
	t.Helper()
	log, dpo := auditv1.NewAuditLogClient(s.as(t, "gateway")), s.token(t, "ane", "dpo", strings.TrimPrefix(req.GetParent(), "controllers/"))
	var out []*auditv1.AuditEvent
	for {
		resp, err := log.SearchAuditEvents(dpo, req)
		if err != nil {
			t.Fatal(err)
		}
		if len(resp.GetEvents()) > int(req.GetPageSize()) {
			t.Fatalf("a page of %d events", len(resp.GetEvents()))
		}
		out = append(out, resp.GetEvents()...)
		if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
			return out
		}
	}
}

// TestDecisionsLookAsIfAlone reports decisions to one controller in batches and the same to another one by one: whoever searches
// sees the same.
func TestDecisionsLookAsIfAlone(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	for range 3 {
		batch := decisions("school-a", 7)
		batch.Decisions.Decisions[3].SubjectRefs = []string{testKeyring().Subject("school-a", "EMAIL", pupil)}
		var single []*auditv1.ReportedEvent
		for place := range batch.GetDecisions().GetDecisions() {
			one := proto.CloneOf(alone(batch, place))
			one.Controller = "school-b"
			single = append(single, one)
		}
		single[3].SubjectRefs = []string{testKeyring().Subject("school-b", "EMAIL", pupil)}
		for range 2 { // reported twice, counted once
			if err := appendAs(t, s, "consent", batch); err != nil {
				t.Fatal(err)
			}
			if err := appendAs(t, s, "consent", single...); err != nil {
				t.Fatal(err)
			}
		}
	}
	some := allPages(t, s, &auditv1.SearchAuditEventsRequest{Parent: "controllers/school-a", Filter: "kind = DECISION", PageSize: 1000})
	if len(some) != 21 {
		t.Fatalf("%d decisions, want 21", len(some))
	}
	for _, test := range []struct {
		filter  string
		subject bool
		want    int
	}{
		{filter: `action = "legal_basis.check"`, want: 21},
		{filter: `action = "legal_basis.*" AND service = "consent"`, want: 21},
		{filter: `action = "erasure.*"`, want: 0},
		{filter: `kind = DECISION AND outcome = OK`, want: 21},
		{filter: `kind = DECISION AND outcome = DENIED`, want: 0},
		{filter: `actor = "export"`, want: 9},
		{filter: `kind = DECISION AND actor = "consent"`, want: 0},
		{filter: `trace_id = "4bf92f3577b34da60000000000000003"`, want: 3},
		{filter: `trace_id = "4bf92f3577b34da60000000000000009"`, want: 0},
		{filter: `resource = "controllers/school-a/activities/absence-statistics"`, want: 21},
		{filter: `resource = "controllers/school-a/activities/absence"`, want: 0},
		{filter: `kind = DECISION`, subject: true, want: 3},
	} {
		see := func(controller string) []*auditv1.AuditEvent {
			req := &auditv1.SearchAuditEventsRequest{Parent: "controllers/" + controller, Filter: test.filter, PageSize: 4}
			if test.subject {
				req.Subject = &typev1.Subject{Type: typev1.Subject_EMAIL, Value: pupil}
			}
			found := allPages(t, s, req)
			for _, e := range found {
				e.Name, e.Time, e.Index, e.ControllerSequence = e.GetName()[len("controllers/school-a"):], nil, 0, 0
				e.Publication = 0 // the one controller's were recorded earlier
				if test.subject {
					e.SubjectRefs = nil
				}
			}
			return found
		}
		batched := see("school-a")
		if len(batched) != test.want {
			t.Errorf("%s: %d decisions, want %d", test.filter, len(batched), test.want)
		}
		ignore := protocmp.IgnoreFields(&auditv1.AuditEvent{}, "subject_refs")
		if diff := cmp.Diff(see("school-b"), batched, protocmp.Transform(), ignore); diff != "" {
			t.Errorf("%s (-alone +batched):\n%s", test.filter, diff)
		}
	}
}

// TestDecisionsShareTheirEntry: decisions of a batch have its number, time and index, and its proof.
func TestDecisionsShareTheirEntry(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	batch := decisions("school-a", 20)
	if err := appendAs(t, s, "consent", decisions("school-a", 2), batch); err != nil {
		t.Fatal(err)
	}
	log, dpo := auditv1.NewAuditLogClient(s.as(t, "gateway")), s.token(t, "ane", "dpo", "school-a", "school-b")
	prove := func(controller, id string) (*auditv1.Proof, error) {
		return log.GetAuditEventProof(dpo, &auditv1.GetAuditEventProofRequest{Name: "controllers/" + controller + "/auditEvents/" + id})
	}
	var leaf []byte
	var index int64
	for _, id := range []string{batch.GetId(), alone(batch, 0).GetId(), alone(batch, 19).GetId()} {
		proof, err := prove("school-a", id)
		if err != nil {
			t.Fatal(err)
		}
		checkProof(t, proof)
		if leaf != nil && !bytes.Equal(leaf, proof.GetLeaf()) {
			t.Errorf("%s has a leaf of its own", id)
		}
		leaf, index = proof.GetLeaf(), proof.GetIndex()
		entry, err := domain.ParseLeaf(leaf)
		if err != nil || string(entry.ID) != batch.GetId() {
			t.Errorf("%s: the leaf is of %s (%v)", id, entry.ID, err)
		}
		if _, err := prove("school-b", id); code(err) != codes.NotFound {
			t.Errorf("%s of another controller: %v, want NOT_FOUND", id, err)
		}
	}
	if _, err := prove("school-a", newID()); code(err) != codes.NotFound {
		t.Errorf("an id of nothing, of the same time: %v, want NOT_FOUND", err)
	}
	found := allPages(t, s, &auditv1.SearchAuditEventsRequest{Parent: "controllers/school-a", Filter: "kind = DECISION", PageSize: 6})
	if len(found) != 22 {
		t.Fatalf("%d decisions, want 22", len(found))
	}
	for i, e := range found[:20] {
		if want := alone(batch, 19-i).GetId(); !strings.HasSuffix(e.GetName(), want) || e.GetIndex() != index || e.GetControllerSequence() != 2 {
			t.Errorf("decision %d from the newest is %s at %d, number %d; want %s at %d, number 2", i, e.GetName(), e.GetIndex(), e.GetControllerSequence(), want, index)
		}
		if strings.HasSuffix(e.GetName(), batch.GetId()) {
			t.Error("the batch is shown as an event of its own")
		}
	}
}

func TestDecisionRefusals(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	first := func(e *auditv1.ReportedEvent) *auditv1.BatchedDecision { return e.GetDecisions().GetDecisions()[0] }
	for name, test := range map[string]struct {
		n      int
		change func(*auditv1.ReportedEvent)
		field  string
	}{
		"no decisions":    {0, func(*auditv1.ReportedEvent) {}, "decisions.decisions"},
		"too many":        {2001, func(*auditv1.ReportedEvent) {}, "decisions.decisions"},
		"too large":       {1500, func(*auditv1.ReportedEvent) {}, "decisions"},
		"one id twice":    {3, func(e *auditv1.ReportedEvent) { first(e).Id = e.Decisions.Decisions[2].Id }, "decisions.decisions[2].id"},
		"an address":      {3, func(e *auditv1.ReportedEvent) { first(e).SubjectRefs = []string{pupil} }, "decisions.decisions[0].subject_refs"},
		"a name":          {3, func(e *auditv1.ReportedEvent) { e.Decisions.Texts[0] = "Anne Holm" }, "decisions.texts[0]"},
		"no such text":    {3, func(e *auditv1.ReportedEvent) { first(e).Activity = 4 }, "decisions.decisions[0].activity"},
		"a far time":      {3, func(e *auditv1.ReportedEvent) { first(e).OffsetMicros = 1 << 40 }, "decisions.decisions[0].offset_micros"},
		"unknown actor":   {3, func(e *auditv1.ReportedEvent) { e.Decisions.Actors[1].Kind = 9 }, "decisions.actors[1]"},
		"unknown role":    {3, func(e *auditv1.ReportedEvent) { e.Decisions.Actors[0].Roles = []authv1.Rule_Role{99} }, "decisions.actors[0]"},
		"no controller":   {3, func(e *auditv1.ReportedEvent) { e.Controller = "" }, "controller"},
		"another action":  {3, func(e *auditv1.ReportedEvent) { e.Action = "consent.give" }, "action"},
		"people besides":  {3, func(e *auditv1.ReportedEvent) { e.SubjectRefs = []string{"sub_1"} }, "subject_refs"},
		"a wrong count":   {3, func(e *auditv1.ReportedEvent) { e.Detail = map[string]string{"count": "4"} }, "detail"},
		"somebody's call": {3, func(e *auditv1.ReportedEvent) { e.Actor = e.Decisions.Actors[0] }, "actor"},
	} {
		broken := decisions("school-a", test.n)
		test.change(broken)
		err := appendAs(t, s, "consent", decisions("school-a", 1), broken)
		if code(err) != codes.InvalidArgument || !strings.Contains(fmt.Sprint(err), "events[1]."+test.field+": ") {
			t.Errorf("%s: %v, want INVALID_ARGUMENT about %s", name, err, test.field)
		}
		if strings.Contains(fmt.Sprint(err), pupil) || strings.Contains(fmt.Sprint(err), "Anne") {
			t.Errorf("%s: the answer repeats the value: %v", name, err)
		}
	}
	if err := appendAs(t, s, "erasure", decisions("school-a", 1)); code(err) != codes.PermissionDenied {
		t.Errorf("another service's decisions: %v, want PERMISSION_DENIED", err)
	}
	batch := decisions("school-a", 3)
	if err := appendAs(t, s, "consent", batch); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(batch.Decisions.Decisions)
	if err := appendAs(t, s, "consent", batch); code(err) != codes.AlreadyExists {
		t.Errorf("the id used again: %v, want ALREADY_EXISTS", err)
	}
	if found := allPages(t, s, &auditv1.SearchAuditEventsRequest{Parent: "controllers/school-a", Filter: "kind = DECISION", PageSize: 1000}); len(found) != 3 {
		t.Errorf("%d decisions are recorded, want 3", len(found))
	}
}
