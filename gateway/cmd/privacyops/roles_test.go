package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/privacyops/privacyops/libs/certificate"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/jobs"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
	"github.com/privacyops/privacyops/libs/telemetry"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	"github.com/privacyops/privacyops/services/audit"
	"github.com/privacyops/privacyops/services/consent"
	"github.com/privacyops/privacyops/services/erasure"
	"github.com/privacyops/privacyops/services/export"
)

// TestTheServicesWorkAsTheirRoles walks the way of deploy/README.md: roles.sql, `privacyops migrate` as the owners, roles.sql
// again. Then each service opens its database as its working role, which owns nothing, and works; and opens it once more after
// the migration of a later release.
func TestTheServicesWorkAsTheirRoles(t *testing.T) {
	t.Parallel()
	in := installed(t)
	migrations := in.command("owner")
	if err := migrations.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	in.roles(t)
	for _, name := range []string{"consent", "export", "erasure", "audit"} {
		in.work(t, name)
	}
	for _, name := range []string{"export", "erasure"} {
		in.job(t, name)
	}
	if as := in.command("app"); as.Run(t.Context()) != nil {
		t.Error("the working roles may not even look whether there is something to do")
	}
	for _, name := range []string{"consent", "export", "erasure", "audit"} {
		in.sql(t, "SET ROLE "+name+"_owner; SET search_path = "+name+`;
			ALTER TABLE audit_outbox ADD COLUMN later TEXT; INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`)
		in.work(t, name)
	}
}

// TestAnOldSchemaIsRefused: a working role that finds a schema without what it needs says who can help.
func TestAnOldSchemaIsRefused(t *testing.T) {
	t.Parallel()
	in := installed(t)
	as := in.command("app")
	if err := as.Run(t.Context()); err == nil || strings.Count(err.Error(), "run `privacyops migrate`") != 4 {
		t.Errorf("got %v, want advice for each service", err)
	}
}

// place is a database with the roles of deploy/postgres/roles.sql, and a folder for the audit log. Roles belong to the whole
// server, so there is one at a time.
type place struct{ address, dir string }

var oneAtATime = make(chan struct{}, 1)

func installed(t *testing.T) place {
	t.Helper()
	oneAtATime <- struct{}{}
	t.Cleanup(func() { <-oneAtATime })
	server := pgtest.Database(t) // for what has to be done once the other database is gone
	t.Cleanup(func() {
		for _, service := range []string{"consent", "export", "erasure", "audit"} {
			place{address: server}.sql(t, "DROP ROLE IF EXISTS "+service+"_owner; DROP ROLE IF EXISTS "+service+"_app")
		}
	})
	in := place{address: pgtest.Database(t), dir: t.TempDir()}
	in.roles(t)
	for _, service := range []string{"consent", "export", "erasure", "audit"} {
		in.sql(t, "ALTER ROLE "+service+"_owner LOGIN PASSWORD 'secret'; ALTER ROLE "+service+"_app LOGIN PASSWORD 'secret'")
	}
	return in
}

// roles runs roles.sql, less what only psql understands.
func (in place) roles(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", "postgres", "roles.sql"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, `\`) {
			lines = append(lines, line)
		}
	}
	in.sql(t, strings.Join(lines, ""))
}

