package rpc_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/sqldb"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typepb "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/memory"
	"github.com/privacyops/privacyops/services/consent/internal/recorder"
	"github.com/privacyops/privacyops/services/consent/internal/rpc"
	"github.com/privacyops/privacyops/services/consent/internal/signing"
	"github.com/privacyops/privacyops/services/consent/internal/store" //nolint:depguard // handlers are tested on the store they ship with
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 123456789, time.UTC)

// suite is the service behind a real gRPC connection in memory, with what the guard of package server does for handlers:
// the call's event, the caller, validation, statuses. Authorisation is tested with the guard itself, a room above.
type suite struct {
	t       testing.TB
	db      *sqldb.DB
	clock   *clock.Fake
	keyring *keyring.Keyring
	// revisions are what a single replica knows, and announced what it was told.
	revisions *redis.LocalRevisions
	announced []consent.Change
	outbox    *outbox.Outbox
	away      atomic.Bool // the database does not answer
	Register  pb.RegisterClient
	Reader    pb.RegisterReaderClient
	Basis     pb.LegalBasisClient
	Consents  pb.ConsentsClient
	Erased    pb.ErasedClient
	Rights    pb.RightsClient
	Documents pb.DocumentsClient
}

// unsteady is a database that can be taken away.
type unsteady struct {
	*sqldb.DB
	away *atomic.Bool
}

func (u unsteady) Read(ctx context.Context, fn func(ctx context.Context, q sqldb.Querier) error) error {
	if u.away.Load() {
		return sqldb.ErrUnavailable
	}
	return u.DB.Read(ctx, fn)
}

func (u unsteady) Write(ctx context.Context, fn func(ctx context.Context, tx sqldb.Tx) error) error {
	if u.away.Load() {
		return sqldb.ErrUnavailable
	}
	return u.DB.Write(ctx, fn)
}

// issuer signs in tests.
const issuer = "privacyops.example/consent"

func newSuite(t testing.TB, change ...func(*rpc.Parts)) *suite {
	t.Helper()
	ctx := context.Background()
	s := &suite{t: t, clock: clock.NewFake(noon)}
	var err error
	if s.keyring, err = keyring.New(make([]byte, keyring.KeySize)); err != nil {
		t.Fatal(err)
	}
	if s.db, err = sqldb.Open(ctx, sqldb.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "consent.db")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.db.Close() })
	if err := s.db.Migrate(ctx, store.Migrations()); err != nil {
		t.Fatal(err)
	}
	db := unsteady{s.db, &s.away}
	newID := func() string { return uuid.Must(uuid.NewV7()).String() }
	box, err := outbox.New(ctx, outbox.Config{Service: "consent", DB: s.db, Clock: s.clock, NewID: newID, Keyring: s.keyring})
	if err != nil {
		t.Fatal(err)
	}
	replies, err := idempotency.New(ctx, s.db, s.keyring, s.clock)
	if err != nil {
		t.Fatal(err)
	}
	s.revisions = redis.NewLocalRevisions(func(ctx context.Context, id redis.Controller) (rev int64, err error) {
		err = db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
			newest, err := store.Store{}.Revision(ctx, q, consent.ControllerID(id))
			rev = int64(newest)
			return err
		})
		return rev, err
	}, s.clock)
	known, err := memory.New(memory.Config{DB: db, Store: store.Store{}, Revisions: s.revisions, Clock: s.clock})
	if err != nil {
		t.Fatal(err)
	}
	announce := func(ctx context.Context, c consent.Change) {
		s.announced = append(s.announced, c)
		_ = s.revisions.Publish(ctx, redis.Controller(c.Controller), int64(c.Revision))
	}
	signer, err := signing.New(s.keyring, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.outbox = box
	parts := rpc.Parts{DB: db, Store: store.Store{}, Outbox: box, Recorder: recorder.New(db, box), Memory: known, Announce: announce, Notices: s.revisions, Replies: replies,
		Keyring: s.keyring, Signer: signer, Issuer: issuer, Clock: s.clock, NewID: newID}
	for _, f := range change {
		f(&parts)
	}
	s.serve(parts)
	return s
}

