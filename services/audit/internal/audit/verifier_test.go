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
func soundLog(t *testing.T, n int) (audit.Index, *sqldb.DB, *memoryLog) {
	t.Helper()
	s, db := openStore(t)
	d := newDesk(t, s, &memoryLog{})
	for at := range (n + 99) / 100 {
		d.accept(t, storetest.Events("school-a", 1+100*at, min(100, n-100*at))...)
	}
	requireSound(t, s, d.log, eventIDs(storetest.Events("school-a", 1, n)))
	return s, db, d.log
}

// entryTriggers keep the rows of entries as they are.
var entryTriggers = []string{"entry_keeps", "entry_stays", "entry_person_keeps", "entry_person_stays", "entry_people_keeps", "entry_people_stays",
	"entry_decisions_keeps", "entry_decisions_stays"}

// TestVerifierFindsChangesInTheDatabase is the superuser: the triggers are dropped, then a row is changed.
func TestVerifierFindsChangesInTheDatabase(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		statements string
		index      uint64
	}{
		"leaf":            {`UPDATE entry SET leaf = (SELECT leaf FROM entry WHERE position = 4) WHERE position = 3`, 3},
		"event id":        {`UPDATE entry SET event_id = 'x' WHERE position = 3`, 3},
		"controller":      {`UPDATE entry SET controller = 'school-b' WHERE position = 3`, 3},
		"number":          {`UPDATE entry SET controller_sequence = 99 WHERE position = 3`, 3},
		"time of receipt": {`UPDATE entry SET received_at = received_at + 1 WHERE position = 3`, 3},
		"service":         {`UPDATE entry SET service = 'consent' WHERE position = 3`, 3},
		"action":          {`UPDATE entry SET action = 'a.b' WHERE position = 3`, 3},
		"kind":            {`UPDATE entry SET kind = 'VIEW' WHERE position = 3`, 3},
		"actor":           {`UPDATE entry SET actor_ref = 'nobody' WHERE position = 3`, 3},
		"resource":        {`UPDATE entry SET resource = 'x' WHERE position = 3`, 3},
		"outcome":         {`UPDATE entry SET outcome = 'DENIED' WHERE position = 3`, 3},
		"trace":           {`UPDATE entry SET trace_id = '' WHERE position = 3`, 3},
		"decisions":       {`UPDATE entry SET decisions = 1 WHERE position = 3`, 3},
		"person changed":  {`UPDATE entry_person SET person = x'00112233445566778899aabbccddeeff' WHERE position = 3 AND person = (SELECT MIN(person) FROM entry_person WHERE position = 3)`, 3},
		"person cut":      {`UPDATE entry_person SET person = x'0011' WHERE position = 3 AND person = (SELECT MIN(person) FROM entry_person WHERE position = 3)`, 3},
		"person removed":  {`DELETE FROM entry_person WHERE position = 3 AND person = (SELECT MIN(person) FROM entry_person WHERE position = 3)`, 3},
		"person added":    {`INSERT INTO entry_person (person, position) VALUES (x'00112233445566778899aabbccddeeff', 3)`, 3},
		"marks added":     {`INSERT INTO entry_people SELECT position, controller, received_at, x'00112233' FROM entry WHERE position = 3`, 3},
		"ids added": {`INSERT INTO entry_decisions VALUES ('school-a', x'00112233445566778899aabbccddeeff',
			x'00112233445566778899aabbccddeeff', 3)`, 3},
		"row removed":      {`DELETE FROM entry_person WHERE position = 3; DELETE FROM entry WHERE position = 3`, 3},
		"last row removed": {`DELETE FROM entry_person WHERE position = 7; DELETE FROM entry WHERE position = 7`, 7},
		"two rows swapped": {`PRAGMA defer_foreign_keys = 1; UPDATE entry SET position = 100 WHERE position = 3; UPDATE entry SET position = 3 WHERE position = 4;
			UPDATE entry SET position = 4 WHERE position = 100`, 3},
		"all removed": {`DELETE FROM entry_person; DELETE FROM entry`, 0},
		"row made up": {`INSERT INTO entry SELECT 100, 'x', event_digest, controller, 100, received_at, service, action, kind, actor_ref,
			resource, outcome, trace_id, decisions, leaf FROM entry WHERE position = 3`, 8},
		"row at no place": {`PRAGMA ignore_check_constraints = 1; INSERT INTO entry SELECT -1, 'x', event_digest, controller, 100, received_at, service,
			action, kind, actor_ref, resource, outcome, trace_id, decisions, leaf FROM entry WHERE position = 3; PRAGMA ignore_check_constraints = 0`, 8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, db, log := soundLog(t, 8)
			err := db.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) error {
				for _, trigger := range entryTriggers {
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

func wantFinding(t *testing.T, s audit.Index, log *memoryLog, signed audit.Head) {
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
	newDesk(t, forged, forgedLog).accept(t, events...)
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
		log.publish(n / 3) // the checkpoint lags
		report, err := audit.NewVerifier(s, log, log).Verify(context.Background())
		if err != nil || report.Finding != nil || report.Checked != uint64(n-n/3) {
			t.Errorf("%d entries: Verify = %+v (%+v), %v", n, report, report.Finding, err)
		}
	}
}

func TestProver(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	event := storetest.Event("school-a", 1)
	d.accept(t, event)
	prove := func(ctx context.Context, controller audit.ControllerID, wait time.Duration) (audit.Proof, error) {
		reader := audit.NewReader(d.index, d.follower, wait)
		return audit.NewProver(reader, d.log, wait, time.Millisecond).Proof(ctx, controller, event.ID)
	}
	if _, err := prove(context.Background(), "school-a", time.Millisecond); err == nil {
		t.Error("an entry was found that the index does not have")
	}
	stop := d.follow(t)
	if _, err := prove(context.Background(), "school-a", 10*time.Second); err != nil { // waits for the index
		t.Errorf("an entry of a moment ago: %v", err)
	}
	for _, controller := range []audit.ControllerID{"school-b", ""} {
		if _, err := prove(context.Background(), controller, time.Second); !errors.Is(err, audit.ErrNotFound) {
			t.Errorf("for %q: %v, want %v", controller, err, audit.ErrNotFound)
		}
	}
	stop()
	d.log.publish(1)
	if _, err := prove(context.Background(), "school-a", time.Millisecond); !errors.Is(err, audit.ErrNotYet) {
		t.Errorf("an entry that no checkpoint covers: %v, want %v", err, audit.ErrNotYet)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := prove(ctx, "school-a", time.Second); err == nil {
		t.Error("a cancelled call gave a proof")
	}
	time.AfterFunc(20*time.Millisecond, func() { d.log.publish(0) })
	proof, err := prove(context.Background(), "school-a", 10*time.Second)
	if err != nil || proof.Index != 0 || proof.TreeSize != 1 || string(proof.Leaf) != string(d.log.leaves[0]) {
		t.Errorf("Proof = %+v, %v, want the proof of the first leaf once it is published", proof, err)
	}
}
