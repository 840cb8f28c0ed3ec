package audit_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/store/storetest" //nolint:depguard // its events serve these tests too
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errInjected = errors.New("injected fault")

func accept(t *testing.T, s audit.Inbox, events ...audit.Event) {
	t.Helper()
	if _, err := s.Accept(context.Background(), storetest.Base, events); err != nil {
		t.Fatal(err)
	}
}

func eventIDs(events []audit.Event) []audit.EventID {
	var out []audit.EventID
	for _, e := range events {
		out = append(out, e.ID)
	}
	return out
}

// faultyQueue fails to note places, before or after it has.
type faultyQueue struct {
	audit.Queue
	before, after error
}

func (q *faultyQueue) Place(ctx context.Context, placements []audit.Placement) error {
	if q.before != nil {
		return q.before
	}
	return errors.Join(q.Queue.Place(ctx, placements), q.after)
}

// requireSound checks that log and index agree and that the log holds exactly these events, each once, in this order.
func requireSound(t *testing.T, s audit.Store, log *memoryLog, want []audit.EventID) {
	t.Helper()
	if diff := cmp.Diff(want, log.ids(t)); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	report, err := audit.NewVerifier(s, log, log).Verify(context.Background())
	if err != nil || report.Finding != nil || report.Checked != uint64(len(want)) {
		t.Errorf("Verify = %+v (%+v), %v, want %d right", report, report.Finding, err, len(want))
	}
	if n, _, err := s.Backlog(context.Background()); err != nil || n != 0 {
		t.Errorf("%d entries are still queued (%v)", n, err)
	}
}

// drain steps until the queue is empty.
func drain(t *testing.T, seq *audit.Sequencer) {
	t.Helper()
	for {
		n, err := seq.Step(context.Background())
		if err != nil {
			t.Fatalf("Step: %v", err)
		}
		if n == 0 {
			return
		}
	}
}

func TestSequencerKeepsOrder(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	log := &memoryLog{}
	events := slices.Concat(storetest.Events("school-a", 1, 5), storetest.Events("school-b", 10, 5), storetest.Events("school-a", 20, 3))
	accept(t, s, events...)
	drain(t, audit.NewSequencer(s, log, audit.SequencerOptions{Batch: 4}))
	requireSound(t, s, log, eventIDs(events))
}

// TestCrashes abandons a sequencer at each point between the queue and the index and lets a new one go on, as after a kill
// and a restart. No event may be in the log twice, and none may be missing.
func TestCrashes(t *testing.T) {
	t.Parallel()
	crashes := map[string]func(q *faultyQueue, log *memoryLog){
		"before the log has anything": func(_ *faultyQueue, log *memoryLog) {
			log.appendFault = func(int) (int, error) { return 0, errInjected }
		},
		"when the log has a part": func(_ *faultyQueue, log *memoryLog) {
			log.appendFault = func(n int) (int, error) { return n / 2, errInjected }
		},
		"when the log has all": func(_ *faultyQueue, log *memoryLog) {
			log.appendFault = func(n int) (int, error) { return n, errInjected }
		},
		"before the places are noted": func(q *faultyQueue, _ *memoryLog) { q.before = errInjected },
		"after the places are noted":  func(q *faultyQueue, _ *memoryLog) { q.after = errInjected },
	}
	for name, crash := range crashes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := openStore(t)
			log := &memoryLog{}
			var want []audit.EventID
			for round := range 5 {
				events := storetest.Events("school-a", 10*round, 7)
				want = append(want, eventIDs(events)...)
				accept(t, s, events...)
				faulty := &faultyQueue{Queue: s}
				crash(faulty, log)
				if _, err := audit.NewSequencer(faulty, log, audit.SequencerOptions{Batch: 4}).Step(context.Background()); !errors.Is(err, errInjected) {
					t.Fatalf("the crash did not happen: %v", err)
				}
				log.appendFault = nil
				drain(t, audit.NewSequencer(s, log, audit.SequencerOptions{Batch: 4}))
				requireSound(t, s, log, want)
			}
		})
	}
}

// TestSabotageWithoutRecovery proves that the test above can fail: a sequencer that does not follow the log after a crash
// adds entries twice, and the verifier says so.
func TestSabotageWithoutRecovery(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	log := &memoryLog{}
	accept(t, s, storetest.Events("school-a", 1, 4)...)
	queued, err := s.Pending(context.Background(), 10)
	if err != nil {
		t.Fatal(err)
	}
	var leaves [][]byte
	for _, q := range queued {
		leaves = append(leaves, q.Leaf)
	}
	for range 2 { // added, not noted, added again
		if _, err := log.Append(context.Background(), leaves); err != nil {
			t.Fatal(err)
		}
	}
	if err := audit.NewSequencer(s, log, audit.SequencerOptions{}).Recover(context.Background()); !errors.Is(err, audit.ErrDiverged) {
		t.Errorf("Recover over a doubled log: %v, want %v", err, audit.ErrDiverged)
	}
	report, err := audit.NewVerifier(s, log, log).Verify(context.Background())
	if err != nil || report.Finding == nil || report.Finding.Index != 4 {
		t.Errorf("Verify = %+v, %v, want a finding at index 4", report, err)
	}
}

