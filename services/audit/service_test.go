package audit_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
	"github.com/privacyops/privacyops/libs/telemetry"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/audit"
	"github.com/privacyops/privacyops/services/audit/internal/storagetest"
)

const (
	origin = "audit.test/log"
	pupil  = "anne0123@skole.dk"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(victimVariable); role != "" {
		runVictim(role)
		return
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil { // most of them wait: for a checkpoint, for a kill, for a key to be forgotten
		panic(err)
	}
	// Tessera never closes its pool of connections to the log's database.
	goleak.VerifyTestMain(storagetest.Around(pgtest.Around(m)), goleak.IgnoreAnyFunction("database/sql.(*DB).connectionOpener"))
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// testKeyring is the same keyring wherever it is made.
func testKeyring() *keyring.Keyring {
	k, err := keyring.New(bytes.Repeat([]byte{7}, keyring.KeySize))
	if err != nil {
		panic(err)
	}
	return k
}

// openService opens a service on a folder. The caller closes both it and the database.
func openService(ctx context.Context, dir string, out *bytes.Buffer, changes ...func(*audit.Config)) (*audit.Service, *sqldb.DB, *telemetry.Telemetry, error) {
	return openServiceOn(ctx, dir, "sqlite:"+filepath.Join(dir, "audit.db"), out, changes...)
}

// openServiceOn is openService with the index in another database.
func openServiceOn(ctx context.Context, dir, database string, out *bytes.Buffer, changes ...func(*audit.Config)) (*audit.Service, *sqldb.DB, *telemetry.Telemetry, error) {
	db, err := sqldb.Open(ctx, sqldb.Config{URL: database})
	if err != nil {
		return nil, nil, nil, err
	}
	t, err := telemetry.New(ctx, telemetry.Config{Service: "audit", Log: out})
	if err != nil {
		return nil, nil, nil, err
	}
	cfg := audit.Config{
		DB: db, KeysDatabase: "sqlite:" + filepath.Join(dir, "audit-keys.db"), LogDir: filepath.Join(dir, "log"), KeyFile: filepath.Join(dir, "log.key"), Origin: origin,
		Keyring: testKeyring(), Clock: clock.System(), NewID: newID, Telemetry: t, CheckpointInterval: 100 * time.Millisecond,
	}
	for _, change := range changes {
		change(&cfg)
	}
	s, err := audit.New(ctx, cfg)
	if err != nil {
		return nil, nil, nil, errors.Join(err, db.Close())
	}
	return s, db, t, nil
}

// suite is a service behind the server that it has in production, with certificates and tokens.
type suite struct {
	service *audit.Service
	dir     string
	issuer  *access.Issuer
	ca      *server.Authority
	peer    server.Peer
	t       *telemetry.Telemetry
}

func newSuite(t *testing.T, changes ...func(*audit.Config)) *suite {
	t.Helper()
	dir := t.TempDir()
	ctx, stop := context.WithCancel(context.Background())
	service, db, tel, err := openService(ctx, dir, &bytes.Buffer{}, changes...)
	if err != nil {
		t.Fatal(err)
	}
	s := &suite{service: service, dir: dir, t: tel}
	if s.ca, err = server.NewAuthority(filepath.Join(dir, "certs"), time.Now()); err != nil {
		t.Fatal(err)
	}
	files, err := s.ca.Issue("audit")
	if err != nil {
		t.Fatal(err)
	}
	if s.issuer, err = access.OpenIssuer(dir); err != nil {
		t.Fatal(err)
	}
	srv, err := server.New(server.Config{
		Service: "audit", TLS: files, Verifier: newVerifier(t, dir), Outbox: service.Outbox(), Ready: service.Ready,
		Telemetry: tel, Clock: clock.System(),
	})
	if err != nil {
		t.Fatal(err)
	}
	service.Register(srv)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.peer = server.Peer{Service: "audit", Address: lis.Addr().String()}
	ended := make(chan error, 2)
	go func() { ended <- srv.Serve(ctx, lis) }()
	go func() { ended <- service.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-ended; err != nil {
				t.Errorf("ending: %v", err)
			}
		}
		if err := errors.Join(service.Close(), db.Close()); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

// as connects with a service's certificate.
func (s *suite) as(t *testing.T, service string) *grpc.ClientConn {
	t.Helper()
	files, err := s.ca.Issue(service)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := server.Dial(s.peer, files, s.t)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// token gives a context with the token of a person.
func (s *suite) token(t *testing.T, subject, role string, controllers ...string) context.Context {
	t.Helper()
	now := time.Now()
	token, err := s.issuer.Token(access.Claims{
		Subject: subject, Roles: []string{role}, Controllers: controllers, Issued: now, Expires: now.Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)
}

func report(controller, service string) *auditv1.ReportedEvent {
	return &auditv1.ReportedEvent{
		Id: newID(), Controller: controller, Service: service,
		Actor:       &auditv1.Actor{Kind: auditv1.Actor_CALLER, Ref: "usr_1", Roles: []authv1.Rule_Role{authv1.Rule_DPO}},
		Action:      "erasure.approve",
		Kind:        authv1.Rule_MODIFY,
		Resource:    "controllers/" + controller + "/erasures/1",
		SubjectRefs: []string{testKeyring().Subject(controller, "EMAIL", pupil)},
		Outcome:     auditv1.AuditEvent_OK,
		Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		OccurTime:   timestamppb.New(time.Now().Truncate(time.Microsecond)),
		Detail:      map[string]string{"statementSha256": strings.Repeat("ab", 32)},
	}
}

func code(err error) codes.Code { return status.Code(err) }

// TestEventToProof follows one event from its report to a proof that none of the server's code checks.
func TestEventToProof(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	conn := s.as(t, "erasure")
	event := report("school-a", "erasure")
	for range 2 { // reported twice, counted once
		if _, err := auditv1.NewAuditIngestClient(conn).AppendAuditEvents(context.Background(), &auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{event}}); err != nil {
			t.Fatal(err)
		}
	}
	name := "controllers/school-a/auditEvents/" + event.GetId()
	proof, err := auditv1.NewAuditLogClient(conn).GetAuditEventProof(context.Background(), &auditv1.GetAuditEventProofRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	checkProof(t, proof)
	if bytes.Contains(proof.GetLeaf(), []byte("abab")) || bytes.Contains(proof.GetLeaf(), []byte("sub_")) || !bytes.Contains(proof.GetLeaf(), []byte(event.GetId())) {
		t.Errorf("the leaf of an event that names a person is %s", proof.GetLeaf())
	}
	announcement := report("school-a", "erasure") // what a certificate rests on names nobody, and stays in the open
	announcement.SubjectRefs = nil
	if _, err := auditv1.NewAuditIngestClient(conn).AppendAuditEvents(context.Background(), &auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{announcement}}); err != nil {
		t.Fatal(err)
	}
	announced, err := auditv1.NewAuditLogClient(conn).GetAuditEventProof(context.Background(), &auditv1.GetAuditEventProofRequest{Name: "controllers/school-a/auditEvents/" + announcement.GetId()})
	if err != nil || !bytes.Contains(announced.GetLeaf(), []byte(`"detail":{"statementSha256":"abab`)) {
		t.Errorf("the leaf of an announcement is %s (%v)", announced.GetLeaf(), err)
	}
	if proof.GetLogKey() != s.service.PublicKey() {
		t.Errorf("the proof names the key %q, want %q", proof.GetLogKey(), s.service.PublicKey())
	}

	log := auditv1.NewAuditLogClient(s.as(t, "gateway"))
	found, err := log.SearchAuditEvents(s.token(t, "ane", "auditor", "school-a"), &auditv1.SearchAuditEventsRequest{
		Parent: "controllers/school-a", Filter: `action = "erasure.approve"`,
		Subject: &typev1.Subject{Type: typev1.Subject_EMAIL, Value: pupil},
	})
	if err != nil || len(found.GetEvents()) != 1 {
		t.Fatalf("Search = %v, %v, want the one event", found, err)
	}
	got := found.GetEvents()[0]
	if got.GetTime() == nil || got.GetIndex() != proof.GetIndex() {
		t.Errorf("time %v, index %d, want a time and index %d", got.GetTime(), got.GetIndex(), proof.GetIndex())
	}
	want := &auditv1.AuditEvent{
		Name: name, Index: got.GetIndex(), Time: got.GetTime(), Actor: event.GetActor(), Action: event.GetAction(), Kind: event.GetKind(),
		Resource: event.GetResource(), SubjectRefs: event.GetSubjectRefs(), Outcome: event.GetOutcome(), TraceId: "4bf92f3577b34da6a3ce929d0e0e4736",
		Detail: event.GetDetail(), OccurTime: event.GetOccurTime(), Service: "erasure", ControllerSequence: 1, Publication: auditv1.AuditEvent_PUBLISHED,
	}
	if !proto.Equal(got, want) {
		t.Errorf("the event is\n%v\nwant\n%v", got, want)
	}
}

// checkProof checks an inclusion proof with golang.org/x/mod alone.
func checkProof(t *testing.T, p *auditv1.Proof) {
	t.Helper()
	verifier, err := note.NewVerifier(p.GetLogKey())
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open([]byte(p.GetCheckpoint()), note.VerifierList(verifier))
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	var root string
	if _, err := fmt.Sscanf(n.Text, origin+"\n%d\n%s\n", &size, &root); err != nil || size != p.GetTreeSize() {
		t.Fatalf("the checkpoint is %q (%v), want one of size %d", n.Text, err, p.GetTreeSize())
	}
	hash, err := tlog.ParseHash(root)
	if err != nil {
		t.Fatal(err)
	}
	var hashes tlog.RecordProof
	for _, h := range p.GetHashes() {
		hashes = append(hashes, tlog.Hash(h))
	}
	if err := tlog.CheckRecord(hashes, size, hash, p.GetIndex(), tlog.RecordHash(p.GetLeaf())); err != nil {
		t.Error(err)
	}
}

// TestReadingIsRecorded: each call on the log leaves exactly one entry of its own, with its outcome (logging duty L.4), and
// no personal datum in it.
func TestReadingIsRecorded(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	log := auditv1.NewAuditLogClient(s.as(t, "gateway"))
	search := func(ctx context.Context, change func(*auditv1.SearchAuditEventsRequest)) error {
		req := &auditv1.SearchAuditEventsRequest{Parent: "controllers/school-a", Subject: &typev1.Subject{Type: typev1.Subject_EMAIL, Value: pupil}}
		if change != nil {
			change(req)
		}
		_, err := log.SearchAuditEvents(ctx, req)
		return err
	}
	dpo := s.token(t, "ane", "dpo", "school-a")
	if err := search(dpo, nil); err != nil {
		t.Fatal(err)
	}
	if err := search(dpo, func(r *auditv1.SearchAuditEventsRequest) { r.Filter = "no filter" }); code(err) != codes.InvalidArgument {
		t.Errorf("a broken filter: %v", err)
	}
	if err := search(s.token(t, "ib", "platform", "school-a"), nil); code(err) != codes.PermissionDenied {
		t.Errorf("the wrong role: %v", err)
	}
	if err := search(s.token(t, "bo", "dpo", "school-b"), nil); code(err) != codes.NotFound {
		t.Errorf("another controller: %v", err)
	}
	missing := &auditv1.GetAuditEventProofRequest{Name: "controllers/school-a/auditEvents/" + newID()}
	if _, err := log.GetAuditEventProof(dpo, missing); code(err) != codes.NotFound {
		t.Errorf("a proof of nothing: %v", err)
	}
	want := map[string]int{"audit.search OK": 1, "audit.search INVALID": 1, "audit.proof INVALID": 1}
	var got map[string]int
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		found, err := log.SearchAuditEvents(s.token(t, "eva", "auditor", "school-a"), &auditv1.SearchAuditEventsRequest{Parent: "controllers/school-a"})
		if err != nil {
			t.Fatal(err)
		}
		got = map[string]int{}
		for _, e := range found.GetEvents() {
			if strings.Contains(e.String(), pupil) || strings.Contains(e.String(), "anne") {
				t.Fatalf("an entry names the person: %v", e)
			}
			if e.GetActor().GetRoles()[0] == authv1.Rule_DPO {
				got[e.GetAction()+" "+e.GetOutcome().String()]++
			}
			if e.GetKind() != authv1.Rule_AUDIT_READ {
				t.Errorf("%s is of kind %v", e.GetAction(), e.GetKind())
			}
		}
		if fmt.Sprint(got) == fmt.Sprint(want) {
			return
		}
	}
	t.Errorf("the entries are %v, want %v", got, want)
}

func TestAppendRefusals(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	send := func(as string, events ...*auditv1.ReportedEvent) error {
		_, err := auditv1.NewAuditIngestClient(s.as(t, as)).AppendAuditEvents(context.Background(), &auditv1.AppendAuditEventsRequest{Events: events})
		return err
	}
	event := report("school-a", "erasure")
	if err := send("consent", event); code(err) != codes.PermissionDenied {
		t.Errorf("another service's event: %v", err)
	}
	if err := send("nobody", report("school-a", "nobody")); code(err) == codes.OK {
		t.Error("an unknown service reported an event")
	}
	for name, change := range map[string]func(*auditv1.ReportedEvent){
		"no kind":      func(e *auditv1.ReportedEvent) { e.Kind = 0 },
		"unknown kind": func(e *auditv1.ReportedEvent) { e.Kind = 77 },
		"no outcome":   func(e *auditv1.ReportedEvent) { e.Outcome = 0 },
		"no actor":     func(e *auditv1.ReportedEvent) { e.Actor = nil },
		"no time":      func(e *auditv1.ReportedEvent) { e.OccurTime = nil },
		"broken time":  func(e *auditv1.ReportedEvent) { e.OccurTime = &timestamppb.Timestamp{Nanos: -1} },
		"an address":   func(e *auditv1.ReportedEvent) { e.Detail = map[string]string{"mail": pupil} },
		"unknown role": func(e *auditv1.ReportedEvent) { e.Actor.Roles = []authv1.Rule_Role{99} },
	} {
		broken := report("school-a", "erasure")
		change(broken)
		err := send("erasure", report("school-a", "erasure"), broken)
		if code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v, want INVALID_ARGUMENT", name, err)
		}
		if strings.Contains(fmt.Sprint(err), pupil) {
			t.Errorf("%s: the answer repeats the value: %v", name, err)
		}
	}
	if err := send("erasure", event); err != nil {
		t.Fatal(err)
	}
	other := proto.CloneOf(event)
	other.Outcome = auditv1.AuditEvent_DENIED
	if err := send("erasure", other, report("school-a", "erasure")); code(err) != codes.AlreadyExists {
		t.Errorf("an id used again: %v, want ALREADY_EXISTS", err)
	}
	log := auditv1.NewAuditLogClient(s.as(t, "gateway"))
	found, err := log.SearchAuditEvents(s.token(t, "ane", "dpo", "school-a"), &auditv1.SearchAuditEventsRequest{Parent: "controllers/school-a"})
	if err != nil || len(found.GetEvents()) != 2 {
		t.Errorf("%d events are recorded (%v), want the 2 that were right", len(found.GetEvents()), err)
	}
}

func TestSearchPages(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	var events []*auditv1.ReportedEvent
	for range 7 {
		events = append(events, report("school-a", "erasure"))
	}
	if _, err := auditv1.NewAuditIngestClient(s.as(t, "erasure")).AppendAuditEvents(context.Background(), &auditv1.AppendAuditEventsRequest{Events: events}); err != nil {
		t.Fatal(err)
	}
	log, dpo := auditv1.NewAuditLogClient(s.as(t, "gateway")), s.token(t, "ane", "dpo", "school-a", "school-b")
	req := &auditv1.SearchAuditEventsRequest{Parent: "controllers/school-a", Filter: `service = "erasure"`, PageSize: 3}
	var sizes, sequences []int64
	var tokens []string
	for {
		resp, err := log.SearchAuditEvents(dpo, req)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, int64(len(resp.GetEvents())))
		for _, e := range resp.GetEvents() {
			sequences = append(sequences, e.GetControllerSequence())
		}
		if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
		tokens = append(tokens, req.GetPageToken())
	}
	if fmt.Sprint(sizes, sequences) != "[3 3 1] [7 6 5 4 3 2 1]" {
		t.Errorf("pages of %v with %v", sizes, sequences)
	}
	for name, change := range map[string]func(*auditv1.SearchAuditEventsRequest){
		"another controller": func(r *auditv1.SearchAuditEventsRequest) { r.Parent = "controllers/school-b" },
		"another filter":     func(r *auditv1.SearchAuditEventsRequest) { r.Filter = "" },
		"another start":      func(r *auditv1.SearchAuditEventsRequest) { r.StartTime = timestamppb.New(time.Unix(1, 0)) },
		"another person": func(r *auditv1.SearchAuditEventsRequest) {
			r.Subject = &typev1.Subject{Type: typev1.Subject_EMAIL, Value: pupil}
		},
		"altered": func(r *auditv1.SearchAuditEventsRequest) { r.PageToken = "A" + r.GetPageToken()[1:] + "A" },
		"backwards": func(r *auditv1.SearchAuditEventsRequest) {
			r.PageToken, r.StartTime, r.EndTime = "", timestamppb.New(time.Unix(2, 0)), timestamppb.New(time.Unix(1, 0))
		},
		"negative": func(r *auditv1.SearchAuditEventsRequest) { r.PageToken, r.PageSize = "", -1 },
	} {
		other := proto.CloneOf(req)
		other.PageToken = tokens[0]
		change(other)
		if _, err := log.SearchAuditEvents(dpo, other); code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v, want INVALID_ARGUMENT", name, err)
		}
	}
}

