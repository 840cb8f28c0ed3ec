package audit_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/store/storetest" //nolint:depguard // its events serve these tests too
)

// soundLog is a store and a log of n entries that agree.
func soundLog(t *testing.T, n int) (audit.Store, *sqldb.DB, *memoryLog) {
	t.Helper()
	s, db := openStore(t)
	log := &memoryLog{}
	accept(t, s, storetest.Events("school-a", 1, n)...)
	drain(t, audit.NewSequencer(s, log, audit.SequencerOptions{}))
	return s, db, log
}

// TestVerifierFindsChangesInTheDatabase is the superuser: the triggers are dropped, then a row is changed.
func TestVerifierFindsChangesInTheDatabase(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		statements string
		index      uint64
	}{
		"leaf":            {`UPDATE entry SET leaf = (SELECT leaf FROM entry WHERE position = 5) WHERE position = 4`, 3},
		"event id":        {`UPDATE entry SET event_id = 'x' WHERE position = 4`, 3},
		"controller":      {`UPDATE entry SET controller = 'school-b' WHERE position = 4`, 3},
		"number":          {`UPDATE entry SET controller_sequence = 99 WHERE position = 4`, 3},
		"time of receipt": {`UPDATE entry SET received_at = received_at + 1 WHERE position = 4`, 3},
		"service":         {`UPDATE entry SET service = 'consent' WHERE position = 4`, 3},
		"action":          {`UPDATE entry SET action = 'a.b' WHERE position = 4`, 3},
		"kind":            {`UPDATE entry SET kind = 'VIEW' WHERE position = 4`, 3},
		"actor":           {`UPDATE entry SET actor_ref = 'nobody' WHERE position = 4`, 3},
		"resource":        {`UPDATE entry SET resource = '' WHERE position = 4`, 3},
		"outcome":         {`UPDATE entry SET outcome = 'DENIED' WHERE position = 4`, 3},
		"trace":           {`UPDATE entry SET trace_id = '' WHERE position = 4`, 3},
		"subject":         {`UPDATE entry_subject SET subject_ref = 's-other' WHERE position = 4 AND subject_ref = 's-all'`, 3},
		"subject removed": {`DELETE FROM entry_subject WHERE position = 4 AND subject_ref = 's-all'`, 3},
		"subject added":   {`INSERT INTO entry_subject (subject_ref, position) VALUES ('s-more', 4)`, 3},
		"row removed": {`DELETE FROM entry_subject WHERE position = 4; DELETE FROM placement WHERE position = 4;
			DELETE FROM entry WHERE position = 4`, 3},
		"two rows swapped": {`DELETE FROM placement WHERE log_index IN (3, 4);
			INSERT INTO placement (log_index, position) VALUES (3, 5), (4, 4)`, 3},
		"place removed": {`DELETE FROM placement WHERE log_index = 3`, 3},
		"all removed":   {`DELETE FROM placement; DELETE FROM entry_subject; DELETE FROM entry`, 0},
		"row made up": {`INSERT INTO entry SELECT 100, 'x', event_digest, controller, 100, received_at, service, action, kind, actor_ref,
			resource, outcome, trace_id, leaf, decisions FROM entry WHERE position = 4`, 8},
		"place made up": {`INSERT INTO entry SELECT 100, 'x', event_digest, controller, 100, received_at, service, action, kind, actor_ref,
			resource, outcome, trace_id, leaf, decisions FROM entry WHERE position = 4; INSERT INTO placement VALUES (8, 100)`, 8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, db, log := soundLog(t, 8)
			err := db.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) error {
				for _, trigger := range []string{"entry_keeps", "entry_stays", "entry_subject_keeps", "entry_subject_stays", "placement_keeps", "placement_stays", "entry_decisions_keeps", "entry_decisions_stays"} {
					if _, err := tx.Exec(ctx, "DROP TRIGGER "+trigger); err != nil {
						return err
					}
				}
				for statement := range strings.SplitSeq(test.statements, ";") {
					if _, err := tx.Exec(ctx, statement); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			report, err := audit.NewVerifier(s, log, log).Verify(context.Background())
			if err != nil || report.Finding == nil || report.Finding.Index != test.index {
				t.Errorf("Verify = %+v (%+v), %v, want a finding at index %d", report, report.Finding, err, test.index)
			}
		})
	}
}