func (s *suite) serve(p rpc.Parts) {
	s.t.Helper()
	lis := bufconn.Listen(1 << 20)
	srv := grpc.NewServer(grpc.UnaryInterceptor(s.guard(p.Outbox)), grpc.StreamInterceptor(s.guardStream(p.Outbox)))
	if err := rpc.Register(srv, p); err != nil {
		s.t.Fatal(err)
	}
	go func() { _ = srv.Serve(lis) }()
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close(); srv.Stop() })
	s.Register, s.Reader, s.Basis = pb.NewRegisterClient(conn), pb.NewRegisterReaderClient(conn), pb.NewLegalBasisClient(conn)
	s.Consents, s.Erased, s.Rights = pb.NewConsentsClient(conn), pb.NewErasedClient(conn), pb.NewRightsClient(conn)
	s.Documents = pb.NewDocumentsClient(conn)
}

// guard does for a handler what package server does, for a caller who may do everything.
func (s *suite) guard(box *outbox.Outbox) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		method, err := access.RuleOf(info.FullMethod)
		if err != nil {
			return nil, err
		}
		call := &outbox.Call{Action: method.GetEvent(), Kind: outbox.Kind(method.GetKind().String()),
			Controller: method.Controller(req.(proto.Message)), Actor: outbox.Actor{Kind: "CALLER", Ref: "usr_tester"}}
		ctx = outbox.WithCall(access.WithCaller(ctx, access.Caller{Ref: "usr_tester"}), call)
		if err := server.Validate(req.(proto.Message)); err != nil {
			return nil, server.Status(ctx, err)
		}
		resp, err := handler(ctx, req)
		if err == nil && !call.Recorded() && method.GetEvent() != "" {
			err = box.RecordAlone(ctx, call.Event())
		}
		return resp, server.Status(ctx, err)
	}
}

// must fails the test where a call did.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("call: %v", server.Fault(err))
		}
		return v
	}
}

// refusal is what a caller learned from a refused call.
type refusal struct {
	message    string
	violations []fault.Violation
}

// refused expects a call to fail with a kind and reason.
func refused[T any](t testing.TB, kind fault.Kind, reason string) func(T, error) refusal {
	return func(_ T, err error) refusal {
		t.Helper()
		var f *fault.Error
		if !errors.As(server.Fault(err), &f) || f.Kind() != kind || f.Reason() != reason {
			t.Errorf("got %v, want kind %d and reason %s", server.Fault(err), kind, reason)
			return refusal{}
		}
		return refusal{f.Message(), f.Violations()}
	}
}

// school makes a Danish controller.
func (s *suite) school(id string) {
	s.t.Helper()
	must[*pb.Controller](s.t)(s.Register.CreateController(s.t.Context(), &pb.CreateControllerRequest{ControllerId: id,
		Controller: &pb.Controller{DisplayName: "School", Jurisdiction: "DK"}}))
}

// activity makes an activity with the basis.
func (s *suite) activity(controller, id string, basis typepb.LegalBasis) *pb.Activity {
	s.t.Helper()
	return must[*pb.Activity](s.t)(s.Register.CreateActivity(s.t.Context(), &pb.CreateActivityRequest{
		Parent: "controllers/" + controller, ActivityId: id,
		Activity: &pb.Activity{Purpose: "Something", LegalBasis: basis, DataCategories: []string{"identity"},
			Recipients: []string{"publisher"}, Locations: []string{"DK"}},
	}))
}

// ready is a suite with the school `a`, whose activity `photos` rests on consent and `learning` on a public task.
func ready(t testing.TB) *suite {
	t.Helper()
	s := newSuite(t)
	s.school("a")
	s.activity("a", "photos", typepb.LegalBasis_CONSENT)
	s.activity("a", "learning", typepb.LegalBasis_PUBLIC_TASK)
	return s
}

func pupil(values ...string) []*typepb.Subject {
	var out []*typepb.Subject
	for _, v := range values {
		out = append(out, &typepb.Subject{Type: typepb.Subject_UNILOGIN, Value: v})
	}
	return out
}

func (s *suite) giving(values ...string) *pb.GiveConsentRequest {
	return &pb.GiveConsentRequest{Parent: "controllers/a", Subjects: pupil(values...), Activity: "photos",
		GivenBy: &pb.GivenBy{Capacity: pb.GivenBy_GUARDIAN, Reference: "parent-1"}}
}

