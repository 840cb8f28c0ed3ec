package audit_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/store/storetest" //nolint:depguard // its events serve these tests too
)

// mixed are single events and batches of one controller.
func mixed() []audit.Event {
	return []audit.Event{
		storetest.Event("school-a", 1), storetest.Decisions("school-a", 2, 5), storetest.Event("school-a", 3), storetest.Decisions("school-a", 4, 200),
	}
}

// everything returns all that a search shows of school-a.
func everything(t *testing.T, s audit.Index, q audit.Query) []audit.Record {
	t.Helper()
	q.Controller, q.Limit = "school-a", 1000
	records, err := s.Search(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// TestIndexIsRebuiltFromTheLog: an index that has lost everything gets all of it from the leaves, and finds decisions as before.
func TestIndexIsRebuiltFromTheLog(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	d.accept(t, mixed()...)
	stop := d.follow(t)
	d.settle(t)
	stop()
	s, log := d.index, d.log
	empty, _ := openStore(t)
	rebuilt := newDesk(t, empty, log)
	requireSound(t, empty, log, eventIDs(mixed()))
	before, err := s.Window(context.Background(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	after, err := empty.Window(context.Background(), 0, 100)
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("the rows: %v (-before +rebuilt):\n%s", err, diff)
	}
	for name, q := range map[string]audit.Query{
		"all":     {},
		"subject": {SubjectRefs: []audit.SubjectRef{"s-one-3"}},
		"actor":   {Filter: audit.Filter{ActorRef: "p-77aa"}},
	} {
		want := everything(t, s, q)
		if diff := cmp.Diff(want, everything(t, empty, q)); diff != "" || len(want) == 0 {
			t.Errorf("%s: %d records before (-before +rebuilt):\n%s", name, len(want), diff)
		}
	}
	id := mixed()[3].Decision(150).ID
	if r, err := empty.Get(context.Background(), "school-a", id); err != nil || r.ID != id || r.Index != 3 {
		t.Errorf("a decision by its id: %+v, %v", r.Event, err)
	}
	if receipts := rebuilt.accept(t, mixed()[3:]...); receipts[0].Status != audit.Duplicate {
		t.Errorf("the batch comes again: %+v", receipts)
	}
}

// TestVerifierFindsChangesToDecisions alters the rows by which decisions are found.
func TestVerifierFindsChangesToDecisions(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"count":            `UPDATE entry SET decisions = 0 WHERE position = 1`,
		"one less":         `UPDATE entry SET decisions = 4 WHERE position = 1`,
		"person removed":   `UPDATE entry_people SET people = substr(people, 5) WHERE position = 1`,
		"person added":     `UPDATE entry_people SET people = x'00000000' || people WHERE position = 1`,
		"people removed":   `DELETE FROM entry_people WHERE position = 1`,
		"people moved":     `UPDATE entry_people SET position = 0 WHERE position = 1`,
		"people's school":  `UPDATE entry_people SET controller = 'school-b' WHERE position = 1`,
		"people's time":    `UPDATE entry_people SET received_at = received_at - 1 WHERE position = 1`,
		"a single person":  `INSERT INTO entry_person (person, position) VALUES (x'00112233445566778899aabbccddeeff', 1)`,
		"ids removed":      `DELETE FROM entry_decisions WHERE position = 1`,
		"ids moved":        `UPDATE entry_decisions SET position = 0 WHERE position = 1`,
		"first id changed": `UPDATE entry_decisions SET first_id = last_id WHERE position = 1`,
		"last id changed":  `UPDATE entry_decisions SET last_id = first_id WHERE position = 1`,
		"other controller": `UPDATE entry_decisions SET controller = 'school-b' WHERE position = 1`,
		"ids added":        `INSERT INTO entry_decisions SELECT controller, last_id, last_id, position FROM entry_decisions WHERE position = 1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, db := openStore(t)
			log := &memoryLog{}
			newDesk(t, s, log).accept(t, mixed()...)
			requireSound(t, s, log, eventIDs(mixed()))
			err := db.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) error {
				for _, trigger := range entryTriggers {
					if _, err := tx.Exec(ctx, "DROP TRIGGER "+trigger); err != nil {
						return err
					}
				}
				n, err := tx.Exec(ctx, statement)
				if n != 1 {
					t.Errorf("%d rows were altered", n)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			report, err := audit.NewVerifier(s, log, log).Verify(context.Background())
			want := uint64(1)
			if strings.Contains(statement, "SET position = 0") {
				want = 0 // the row that got them is the first to be wrong
			}
			if err != nil || report.Finding == nil || report.Finding.Index != want {
				t.Errorf("Verify = %+v (%+v), %v, want a finding at index %d", report, report.Finding, err, want)
			}
		})
	}
}

// TestProverOfDecisions: the proof of a decision is that of its batch.
func TestProverOfDecisions(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	log := &memoryLog{}
	newDesk(t, s, log).accept(t, mixed()...)
	requireSound(t, s, log, eventIDs(mixed()))
	prover := audit.NewProver(s, log, time.Second, time.Millisecond)
	batch := mixed()[1]
	for _, id := range []audit.EventID{batch.ID, batch.Decision(0).ID, batch.Decision(4).ID} {
		proof, err := prover.Proof(context.Background(), "school-a", id)
		if err != nil || proof.Index != 1 || string(proof.Leaf) != string(log.leaves[1]) {
			t.Errorf("%s: index %d, %v, want the batch's leaf at index 1", id, proof.Index, err)
		}
		entry, err := audit.ParseLeaf(proof.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		if _, found := entry.Batch.Find(id); found != (id != batch.ID) {
			t.Errorf("%s: found in the leaf: %v", id, found)
		}
	}
}

// TestRecorderGathersLargeLeaves: after decisions the next ones wait for others, unless there is enough to do; after single events
// they do not.
func TestRecorderGathersLargeLeaves(t *testing.T) {
	t.Parallel()
	const gather = 2 * time.Second // far more than it takes to accept without waiting, also beside other tests
	large := func(n int) []audit.Event { return []audit.Event{storetest.Decisions("school-a", n, 50)} }
	var much []audit.Event
	for n := range 40 {
		much = append(much, storetest.Decisions("school-a", 100+n, 200))
	}
	for name, test := range map[string]struct {
		first, second []audit.Event
		waits         bool
	}{
		"large":          {large(1), large(2), true},
		"small":          {storetest.Events("school-a", 1, 1), storetest.Events("school-a", 2, 1), false},
		"large and much": {large(1), much, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := openStore(t)
			d := newDesk(t, s, &memoryLog{}, func(r *audit.RecorderOptions, _ *audit.FollowerOptions) { r.Gather = gather })
			d.accept(t, test.first...)
			begun := time.Now()
			d.accept(t, test.second...)
			if waited := time.Since(begun) >= gather; waited != test.waits {
				t.Errorf("it took %v", time.Since(begun))
			}
		})
	}
}
