package audit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/store/storetest" //nolint:depguard // its events serve these tests too
)

func TestRecorderKeepsOrder(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	events := slices.Concat(storetest.Events("school-a", 1, 5), storetest.Events("school-b", 10, 5), storetest.Events("school-a", 20, 3))
	events[1].Detail = map[string]string{"controllerSequence": "1", "receivedTime": "2000-01-01T00:00:00.000000Z", "schema": "x"} // words of the leaf's own
	events[2].Controller, events[2].Detail, events[2].Resource = "", nil, ""
	d.accept(t, events[:9]...)
	d.accept(t, events[9:]...)
	requireSound(t, d.index, d.log, eventIDs(events))
	for i, raw := range d.log.leaves {
		entry, err := audit.ParseLeaf(raw)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(events[i], entry.Event); diff != "" {
			t.Errorf("the event at %d (-want +got):\n%s", i, diff)
		}
	}
}

// TestKnownEventsCountOnce reports events again: in the same report, at once, when the index has them, and after a start.
func TestKnownEventsCountOnce(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	d := newDesk(t, s, &memoryLog{})
	events := append(storetest.Events("school-a", 1, 2), storetest.Decisions("school-a", 3, 40))
	first := d.accept(t, append(slices.Clone(events), events...)...)
	want := slices.Clone(first[:3])
	for i := range want {
		want[i].Status = audit.Duplicate
	}
	if diff := cmp.Diff(want, first[3:]); diff != "" {
		t.Errorf("in the same report (-want +got):\n%s", diff)
	}
	again := func(name string) {
		t.Helper()
		d.clock.set(storetest.Base.Add(time.Hour))
		if diff := cmp.Diff(want, d.accept(t, events...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for what, change := range map[string]func(*audit.Event){
			"controller": func(e *audit.Event) { e.Controller = "school-b" },
			"outcome":    func(e *audit.Event) { e.Outcome = audit.OutcomeDenied },
			"detail":     func(e *audit.Event) { e.Detail = map[string]string{"count": "2"} },
			"time":       func(e *audit.Event) { e.OccurredTime = e.OccurredTime.Add(time.Microsecond) },
		} {
			other := events[0]
			change(&other)
			if got := d.accept(t, other)[0]; got != (audit.Receipt{ID: other.ID, Status: audit.Conflict}) {
				t.Errorf("%s, another %s: %+v, want a conflict", name, what, got)
			}
		}
		for what, change := range map[string]func(*audit.Batch){
			"one less":       func(b *audit.Batch) { b.Decisions = b.Decisions[:39] },
			"another answer": func(b *audit.Batch) { b.Decisions[2].Allowed = !b.Decisions[2].Allowed },
			"another person": func(b *audit.Batch) { b.Decisions[2].SubjectRefs[0] = "s-other" },
			"another actor":  func(b *audit.Batch) { b.Actors[0].Ref = "p-other" },
			"another word":   func(b *audit.Batch) { b.Texts[1] = "OTHER" },
		} {
			other := storetest.Decisions("school-a", 3, 40)
			change(other.Batch)
			if got := d.accept(t, other)[0]; got.Status != audit.Conflict {
				t.Errorf("%s, %s: %+v, want a conflict", name, what, got)
			}
		}
	}
	again("when only the log has them")
	stop := d.follow(t)
	d.settle(t)
	again("when the index has them")
	stop()
	d = newDesk(t, s, d.log)
	again("after a start")
	fresh := d.accept(t, events[0], storetest.Event("school-a", 9))
	if fresh[1].Status != audit.Accepted || fresh[1].ControllerSequence != 4 {
		t.Errorf("the event behind a known one: %+v, want number 4", fresh[1])
	}
	requireSound(t, s, d.log, append(eventIDs(events), storetest.Event("", 9).ID))
}

// TestConcurrentReports reports from many callers at once, each event by two of them.
func TestConcurrentReports(t *testing.T) {
	t.Parallel()
	const callers, each = 16, 20
	d := openDesk(t)
	d.follow(t)
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			c := audit.ControllerID(fmt.Sprintf("school-%d", caller/8))
			for n := range each {
				if _, err := d.Accept(context.Background(), []audit.Event{storetest.Event(c, 1000*(caller/2)+n)}); err != nil {
					t.Errorf("Accept: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
	d.settle(t)
	if ids := d.log.ids(t); len(ids) != callers/2*each {
		t.Errorf("the log has %d entries, want %d", len(ids), callers/2*each)
	}
	requireSound(t, d.index, d.log, d.log.ids(t))
}

// TestReportsShareBatches: what comes while a batch is on its way to the log goes there together.
func TestReportsShareBatches(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	began, finish := make(chan struct{}), make(chan struct{})
	d.log.appendFault = func(n int) (int, error) {
		if d.log.appends == 1 {
			close(began)
			<-finish
		}
		return n, nil
	}
	var group sync.WaitGroup
	report := func(n int) {
		group.Go(func() {
			if _, err := d.Accept(context.Background(), []audit.Event{storetest.Event("school-a", n)}); err != nil {
				t.Errorf("Accept: %v", err)
			}
		})
	}
	report(0)
	<-began
	for n := range 50 {
		report(1 + n)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond) // and time for all to wait
	defer cancel()
	_, err := d.Accept(ctx, storetest.Events("school-a", 99, 1))
	var gone *audit.UnansweredError
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &gone) {
		t.Fatalf("a caller without patience: %v", err)
	}
	if answered, _ := gone.Answered(); answered {
		t.Error("its report is answered while the log is held")
	}
	close(finish)
	group.Wait()
	if answered, err := gone.Answered(); !answered || err != nil {
		t.Errorf("its report is answered: %v, %v", answered, err)
	}
	if d.log.appends != 2 || len(d.log.leaves) != 52 {
		t.Errorf("%d batches with %d entries, want 2 with 52", d.log.appends, len(d.log.leaves))
	}
}

// faultyIndex fails to add, before or after it has.
type faultyIndex struct {
	audit.Index
	mu            sync.Mutex
	before, after error
}

func (x *faultyIndex) set(before, after error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.before, x.after = before, after
}

func (x *faultyIndex) Add(ctx context.Context, entries []audit.Placed) error {
	x.mu.Lock()
	before, after := x.before, x.after
	x.mu.Unlock()
	if before != nil {
		return before
	}
	return errors.Join(x.Index.Add(ctx, entries), after)
}

// TestRecorderSurvivesFaults lets log and index fail in any order, with and without starts, while reports come and are sent again
// until they are answered. What was acknowledged is in the log, once, and the numbers have no gaps.
func TestRecorderSurvivesFaults(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s, db := openStore(t)
		defer db.Close() // many of them; the cleanup would come late
		index, log := &faultyIndex{Index: s}, &memoryLog{}
		d := newDesk(rt, index, log)
		stop := d.follow(t)
		acknowledged := map[audit.EventID]bool{}
		for i := range rapid.IntRange(1, 8).Draw(rt, "steps") {
			events := storetest.Events("school-a", 100*i, rapid.IntRange(1, 5).Draw(rt, "events"))
			switch rapid.IntRange(0, 4).Draw(rt, "fault") {
			case 0:
				index.set(errInjected, nil)
			case 1:
				index.set(nil, errInjected)
			case 2:
				part := rapid.IntRange(0, 5).Draw(rt, "part")
				log.setFault(func(n int) (int, error) { return min(n, part), errInjected })
			}
			for try := 0; ; try++ {
				receipts, err := d.Accept(context.Background(), events)
				if err == nil {
					for _, r := range receipts {
						acknowledged[r.ID] = true
					}
					break
				}
				if try > 0 || rapid.Bool().Draw(rt, "soon") {
					log.setFault(nil)
					index.set(nil, nil)
				}
				if try > 9 {
					rt.Fatalf("not recovered: %v", err)
				}
			}
			if rapid.Bool().Draw(rt, "start") {
				stop()
				log.setFault(nil)
				index.set(nil, nil)
				d = newDesk(rt, index, log)
				stop = d.follow(t)
			}
		}
		stop()
		index.set(nil, nil)
		got := log.ids(rt)
		requireSound(rt, s, log, got)
		for _, id := range got {
			delete(acknowledged, id)
		}
		if len(acknowledged) > 0 {
			rt.Fatalf("%d acknowledged events are not in the log", len(acknowledged))
		}
	})
}

// TestAFailedCatchingUp: the index took entries and said that it did not, while the follower had some of them in hand. They are not
// taken for a contradiction.
func TestAFailedCatchingUp(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	index, log := &faultyIndex{Index: s}, &memoryLog{}
	d := newDesk(t, index, log)
	d.accept(t, storetest.Events("school-a", 1, 1)...)
	log.setFault(func(int) (int, error) { return 1, errInjected })
	if _, err := d.Accept(t.Context(), storetest.Events("school-a", 2, 1)); !errors.Is(err, errInjected) {
		t.Fatalf("Accept = %v, want the log's error", err)
	}
	index.set(nil, errInjected)
	if _, err := d.follower.CatchUp(t.Context()); !errors.Is(err, errInjected) {
		t.Fatalf("CatchUp = %v, want the index's error", err)
	}
	log.setFault(nil)
	index.set(nil, nil)
	stop := d.follow(t)
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if count, _ := d.follower.Backlog(); count == 0 {
			break
		}
	}
	d.accept(t, storetest.Events("school-a", 3, 1)...)
	stop()
	requireSound(t, s, log, log.ids(t))
}

// TestAFailureLeavesNoGap: after the log took only a part, the next numbers follow those that it took.
func TestAFailureLeavesNoGap(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	d.accept(t, storetest.Events("school-a", 1, 2)...)
	d.log.setFault(func(int) (int, error) { return 2, errInjected })
	if _, err := d.Accept(context.Background(), storetest.Events("school-a", 3, 4)); !errors.Is(err, errInjected) {
		t.Fatalf("Accept = %v, want the log's error", err)
	}
	d.log.setFault(nil)
	next := d.accept(t, slices.Concat(storetest.Events("school-a", 9, 1), storetest.Events("school-a", 3, 4))...)
	for i, want := range []struct {
		status   audit.ReceiptStatus
		sequence uint64
	}{{audit.Accepted, 5}, {audit.Duplicate, 3}, {audit.Duplicate, 4}, {audit.Accepted, 6}, {audit.Accepted, 7}} {
		if next[i].Status != want.status || next[i].ControllerSequence != want.sequence {
			t.Errorf("receipt %d: %+v, want %+v", i, next[i], want)
		}
	}
	requireSound(t, d.index, d.log, d.log.ids(t))
}

// lyingLog says of what it adds that it is elsewhere.
type lyingLog struct{ *memoryLog }

func (l lyingLog) Append(ctx context.Context, leaves [][]byte) ([]uint64, error) {
	indices, err := l.memoryLog.Append(ctx, leaves)
	for i := range indices {
		indices[i]++
	}
	return indices, err
}

// TestEntriesElsewhereEndIt: when an entry is not where it must be, nothing more is recorded.
func TestEntriesElsewhereEndIt(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	log := lyingLog{&memoryLog{}}
	follower := audit.NewFollower(s, log, audit.FollowerOptions{})
	recorder := audit.NewRecorder(log, s, follower, &fixedClock{now: storetest.Base}, noTracer, audit.RecorderOptions{})
	if err := recorder.Recover(context.Background()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- follower.Run(context.Background()) }()
	for n := range 2 {
		if _, err := recorder.Accept(context.Background(), storetest.Events("school-a", n, 1)); !errors.Is(err, audit.ErrDiverged) {
			t.Errorf("report %d: %v, want %v", n, err, audit.ErrDiverged)
		}
	}
	if err := <-ended; !errors.Is(err, audit.ErrDiverged) {
		t.Errorf("Run = %v, want %v", err, audit.ErrDiverged)
	}
	if len(log.leaves) != 1 {
		t.Errorf("the log has %d entries: something was added behind the wrong one", len(log.leaves))
	}
}

// TestSabotageWithoutRecovery proves that the tests above can fail: an entry that a recorder adds again because it has not read the
// log's end stops the next start, and the verifier names it.
func TestSabotageWithoutRecovery(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	d.accept(t, storetest.Events("school-a", 1, 4)...)
	requireSound(t, d.index, d.log, d.log.ids(t))
	if _, err := d.log.Append(context.Background(), d.log.leaves[:4]); err != nil { // without knowing that it has them
		t.Fatal(err)
	}
	if _, err := audit.NewFollower(d.index, d.log, audit.FollowerOptions{}).CatchUp(context.Background()); !errors.Is(err, audit.ErrDiverged) {
		t.Errorf("CatchUp over a doubled log: %v, want %v", err, audit.ErrDiverged)
	}
	report, err := audit.NewVerifier(d.index, d.log, d.log).Verify(context.Background())
	if err != nil || report.Finding == nil || report.Finding.Index != 4 {
		t.Errorf("Verify = %+v, %v, want a finding at index 4", report, err)
	}
}

// TestCatchUpRestoredIndex brings back an index that is older than the log: what it lost comes from the log.
func TestCatchUpRestoredIndex(t *testing.T) {
	t.Parallel()
	events := slices.Concat(storetest.Events("school-a", 1, 4), storetest.Events("school-b", 10, 4))
	log := &memoryLog{}
	older, _ := openStore(t)
	newDesk(t, older, log).accept(t, events[:3]...)
	requireSound(t, older, log, eventIDs(events[:3]))
	newer, _ := openStore(t)
	newDesk(t, newer, log).accept(t, events[3:]...)
	d := newDesk(t, older, log)
	requireSound(t, older, log, eventIDs(events))
	more := storetest.Event("school-b", 99)
	d.accept(t, append(slices.Clone(events), more)...) // the services report again what they have no answer for
	requireSound(t, older, log, append(eventIDs(events), more.ID))
}

func TestCatchUpRefusesOtherLogs(t *testing.T) {
	t.Parallel()
	for name, alter := range map[string]func(*memoryLog){
		"a shorter log":    func(l *memoryLog) { l.leaves = l.leaves[:3] },
		"an empty log":     func(l *memoryLog) { l.leaves = nil },
		"a foreign leaf":   func(l *memoryLog) { l.leaves = append(l.leaves, []byte("{}")) },
		"a repeated entry": func(l *memoryLog) { l.leaves = append(l.leaves, l.leaves[2]) },
	} {
		d := openDesk(t)
		d.accept(t, storetest.Events("school-a", 1, 4)...)
		requireSound(t, d.index, d.log, d.log.ids(t))
		alter(d.log)
		if _, err := audit.NewFollower(d.index, d.log, audit.FollowerOptions{}).CatchUp(context.Background()); !errors.Is(err, audit.ErrDiverged) {
			t.Errorf("%s: CatchUp = %v, want %v", name, err, audit.ErrDiverged)
		}
	}
}

// TestAnIndexThatIsFarBehind: nothing more is accepted until it has come forward; then it goes on.
func TestAnIndexThatIsFarBehind(t *testing.T) {
	t.Parallel()
	for name, bound := range map[string]audit.FollowerOptions{"entries": {MaxLag: 4}, "bytes": {MaxLagBytes: 2000}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := openStore(t)
			d := newDesk(t, s, &memoryLog{}, func(_ *audit.RecorderOptions, f *audit.FollowerOptions) {
				f.MaxLag, f.MaxLagBytes, f.Backoff, f.Patience = bound.MaxLag, bound.MaxLagBytes, time.Millisecond, time.Millisecond
			})
			events := storetest.Events("school-a", 1, 4)
			d.accept(t, events...)
			if n, oldest := d.follower.Backlog(); n != 4 || !oldest.Equal(storetest.Base) {
				t.Errorf("Backlog = %d since %v, want 4 since %v", n, oldest, storetest.Base)
			}
			more := storetest.Event("school-a", 5)
			if _, err := d.Accept(context.Background(), []audit.Event{more}); !errors.Is(err, audit.ErrBusy) {
				t.Errorf("Accept = %v, want %v", err, audit.ErrBusy)
			}
			if got := d.accept(t, events[0])[0].Status; got != audit.Duplicate {
				t.Errorf("what is there already: %v, want a duplicate", got)
			}
			d.follow(t)
			d.settle(t)
			d.accept(t, more)
			d.settle(t)
			if n, oldest := d.follower.Backlog(); n != 0 || !oldest.IsZero() {
				t.Errorf("Backlog = %d since %v, want none", n, oldest)
			}
			requireSound(t, s, d.log, append(eventIDs(events), more.ID))
		})
	}
}

