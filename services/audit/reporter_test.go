package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/libs/telemetry"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

// things are how many rows of state the changes are made to.
const things = 16

// reporterTables are what a reporting service keeps: its changes, the state that they have led to, and how often it has reported
// what was reported before.
var reporterTables = []string{
	`CREATE TABLE IF NOT EXISTS change (id TEXT PRIMARY KEY)`,
	`CREATE TABLE IF NOT EXISTS thing (name TEXT PRIMARY KEY, version BIGINT NOT NULL, change TEXT NOT NULL)`,
}

// failingInsert is a trigger that fails one INSERT of an event in 256 (Boulder's trick): SQLite's, and PostgreSQL's.
var failingInsert = map[sqldb.Engine][]string{
	sqldb.SQLite: {`CREATE TRIGGER IF NOT EXISTS failing BEFORE INSERT ON audit_outbox WHEN substr(NEW.id, -2) = '00' BEGIN SELECT RAISE(ABORT, 'no event'); END`},
	sqldb.Postgres: {
		`CREATE OR REPLACE FUNCTION failing() RETURNS trigger LANGUAGE plpgsql AS
			'BEGIN IF right(NEW.id, 2) = ''00'' THEN RAISE EXCEPTION ''no event''; END IF; RETURN NEW; END'`,
		`CREATE OR REPLACE TRIGGER failing BEFORE INSERT ON audit_outbox FOR EACH ROW EXECUTE FUNCTION failing()`,
	},
}

// fails reports whether the trigger fails the INSERT of an event.
func fails(event string) bool { return event[len(event)-2:] == "00" }

// reporter is a service that makes changes and reports them.
type reporter struct {
	db  *sqldb.DB
	out *outbox.Outbox
	to  auditv1.AuditIngestClient
	tel *telemetry.Telemetry
	// event is the id of the last event.
	event string
}

