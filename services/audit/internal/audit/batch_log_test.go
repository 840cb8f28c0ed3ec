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
func everything(t *testing.T, s audit.Store, q audit.Query) []audit.Record {
	t.Helper()
	q.Controller, q.Limit = "school-a", 1000
	records, err := s.Search(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// TestStoreIsRebuiltFromTheLog: a store that has lost everything gets all of it from the leaves, and finds decisions as before.
func TestStoreIsRebuiltFromTheLog(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	log := &memoryLog{}
	accept(t, s, mixed()...)
	drain(t, audit.NewSequencer(s, log, audit.SequencerOptions{}))
	empty, _ := openStore(t)
	if err := audit.NewSequencer(empty, log, audit.SequencerOptions{Batch: 3}).Recover(context.Background()); err != nil {
		t.Fatal(err)
	}
	requireSound(t, empty, log, eventIDs(mixed()))
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
	if receipts, err := empty.Accept(context.Background(), storetest.Base, mixed()[3:]); err != nil || receipts[0].Status != audit.Duplicate {
		t.Errorf("the batch comes again: %+v, %v", receipts, err)
	}
}

// TestVerifierFindsChangesToDecisions alters the rows by which decisions are found.
func TestVerifierFindsChangesToDecisions(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"count":            `UPDATE entry SET decisions = 0 WHERE position = 2`,
		"one less":         `UPDATE entry SET decisions = 4 WHERE position = 2`,
		"person removed":   `DELETE FROM entry_subject WHERE position = 2 AND subject_ref = 's-one-3'`,
		"person added":     `INSERT INTO entry_subject (subject_ref, position) VALUES ('s-more', 2)`,
		"ids removed":      `DELETE FROM entry_decisions WHERE position = 2`,
		"ids moved":        `UPDATE entry_decisions SET position = 1 WHERE position = 2`,
		"first id changed": `UPDATE entry_decisions SET first_id = last_id WHERE position = 2`,
		"last id changed":  `UPDATE entry_decisions SET last_id = first_id WHERE position = 2`,
		"other controller": `UPDATE entry_decisions SET controller = 'school-b' WHERE position = 2`,
		"ids added":        `INSERT INTO entry_decisions SELECT controller, last_id, last_id, position FROM entry_decisions WHERE position = 2`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, db := openStore(t)
			log := &memoryLog{}
			accept(t, s, mixed()...)
			drain(t, audit.NewSequencer(s, log, audit.SequencerOptions{}))
			requireSound(t, s, log, eventIDs(mixed()))
			err := db.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) error {
				for _, trigger := range []string{"entry_keeps", "entry_subject_stays", "entry_decisions_keeps", "entry_decisions_stays"} {
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
			if strings.Contains(statement, "SET position = 1") {
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
	accept(t, s, mixed()...)
	drain(t, audit.NewSequencer(s, log, audit.SequencerOptions{}))
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

// TestSequencerGathersLargeLeaves: after a step with batches the next ones wait, after single events they do not.
func TestSequencerGathersLargeLeaves(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		event func(n int) audit.Event
		waits bool
	}{
		"large": {func(n int) audit.Event { return storetest.Decisions("school-a", n, 50) }, true},
		"small": {func(n int) audit.Event { return storetest.Event("school-a", n) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := openStore(t)
			log, added := &memoryLog{}, make(chan int, 10)
			log.appendFault = func(n int) (int, error) { added <- n; return n, nil }
			seq := audit.NewSequencer(s, log, audit.SequencerOptions{Poll: time.Millisecond, Gather: time.Hour})
			ctx, stop := context.WithCancel(context.Background())
			done := make(chan error, 1)
			accept(t, s, test.event(1))
			go func() { done <- seq.Run(ctx) }()
			<-added
			accept(t, s, test.event(2))
			seq.Wake()
			patience := 10 * time.Second
			if test.waits {
				patience = 100 * time.Millisecond
			}
			select {
			case <-added:
				if test.waits {
					t.Error("the second batch did not wait")
				}
			case <-time.After(patience):
				if !test.waits {
					t.Error("the second event waits")
				}
			}
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}
