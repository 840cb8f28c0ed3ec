// Package storetest holds the suite that every store of exports must pass, whatever the engine under it. The comments of
// export.Store and of the handlers' Store are the contract; each "must" in them has a test here.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"testing" //nolint:depguard // a conformance kit: every engine's tests call it
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/export/internal/export"
	"github.com/privacyops/privacyops/services/export/internal/store"
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 123456000, time.UTC)

const lease = time.Minute

// Recorder collects the events that a store records.
type Recorder struct {
	// Events are those of committed transactions.
	Events []outbox.Event
	// Err is what Record fails with.
	Err error
}

// Record notes an event once its transaction has committed.
func (r *Recorder) Record(_ context.Context, tx sqldb.Tx, e outbox.Event) (string, error) {
	tx.AfterCommit(func() { r.Events = append(r.Events, e) })
	return "", r.Err
}

// Opened is a store with what a test looks at besides.
type Opened struct {
	*store.Store
	DB       *sqldb.DB
	Recorder *Recorder
	Changed  *[]export.Ref
}

// Run runs the suite. open returns an empty, migrated database of its own for each test.
func Run(t *testing.T, open func(t *testing.T) *sqldb.DB) {
	for name, test := range map[string]func(*testing.T, Opened){
		"everything comes back":            everythingComesBack,
		"what is absent is missing":        absentIsMissing,
		"lists are newest first":           listsNewestFirst,
		"take excludes":                    takeExcludes,
		"take waits for its time":          takeWaits,
		"save is fenced":                   saveIsFenced,
		"save and event are one":           saveAndEventAreOne,
		"extend is fenced":                 extendIsFenced,
		"cancel wins":                      cancelWins,
		"cancel refuses what has ended":    cancelRefuses,
		"expiry has its time":              expiryHasItsTime,
		"the sweep finds what is due":      sweepFindsDue,
		"what is overdue is found":         overdueIsFound,
		"a death before taking":            deadBeforeTaking,
		"files are accounted for":          filesAreAccountedFor,
		"free all ends every lease":        freeAll,
		"an insert without commit is none": insertRollsBack,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Opened{DB: open(t), Recorder: &Recorder{}, Changed: &[]export.Ref{}}
			o.Store = store.New(o.DB, o.Recorder, func(r export.Ref) { *o.Changed = append(*o.Changed, r) })
			test(t, o)
		})
	}
}

func id(n byte) export.ID {
	return export.ID("0190d3c0-0000-7000-8000-0000000000" + string([]byte{'0' + n/10, '0' + n%10}))
}

func work(t *testing.T, c export.ControllerID, n byte) *export.Work {
	t.Helper()
	k, err := keyring.New(bytes.Repeat([]byte{1}, keyring.KeySize))
	check(t, err)
	w, err := export.New(k, export.Request{Ref: export.Ref{Controller: c, ID: id(n)}, Kind: export.Access, Language: export.Danish,
		Identifiers: []export.Identifier{{Type: "EMAIL", Value: "a@example.org"}}, Received: now, Due: now.Add(720 * time.Hour), Now: now})
	check(t, err)
	return w
}

func (o Opened) insert(t *testing.T, works ...*export.Work) {
	t.Helper()
	for _, w := range works {
		check(t, o.DB.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) error { return o.Insert(ctx, tx, w) }))
	}
}

func (o Opened) take(t *testing.T, ref export.Ref, at time.Time) *export.Work {
	t.Helper()
	w, err := o.Take(context.Background(), ref, at, lease)
	check(t, err)
	return w
}

func (o Opened) jobs(t *testing.T, kind string) (n int64) {
	t.Helper()
	check(t, o.DB.Read(context.Background(), func(ctx context.Context, q sqldb.Querier) error {
		return q.QueryRow(ctx, `SELECT COUNT(*) FROM river_job WHERE kind = $1`, kind).Scan(&n)
	}))
	return n
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("error %v, want %v", err, target)
	}
}

func same(t *testing.T, want, got *export.Work) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