// TestSequencerSurvivesFaults lets one running sequencer meet any sequence of faults while events keep coming.
func TestSequencerSurvivesFaults(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s, db := openStore(t)
		defer db.Close() // many of them; the cleanup would come late
		log := &memoryLog{}
		queue := &faultyQueue{Queue: s}
		seq := audit.NewSequencer(queue, log, audit.SequencerOptions{Batch: 3})
		var want []audit.EventID
		for i := range rapid.IntRange(1, 8).Draw(rt, "steps") {
			events := storetest.Events("school-a", 100*i, rapid.IntRange(0, 5).Draw(rt, "events"))
			want = append(want, eventIDs(events)...)
			accept(t, s, events...)
			queue.before, queue.after, log.appendFault = nil, nil, nil
			switch rapid.IntRange(0, 4).Draw(rt, "fault") {
			case 0:
				queue.before = errInjected
			case 1:
				queue.after = errInjected
			case 2:
				part := rapid.IntRange(0, 3).Draw(rt, "part")
				log.appendFault = func(n int) (int, error) { return min(n, part), errInjected }
			}
			if _, err := seq.Step(context.Background()); err != nil && !errors.Is(err, errInjected) {
				rt.Fatalf("Step: %v", err)
			}
			if rapid.Bool().Draw(rt, "restart") {
				seq = audit.NewSequencer(queue, log, audit.SequencerOptions{Batch: 3})
			}
		}
		queue.before, queue.after, log.appendFault = nil, nil, nil
		drain(t, seq)
		requireSound(t, s, log, want)
	})
}

// TestRecoverRestoredStore brings back a store that is older than the log: what it lost is taken over from the log.
func TestRecoverRestoredStore(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	old, _ := openStore(t)
	log := &memoryLog{}
	events := slices.Concat(storetest.Events("school-a", 1, 4), storetest.Events("school-b", 10, 4))
	accept(t, s, events...)
	drain(t, audit.NewSequencer(s, log, audit.SequencerOptions{}))
	accept(t, old, events[:3]...)
	if err := old.Place(context.Background(), []audit.Placement{{ID: events[0].ID, Index: 0}}); err != nil {
		t.Fatal(err)
	}
	seq := audit.NewSequencer(old, log, audit.SequencerOptions{Batch: 2})
	if err := seq.Recover(context.Background()); err != nil {
		t.Fatal(err)
	}
	requireSound(t, old, log, eventIDs(events))
	more := storetest.Event("school-b", 99)
	accept(t, old, append(slices.Clone(events), more)...) // the services report again what they have no answer for
	drain(t, seq)
	requireSound(t, old, log, append(eventIDs(events), more.ID))
}

func TestRecoverRefusesOtherLogs(t *testing.T) {
	t.Parallel()
	build := func(t *testing.T) (audit.Store, *memoryLog) {
		s, _ := openStore(t)
		log := &memoryLog{}
		accept(t, s, storetest.Events("school-a", 1, 4)...)
		drain(t, audit.NewSequencer(s, log, audit.SequencerOptions{}))
		return s, log
	}
	for name, alter := range map[string]func(*memoryLog){
		"a shorter log":    func(l *memoryLog) { l.leaves = l.leaves[:3] },
		"an empty log":     func(l *memoryLog) { l.leaves = nil },
		"a foreign leaf":   func(l *memoryLog) { l.leaves = append(l.leaves, []byte("{}")) },
		"a repeated entry": func(l *memoryLog) { l.leaves = append(l.leaves, l.leaves[2]) },
	} {
		s, log := build(t)
		alter(log)
		accept(t, s, storetest.Event("school-a", 50))
		seq := audit.NewSequencer(s, log, audit.SequencerOptions{})
		size := len(log.leaves)
		if err := seq.Run(context.Background()); !errors.Is(err, audit.ErrDiverged) {
			t.Errorf("%s: Run = %v, want %v", name, err, audit.ErrDiverged)
		}
		if len(log.leaves) != size {
			t.Errorf("%s: something was added all the same", name)
		}
	}
}

// TestRun lets the sequencer run beside the reports, through a failure, until it is told to stop.
func TestRun(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	log := &memoryLog{}
	failures := 2
	log.appendFault = func(n int) (int, error) {
		if failures--; failures >= 0 {
			return n, errInjected
		}
		return n, nil
	}
	seq := audit.NewSequencer(s, log, audit.SequencerOptions{Poll: time.Hour, Backoff: time.Millisecond})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- seq.Run(ctx) }()
	var want []audit.EventID
	for round := range 5 {
		events := storetest.Events("school-a", 10*round, 3)
		want = append(want, eventIDs(events)...)
		accept(t, s, events...)
		seq.Wake()
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
			if n, _, err := s.Backlog(ctx); err == nil && n == 0 {
				break
			} else if time.Now().After(deadline) {
				t.Fatalf("round %d: %d entries wait (%v)", round, n, err)
			}
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run = %v, want nil when it is told to stop", err)
	}
	requireSound(t, s, log, want)
}