// TestVerifierFindsChangesInTheLog changes the log behind its checkpoint.
func TestVerifierFindsChangesInTheLog(t *testing.T) {
	t.Parallel()
	for name, alter := range map[string]func(l *memoryLog){
		"every byte": nil,
		"removed":    func(l *memoryLog) { l.leaves = append(l.leaves[:3:3], l.leaves[4:]...) },
		"swapped":    func(l *memoryLog) { l.leaves[3], l.leaves[4] = l.leaves[4], l.leaves[3] },
		"truncated":  func(l *memoryLog) { l.leaves = l.leaves[:3] },
		"repeated":   func(l *memoryLog) { l.leaves = append(l.leaves, l.leaves[3]) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, log := soundLog(t, 6)
			signed, err := log.Head(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if alter != nil {
				alter(log)
				wantFinding(t, s, log, signed)
				return
			}
			honest := log.leaves[3]
			for bit := 0; bit < 8*len(honest); bit += 7 { // every byte is met, each bit in turn
				log.leaves[3] = append([]byte(nil), honest...)
				log.leaves[3][bit/8] ^= 1 << (bit % 8)
				wantFinding(t, s, log, signed)
			}
		})
	}
}

// signedHead publishes a checkpoint that was signed before the log changed.
type signedHead struct {
	*memoryLog
	head audit.Head
}

func (s signedHead) Head(context.Context) (audit.Head, error) { return s.head, nil }

func wantFinding(t *testing.T, s audit.Store, log *memoryLog, signed audit.Head) {
	t.Helper()
	report, err := audit.NewVerifier(s, log, signedHead{log, signed}).Verify(context.Background())
	if err == nil && report.Finding == nil && len(log.leaves) > int(signed.Size) {
		// What lies beyond the checkpoint is judged by the next one.
		report, err = audit.NewVerifier(s, log, log).Verify(context.Background())
	}
	if err != nil || report.Finding == nil {
		t.Errorf("Verify = %+v, %v, want a finding", report, err)
	}
}

// TestVerifierComparesTheRoot: leaves and rows that were changed together still do not give the root that was signed.
func TestVerifierComparesTheRoot(t *testing.T) {
	t.Parallel()
	_, _, log := soundLog(t, 6)
	signed, err := log.Head(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	forged, _ := openStore(t)
	events := storetest.Events("school-a", 1, 6)
	events[2].Outcome = audit.OutcomeDenied
	forgedLog := &memoryLog{}
	accept(t, forged, events...)
	drain(t, audit.NewSequencer(forged, forgedLog, audit.SequencerOptions{}))
	requireSound(t, forged, forgedLog, eventIDs(events)) // sound in itself
	report, err := audit.NewVerifier(forged, forgedLog, signedHead{forgedLog, signed}).Verify(context.Background())
	if err != nil || report.Finding == nil || !strings.Contains(report.Finding.Problem, "root") {
		t.Errorf("Verify = %+v (%+v), %v, want a finding about the root", report, report.Finding, err)
	}
}

func TestVerifierRaisesNoFalseAlarm(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 300} {
		s, _, log := soundLog(t, n)
		accept(t, s, storetest.Event("school-a", 1000)) // waits in the queue
		log.publish(n / 3)                              // the checkpoint lags
		report, err := audit.NewVerifier(s, log, log).Verify(context.Background())
		if err != nil || report.Finding != nil || report.Checked != uint64(n-n/3) {
			t.Errorf("%d entries: Verify = %+v (%+v), %v", n, report, report.Finding, err)
		}
	}
}

func TestProver(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	log := &memoryLog{}
	seq := audit.NewSequencer(s, log, audit.SequencerOptions{})
	event := storetest.Event("school-a", 1)
	accept(t, s, event)
	prover := audit.NewProver(s, log, 10*time.Second, time.Millisecond)
	for _, controller := range []audit.ControllerID{"school-b", ""} {
		if _, err := prover.Proof(context.Background(), controller, event.ID); !errors.Is(err, audit.ErrNotFound) {
			t.Errorf("for %q: %v, want %v", controller, err, audit.ErrNotFound)
		}
	}
	if _, err := audit.NewProver(s, log, time.Millisecond, time.Millisecond).Proof(context.Background(), "school-a", event.ID); !errors.Is(err, audit.ErrNotYet) {
		t.Errorf("an entry that is still queued: %v, want %v", err, audit.ErrNotYet)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := prover.Proof(ctx, "school-a", event.ID); err == nil {
		t.Error("a cancelled call gave a proof")
	}
	log.publish(1)
	drain(t, seq)
	time.AfterFunc(20*time.Millisecond, func() { log.publish(0) })
	proof, err := prover.Proof(context.Background(), "school-a", event.ID)
	if err != nil || proof.Index != 0 || proof.TreeSize != 1 || string(proof.Leaf) != string(log.leaves[0]) {
		t.Errorf("Proof = %+v, %v, want the proof of the first leaf once it is published", proof, err)
	}
}