// TestPublicLog reads checkpoint and tiles with neither token nor knowledge of any event.
func TestPublicLog(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	event := report("school-a", "erasure")
	conn := s.as(t, "erasure")
	if _, err := auditv1.NewAuditIngestClient(conn).AppendAuditEvents(context.Background(), &auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{event}}); err != nil {
		t.Fatal(err)
	}
	log := auditv1.NewAuditLogClient(conn)
	proof, err := log.GetAuditEventProof(context.Background(), &auditv1.GetAuditEventProofRequest{Name: "controllers/school-a/auditEvents/" + event.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	public := auditv1.NewAuditLogClient(s.as(t, "gateway"))
	checkpoint, err := public.GetCheckpoint(context.Background(), &auditv1.GetCheckpointRequest{})
	if err != nil || !bytes.HasPrefix(checkpoint.GetData(), []byte(origin+"\n")) || !strings.HasPrefix(checkpoint.GetContentType(), "text/plain") {
		t.Errorf("the checkpoint is %v (%v)", checkpoint, err)
	}
	tile, err := public.GetTile(context.Background(), &auditv1.GetTileRequest{Width: uint32(proof.GetIndex()) + 1})
	leafHash := tlog.RecordHash(proof.GetLeaf())
	if err != nil || !bytes.Equal(tile.GetData()[32*proof.GetIndex():], leafHash[:]) {
		t.Errorf("the tile does not end with the leaf's hash (%v)", err)
	}
	for _, req := range []*auditv1.GetTileRequest{{}, {Index: 1, Width: 1}, {Level: 1, Width: 1}, {Index: 1 << 63, Width: 1}} {
		if _, err := public.GetTile(context.Background(), req); code(err) != codes.NotFound {
			t.Errorf("tile %v: %v, want NOT_FOUND", req, err)
		}
	}
}

func newVerifier(t *testing.T, dir string) *access.Verifier {
	t.Helper()
	keys, err := access.NewFileKeys(access.JWKSPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	v, err := access.NewVerifier(access.VerifierConfig{
		Issuer: access.DevelopmentIssuer, Audience: access.DevelopmentAudience, Keys: keys, Keyring: testKeyring(), Clock: clock.System(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}
