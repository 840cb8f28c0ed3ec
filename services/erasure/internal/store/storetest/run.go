package storetest

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing" //nolint:depguard // a conformance kit: it is run by the tests of each engine
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
	"github.com/privacyops/privacyops/services/erasure/internal/store"
)

// Base is when every test begins.
var Base = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// Fixture is a store on a database of its own.
type Fixture struct {
	T       *testing.T
	DB      *sqldb.DB
	Store   *store.Store
	Clock   *clock.Fake
	Keyring *keyring.Keyring
	ids     atomic.Int64
}

// Open migrates an empty database and makes a store on it.
func Open(t *testing.T, db *sqldb.DB) *Fixture {
	t.Helper()
	ctx := context.Background()
	f := &Fixture{T: t, DB: db, Clock: clock.NewFake(Base)}
	var err error
	if f.Keyring, err = keyring.New(bytes.Repeat([]byte{7}, keyring.KeySize)); err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(ctx, store.Migrations()); err != nil {
		t.Fatal(err)
	}
	o, err := outbox.New(ctx, outbox.Config{Service: "erasure", DB: db, Clock: f.Clock, NewID: f.newID, Keyring: f.Keyring})
	if err != nil {
		t.Fatal(err)
	}
	f.Store = store.New(db, o, f.Keyring, f.Clock)
	return f
}

// Run runs the suite. open gives an empty database of its own to each test.
func Run(t *testing.T, open func(t *testing.T) *sqldb.DB) {
	for name, test := range map[string]func(*Fixture){
		"insert and get":                 insertAndGet,
		"list pages":                     listPages,
		"active":                         active,
		"a change and its event":         changeAndEvent,
		"a change that changes nothing":  changeNothing,
		"a change that ends":             changeEnds,
		"take":                           take,
		"what is fenced changes nothing": fenced,
		"a change fences the worker":     changeFences,
		"save is all or nothing":         saveIsWhole,
		"identifiers are replaced":       identifiersReplaced,
		"completion":                     completion,
		"work at once and later":         workLater,
		"due, wake and renew":            dueWakeRenew,
		"what is overdue is found":       overdue,
		"a death before taking":          deadBeforeTaking,
		"moves are numbered":             movesAreNumbered,
		"rosters are applied":            rostersApplied,
		"a held roster is confirmed":     heldConfirmed,
		"a held roster is discarded":     heldDiscarded,
		"a held roster is overtaken":     heldOvertaken,
		"what cannot be confirmed":       notConfirmable,
		"rosters and the erased":         rosterOfErased,
		"rosters at the same time":       rostersTogether,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(Open(t, open(t)))
		})
	}
}

func (f *Fixture) newID() string {
	return fmt.Sprintf("0197a000-0000-7000-8000-%012d", f.ids.Add(1))
}

// Erasure makes an erasure that waits for its plan.
func (f *Fixture) Erasure(c erasure.ControllerID) *erasure.Erasure {
	now := f.Clock.Now()
	return &erasure.Erasure{Controller: c, ID: erasure.ID(f.newID()), State: erasure.Planning, Ground: erasure.ConsentWithdrawn, Channel: "API",
		SubjectRef: "sub_1", SubjectRefs: []string{"sub_1"}, Requester: "usr_1", RequiredApprovals: 1, GracePeriod: time.Hour,
		ReceiveTime: now, DueTime: now.AddDate(0, 1, 0), CreateTime: now, UpdateTime: now}
}

// Insert stores an erasure.
func (f *Fixture) Insert(e *erasure.Erasure, ids ...erasure.Identifier) *erasure.Erasure {
	f.T.Helper()
	f.Write(func(ctx context.Context, tx sqldb.Tx) error { return f.Store.Insert(ctx, tx, e, ids) })
	return e
}

// Write runs fn in a transaction that must commit.
func (f *Fixture) Write(fn func(ctx context.Context, tx sqldb.Tx) error) {
	f.T.Helper()
	if err := f.DB.Write(context.Background(), fn); err != nil {
		f.T.Fatal(err)
	}
}

// Take takes an erasure that must have work.
func (f *Fixture) Take(e *erasure.Erasure) (*erasure.Erasure, []erasure.Identifier) {
	f.T.Helper()
	got, ids, err := f.Store.Take(context.Background(), e.Controller, e.ID, f.Clock.Now())
	if err != nil {
		f.T.Fatalf("Take: %v", err)
	}
	return got, ids
}

// Get reads an erasure that must be there.
func (f *Fixture) Get(e *erasure.Erasure) *erasure.Erasure {
	f.T.Helper()
	got, err := f.Store.Get(context.Background(), e.Controller, e.ID)
	if err != nil {
		f.T.Fatalf("Get: %v", err)
	}
	return got
}

// Save stores a change that must be accepted.
func (f *Fixture) Save(c erasure.Change) {
	f.T.Helper()
	if err := f.Store.Save(context.Background(), c); err != nil {
		f.T.Fatalf("Save: %v", err)
	}
}

func (f *Fixture) number(query string) (n int64) {
	f.T.Helper()
	err := f.DB.Read(context.Background(), func(ctx context.Context, q sqldb.Querier) error {
		return q.QueryRow(ctx, query).Scan(&n)
	})
	if err != nil {
		f.T.Fatal(err)
	}
	return n
}

func (f *Fixture) jobs() int64 { f.T.Helper(); return f.number(`SELECT COUNT(*) FROM river_job`) }

// Events reads what was recorded for the audit log, in order.
func (f *Fixture) Events() (events []*auditv1.ReportedEvent) {
	f.T.Helper()
	err := f.DB.Read(context.Background(), func(ctx context.Context, q sqldb.Querier) error {
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
			e := &auditv1.ReportedEvent{}
			if err := protojson.Unmarshal([]byte(text), e); err != nil {
				return err
			}
			events = append(events, e)
		}
		return rows.Err()
	})
	if err != nil {
		f.T.Fatal(err)
	}
	return events
}