// TestRestore brings into the log what an older release had stamped and left outside, once, however often it is tried.
func TestRestore(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	d := newDesk(t, s, &memoryLog{})
	events := storetest.Events("school-a", 1, 4)
	d.accept(t, events[:2]...)
	var waiting [][]byte
	for i, e := range events[2:] {
		leaf, err := audit.Entry{Event: e, ReceivedTime: storetest.Base, ControllerSequence: uint64(3 + i)}.Leaf()
		if err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, leaf)
	}
	d = newDesk(t, s, d.log)
	if err := d.Restore(context.Background(), waiting[:1]); err != nil { // and then it was killed
		t.Fatal(err)
	}
	d = newDesk(t, s, d.log)
	for range 2 {
		if err := d.Restore(context.Background(), waiting); err != nil {
			t.Fatal(err)
		}
	}
	if got := d.accept(t, events[3], storetest.Event("school-a", 5)); got[0].Status != audit.Duplicate || got[1].ControllerSequence != 5 {
		t.Errorf("afterwards: %+v", got)
	}
	requireSound(t, s, d.log, append(eventIDs(events), storetest.Event("", 5).ID))
	gap, err := audit.Entry{Event: storetest.Event("school-a", 9), ReceivedTime: storetest.Base, ControllerSequence: 8}.Leaf()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Restore(context.Background(), [][]byte{gap}); !errors.Is(err, audit.ErrDiverged) {
		t.Errorf("a number that does not follow: %v, want %v", err, audit.ErrDiverged)
	}
}