// sql runs statements as the server's superuser.
func (in place) sql(t *testing.T, statements string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, in.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.PgConn().Exec(ctx, statements).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

// as is the database's URL for a service's role.
func (in place) as(service, role string) string {
	u, err := url.Parse(in.address)
	if err != nil {
		panic(err) // pgtest made it
	}
	u.User = url.UserPassword(service+"_"+role, "secret")
	return u.String()
}

func (in place) command(role string) *migrateCommand {
	return &migrateCommand{ConsentDatabase: in.as("consent", role), ExportDatabase: in.as("export", role),
		ErasureDatabase: in.as("erasure", role), AuditDatabase: in.as("audit", role)}
}

// service is what all services have.
type service interface {
	Outbox() *outbox.Outbox
	Ready(ctx context.Context) error
	Run(ctx context.Context) error
	Close() error
}

// work opens a service as its working role, records an event and lets it work for a while.
func (in place) work(t *testing.T, name string) {
	t.Helper()
	s := in.open(t, name)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	if err := s.Ready(ctx); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if err := s.Outbox().RecordAlone(ctx, outbox.Event{Action: name + ".try", Kind: outbox.Modify}); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	if name == "audit" { // which is there to take it
		for until := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if n, err := s.Outbox().Pending(ctx); err != nil || n == 0 || time.Now().After(until) {
				if err != nil || n > 0 {
					t.Errorf("audit: %d events wait: %v", n, err)
				}
				break
			}
		}
	} else {
		time.Sleep(300 * time.Millisecond)
	}
	stop()
	if err := errors.Join(<-ran, s.Close()); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

func (in place) open(t *testing.T, name string) (s service) {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	ring, err := keyring.New(make([]byte, keyring.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	tel, err := telemetry.New(ctx, telemetry.Config{Service: name, Log: t.Output(), Level: slog.LevelWarn})
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := note.GenerateKey(rand.Reader, "privacyops.internal/"+name)
	if err != nil {
		t.Fatal(err)
	}
	now, newID, url := clock.System(), func() string { return uuid.Must(uuid.NewV7()).String() }, in.as(name, "app")
	switch name {
	case "consent":
		s, err = consent.New(ctx, consent.Config{Database: url, Keyring: ring, Clock: now, NewID: newID, Telemetry: tel, Audit: nobody{}})
	case "export":
		s, err = export.New(ctx, export.Config{Database: url, Keyring: ring, Clock: now, NewID: newID, Telemetry: tel, Audit: nobody{},
			Register: nobody{}, Blobs: dir, SigningKey: key,
			Participants: func(string) (participantv1.ParticipantClient, error) {
				return participantv1.NewParticipantClient(nobody{}), nil
			}})
	case "erasure":
		signer, kerr := certificate.ParseSigner(key)
		if kerr != nil {
			t.Fatal(kerr)
		}
		s, err = erasure.New(ctx, erasure.Config{Database: url, Keyring: ring, Clock: now, NewID: newID, Telemetry: tel, Audit: nobody{},
			Consent: nobody{}, Signer: signer})
	case "audit":
		db, derr := sqldb.Open(ctx, sqldb.Config{URL: url})
		if derr != nil {
			t.Fatal(derr)
		}
		t.Cleanup(func() { _ = db.Close() })
		s, err = audit.New(ctx, audit.Config{DB: db, KeysDatabase: "sqlite:" + filepath.Join(in.dir, "audit-keys.db"), LogDir: filepath.Join(in.dir, "log"), KeyFile: filepath.Join(in.dir, "log.key"),
			Origin: "privacyops.internal/audit", Keyring: ring, Clock: now, NewID: newID, Telemetry: tel})
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

// job lets a runner work a job of a kind that no service has.
func (in place) job(t *testing.T, name string) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{URL: in.as(name, "app")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	done := make(chan struct{})
	runner, err := jobs.NewRunner(db, jobs.Config{Handlers: map[string]jobs.Handler{
		"probe": func(context.Context, jobs.Job) error { close(done); return nil }}})
	if err != nil {
		t.Fatal(err)
	}
	if err := runner.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error { return tx.Enqueue(ctx, sqldb.Job{Kind: "probe"}) })
	if err != nil {
		t.Error(err)
	}
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Errorf("%s_app has worked no job", name)
	}
	if err := runner.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// nobody is a connection on whose other side there is no service.
type nobody struct{}

func (nobody) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	return status.Error(codes.Unavailable, "nobody is there")
}

func (nobody) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unavailable, "nobody is there")
}