func (s *suite) give(values ...string) *pb.Consent {
	s.t.Helper()
	return must[*pb.Consent](s.t)(s.Consents.GiveConsent(s.t.Context(), s.giving(values...)))
}

func (s *suite) withdrawOf(values ...string) *pb.Consent {
	s.t.Helper()
	return must[*pb.Consent](s.t)(s.Consents.WithdrawConsentOf(s.t.Context(),
		&pb.WithdrawConsentOfRequest{Parent: "controllers/a", Subjects: pupil(values...), Activity: "photos"}))
}

func (s *suite) check(activity string, values ...string) *pb.Decision {
	s.t.Helper()
	return must[*pb.Decision](s.t)(s.Basis.CheckLegalBasis(s.t.Context(),
		&pb.CheckLegalBasisRequest{Parent: "controllers/a", Subjects: pupil(values...), Activity: activity}))
}

// wantReason checks a decision on `photos`.
func (s *suite) wantReason(want pb.Decision_Reason, values ...string) {
	s.t.Helper()
	d := s.check("photos", values...)
	allowed := want == pb.Decision_CONSENT_HOLDS
	if d.GetReason() != want || (d.GetDecision() == pb.Decision_ALLOW) != allowed {
		s.t.Errorf("%s %s, want %s", d.GetDecision(), d.GetReason(), want)
	}
}

// events are the audit events so far, oldest first.
func (s *suite) events() (events []*auditv1.ReportedEvent) {
	s.t.Helper()
	err := s.db.Read(s.t.Context(), func(ctx context.Context, q sqldb.Querier) error {
		rows, err := q.Query(ctx, `SELECT event FROM audit_outbox ORDER BY id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			e, err := outbox.Decode(text)
			if err != nil {
				return err
			}
			events = append(events, each(e)...)
		}
		return rows.Err()
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return events
}

// each gives a batch of decisions as one event for each.
func each(e *auditv1.ReportedEvent) []*auditv1.ReportedEvent {
	batch := e.GetDecisions()
	if batch == nil {
		return []*auditv1.ReportedEvent{e}
	}
	var out []*auditv1.ReportedEvent
	for _, d := range batch.GetDecisions() {
		detail := map[string]string{"decision": "DENY", "reason": batch.GetTexts()[d.GetReason()], "activity": batch.GetTexts()[d.GetActivity()],
			"version": strconv.FormatInt(d.GetVersion(), 10)}
		if d.GetAllowed() {
			detail["decision"] = "ALLOW"
		}
		if n := d.GetRecipient(); n > 0 {
			detail["recipient"] = batch.GetTexts()[n-1]
		}
		if len(d.GetConsent()) > 0 {
			detail["consent"] = uuid.UUID(d.GetConsent()).String()
		}
		out = append(out, &auditv1.ReportedEvent{Id: uuid.UUID(d.GetId()).String(), Controller: e.GetController(), Service: e.GetService(),
			Actor: batch.GetActors()[d.GetActor()], Action: e.GetAction(), Kind: e.GetKind(), Outcome: e.GetOutcome(), SubjectRefs: d.GetSubjectRefs(),
			Resource: "controllers/" + e.GetController() + "/activities/" + detail["activity"], Detail: detail,
			OccurTime: timestamppb.New(e.GetOccurTime().AsTime().Add(time.Duration(d.GetOffsetMicros()) * time.Microsecond))})
	}
	return out
}

// lastEvent is the newest event with the action.
func (s *suite) lastEvent(action string) *auditv1.ReportedEvent {
	s.t.Helper()
	var last *auditv1.ReportedEvent
	for _, e := range s.events() {
		if e.GetAction() == action {
			last = e
		}
	}
	if last == nil {
		s.t.Fatalf("no event %s", action)
	}
	return last
}

func (s *suite) ref(value string) string { return s.keyring.Subject("a", "UNILOGIN", value) }

// readAuthor reads who made the second version of `photos`.
func readAuthor(into *string) func(ctx context.Context, q sqldb.Querier) error {
	return func(ctx context.Context, q sqldb.Querier) error {
		return q.QueryRow(ctx, `SELECT author FROM activity_version WHERE activity = 'photos' AND version = 2`).Scan(into)
	}
}