// openLedger opens what a reporting service keeps.
func openLedger(ctx context.Context, url string) (*reporter, error) {
	db, err := sqldb.Open(ctx, sqldb.Config{URL: url})
	if err != nil {
		return nil, err
	}
	r := &reporter{db: db}
	if r.out, err = outbox.New(ctx, outbox.Config{Service: "erasure", DB: db, Clock: clock.System(), Keyring: testKeyring(),
		NewID: func() string { r.event = newID(); return r.event }}); err != nil {
		return nil, err
	}
	for _, statement := range reporterTables {
		if err := db.Ensure(ctx, statement); err != nil {
			return nil, err
		}
	}
	return r, db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		for _, statement := range failingInsert[db.Engine()] {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

func openReporter(ctx context.Context, dir, address, sabotage string) (*reporter, error) {
	r, err := openLedger(ctx, "sqlite:"+filepath.Join(dir, "reporter.db"))
	if err != nil {
		return nil, err
	}
	if r.tel, err = telemetry.New(ctx, telemetry.Config{Service: "erasure", Log: &bytes.Buffer{}}); err != nil {
		return nil, err
	}
	conn, err := server.Dial(server.Peer{Service: "audit", Address: address}, server.In(filepath.Join(dir, "certs"), "erasure"), r.tel)
	if err != nil {
		return nil, err
	}
	repeated, err := os.OpenFile(filepath.Join(dir, "repeated"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	r.to = stutter{auditv1.NewAuditIngestClient(conn), sabotage, repeated}
	return r, nil
}

// stutter reports some events again, as a relay does that has not heard the answer, and writes a byte for each one.
type stutter struct {
	auditv1.AuditIngestClient
	sabotage string
	repeated *os.File
}

func (s stutter) AppendAuditEvents(ctx context.Context, req *auditv1.AppendAuditEventsRequest, opts ...grpc.CallOption) (*auditv1.AppendAuditEventsResponse, error) {
	if len(req.GetEvents()) > 0 {
		reached(relaying)
	}
	resp, err := s.AuditIngestClient.AppendAuditEvents(ctx, req, opts...)
	if err == nil && len(req.GetEvents()) > 0 {
		reached(answered)
	}
	if rand.IntN(4) > 0 {
		return resp, err
	}
	if s.sabotage == countedTwice {
		for _, e := range req.GetEvents() {
			e.Id = newID()
		}
	}
	if err == nil {
		_, err = s.repeated.Write(make([]byte, len(req.GetEvents())))
	}
	if err != nil {
		return nil, err
	}
	return s.AuditIngestClient.AppendAuditEvents(ctx, req, opts...)
}

// change makes one change: its own row, that of a thing, and its event, all or none.
func (r *reporter) change(ctx context.Context, id, sabotage string) error {
	thing := "thing-" + strconv.Itoa(rand.IntN(things))
	event := outbox.Event{Controller: "school-" + id[len(id)-1:], Action: "erasure.approve", Kind: outbox.Modify, Resource: "changes/" + id}
	err := r.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO change (id) VALUES ($1)`, id); err != nil {
			return err
		}
		var version int64
		if err := tx.QueryRow(ctx, `INSERT INTO thing (name, version, change) VALUES ($1, 1, $2)
			ON CONFLICT (name) DO UPDATE SET version = thing.version + 1, change = excluded.change RETURNING version`, thing, id).Scan(&version); err != nil {
			return err
		}
		event.Detail = map[string]string{"change": id, "thing": thing, "version": strconv.FormatInt(version, 10)}
		if sabotage == recordedApart {
			return nil
		}
		if _, err := r.out.Record(ctx, tx, event); err != nil {
			return err
		}
		reached(beforeCommit)
		return nil
	})
	if err == nil && sabotage == recordedApart {
		time.Sleep(2 * time.Millisecond)
		err = r.out.RecordAlone(ctx, event)
	}
	return err
}

// errUnexpected: a change was refused whose event could have been written, or made though it could not.
var errUnexpected = errors.New("the trigger and the change do not agree")

// runReporter makes changes without end and tells of each one that is committed, and with a minus before it of each one that was
// refused because its event could not be written. Where there is a file "calm" it makes fifty a second.
func runReporter(dir, address, sabotage string) error {
	ctx := context.Background()
	r, err := openReporter(ctx, dir, address, sabotage)
	if err != nil {
		return err
	}
	go takeAim()
	go r.out.Relay(ctx, r.to, r.tel.Log)
	for {
		id := newID()
		err := r.change(ctx, id, sabotage)
		if refused := err != nil; refused != fails(r.event) {
			return fmt.Errorf("%w: %w", errUnexpected, err)
		}
		if err != nil {
			fmt.Println("-" + id)
			continue
		}
		reached(committed)
		fmt.Println(id)
		time.Sleep(time.Duration(rand.IntN(4)) * time.Millisecond)
		if _, err := os.Stat(filepath.Join(dir, "calm")); err == nil {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// TestNoEventNoChange: where the INSERT of an event fails, the change that it is about is not made, on either engine; and where it
// does not, it is.
func TestNoEventNoChange(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		if made, unmade := changesByTrigger(t, engine, ""); made != 0 || unmade != 0 {
			t.Errorf("%d changes were made without an event, %d with one were not", made, unmade)
		}
		if made, _ := changesByTrigger(t, engine, recordedApart); made == 0 {
			t.Error("a service that writes the event apart from the change is not noticed")
		}
	})
}

// changesByTrigger makes changes until the trigger has failed an event, and counts those that are there though it did and those
// that are not though it did not.
func changesByTrigger(t *testing.T, engine sqldb.Engine, sabotage string) (made, unmade int) {
	t.Helper()
	url := enginetest.URL(t, engine)
	enginetest.Open(t, url, nil)
	r, err := openLedger(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.db.Close() // nothing is written after the last change
	for failed := 0; failed < 1; {
		id := newID()
		refused := r.change(t.Context(), id, sabotage) != nil
		if fails(r.event) != refused {
			t.Fatalf("refused: %v, and the trigger fails %s: %v", refused, r.event, fails(r.event))
		}
		var n int
		err := r.db.Read(t.Context(), func(ctx context.Context, q sqldb.Querier) error {
			return q.QueryRow(ctx, `SELECT count(*) FROM change c WHERE id = $1`, id).Scan(&n)
		})
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case refused:
			failed++
			made += n
		default:
			unmade += 1 - n
		}
	}
	return made, unmade
}
