package monitor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kept is a store in memory.
type kept struct {
	memory    *Memory
	alerts    map[AlertID]Alert
	sent      []string
	published map[Published]time.Duration
	broken    error
}

func (k *kept) Load(_ context.Context, now time.Time) (*Memory, error) {
	if k.memory == nil {
		k.memory, k.alerts, k.published = newMemory(), map[AlertID]Alert{}, map[Published]time.Duration{}
		k.memory.Since = now
	}
	m := *k.memory
	m.Groups, m.Heads, m.Heard = maps.Clone(m.Groups), maps.Clone(m.Heads), maps.Clone(m.Heard)
	return &m, nil
}

func (k *kept) Keep(_ context.Context, s Step, to func(Alert) []string, published map[Published]time.Duration) error {
	if k.broken != nil {
		return k.broken
	}
	k.memory.Apply(s)
	for _, a := range s.Raised {
		k.alerts[a.ID] = a
		k.sent = append(k.sent, to(a)...)
	}
	for _, a := range s.Counted {
		k.alerts[a.ID] = a
	}
	maps.Copy(k.published, published)
	return nil
}

func (k *kept) Forget(_ context.Context, groups []Group) error {
	for _, g := range groups {
		delete(k.memory.Groups, g)
	}
	return nil
}

func (k *kept) Hear(_ context.Context, heard map[string]time.Time) error {
	k.memory.Heard = heard
	return nil
}

// listed is a feed of what is in it.
type listed []Entry

func (l listed) Next(_ context.Context, after Position, limit int) ([]Entry, error) {
	rest := l[min(len(l), int(after)):]
	return rest[:min(len(rest), limit)], nil
}

type fixture struct {
	clock  *clock.Fake
	store  *kept
	stream *stream
	feed   listed
	lag    time.Duration
	blind  error // why the log cannot be read
	told   int
}

func newFixture() *fixture {
	return &fixture{clock: clock.NewFake(base), store: &kept{}, stream: newStream(nil)}
}

func (f *fixture) Next(ctx context.Context, after Position, limit int) ([]Entry, error) {
	if f.blind != nil {
		return nil, f.blind
	}
	return f.feed.Next(ctx, after, limit)
}

func (f *fixture) monitor(t *testing.T) *Monitor {
	t.Helper()
	m, err := New(t.Context(), f.config())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (f *fixture) config() Config {
	n := len(f.store.alerts)
	return Config{Feed: f, Store: f.store, Rules: Rules(), Clock: f.clock, Logger: slog.New(slog.DiscardHandler),
		NewID: func() string { n++; return fmt.Sprint("alert-", n) }, Lag: func(context.Context) (time.Duration, error) { return f.lag, f.blind },
		To:     func(a Alert) []string { return []string{a.Rule} },
		Raised: func(_ context.Context, alerts []Alert) { f.told += len(alerts) }}
}

func (f *fixture) happens(rule string, n int) {
	for range n {
		o, _ := example(rule, f.clock.Now())
		f.feed = append(f.feed, f.stream.entry(o))
	}
}

func step(t *testing.T, m *Monitor) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = m.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPublicationLag: a log that takes longer than 30 seconds to publish raises an alert though no event can say so.
func TestPublicationLag(t *testing.T) {
	t.Parallel()
	f := newFixture()
	m := f.monitor(t)
	f.lag = 30 * time.Second
	step(t, m)
	if len(f.store.alerts) != 0 {
		t.Fatalf("after 30 s: %+v", f.store.alerts)
	}
	f.lag += time.Second
	f.clock.Advance(lagEvery)
	step(t, m)
	if len(f.store.alerts) != 1 || f.store.alerts["alert-1"].Rule != PublicationLag || f.told != 1 || len(f.store.sent) != 1 {
		t.Errorf("after 31 s: %+v, told %d, sent %v", f.store.alerts, f.told, f.store.sent)
	}
}

// TestUnreadableLog: a log that cannot be read says nothing, and after 30 seconds that is told of, once, and what services show besides
// their events goes on being judged. What is in the log is judged when it can be read again.
func TestUnreadableLog(t *testing.T) {
	t.Parallel()
	f := newFixture()
	m := f.monitor(t)
	f.blind = errors.New("no such device")
	f.happens(SelfApproval, 1)
	for range 13 {
		f.clock.Advance(lagEvery)
		if _, err := m.Step(t.Context()); !errors.Is(err, f.blind) {
			t.Fatalf("a step: %v", err)
		}
		if waited := f.clock.Now().Sub(base); (f.told == 1) != (waited > maxLag) {
			t.Fatalf("after %v told of %d alerts", waited, f.told)
		}
	}
	m.Hear(Sign{Service: "consent", Sent: f.clock.Now().Add(time.Hour)})
	_, _ = m.Step(t.Context())
	f.blind = nil
	step(t, m)
	counts := map[string]int64{}
	for _, a := range f.store.alerts {
		counts[a.Rule] += a.Count
	}
	if want := map[string]int64{PublicationLag: 1, ClockSkew: 1, SelfApproval: 1}; !maps.Equal(counts, want) {
		t.Errorf("raised: %v, want %v", counts, want)
	}
}

// TestExactlyOnce: a step that is not kept is judged again, and one that is kept is not, also by another monitor.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	f := newFixture()
	m := f.monitor(t)
	f.happens(ForeignDenials, 5)
	step(t, m)
	f.store.broken = errors.New("the database is away")
	f.happens(ForeignDenials, 1)
	m.Hear(Sign{Service: "consent", Sent: f.clock.Now().Add(time.Hour)})
	for range 3 {
		if _, err := m.Step(t.Context()); !errors.Is(err, f.store.broken) {
			t.Fatal(err)
		}
	}
	if f.told != 0 {
		t.Errorf("told of %d alerts that were not kept", f.told)
	}
	f.store.broken = nil
	step(t, m)
	step(t, m)
	m = f.monitor(t) // a restart
	step(t, m)
	counts := map[string]int64{}
	for _, a := range f.store.alerts {
		counts[a.Rule] += a.Count
	}
	if len(counts) != 2 || counts[ForeignDenials] != 6 || counts[ClockSkew] != 1 || f.told != 2 {
		t.Errorf("raised: %v, told of %d", counts, f.told)
	}
	f.happens(ForeignDenials, 1)
	step(t, m)
	total := int64(0)
	for _, a := range f.store.alerts {
		total += a.Count
	}
	if len(f.store.alerts) != 2 || total != 8 {
		t.Errorf("after the restart it is not counted on: %+v", f.store.alerts)
	}
}

// TestManyEntries: all are judged in one go, and how long they took is noted by the hour.
func TestManyEntries(t *testing.T) {
	t.Parallel()
	f := newFixture()
	m := f.monitor(t)
	f.happens(SelfApproval, stepEntries+1)
	f.clock.Advance(1500 * time.Millisecond)
	step(t, m)
	if a := f.store.alerts["alert-1"]; a.Count != stepEntries+1 || len(a.Events) != MaxEvents {
		t.Errorf("raised: %+v", f.store.alerts)
	}
	if got := f.store.published[Published{"north", base.Unix() / 3600}]; got != 1500*time.Millisecond {
		t.Errorf("published after %v", got)
	}
}

func TestForgetting(t *testing.T) {
	t.Parallel()
	f := newFixture()
	m := f.monitor(t)
	f.happens(SelfApproval, 1)
	step(t, m)
	f.clock.Advance(2 * time.Hour)
	step(t, m)
	if len(f.store.memory.Groups) != 0 || len(m.memory.Groups) != 0 {
		t.Errorf("remembered: %+v", f.store.memory.Groups)
	}
}

// rows is an index.
type rows []audit.Row

func (r rows) Window(_ context.Context, from uint64, limit int) ([]audit.Row, error) {
	rest := r[min(len(r), int(from)):]
	return rest[:min(len(rest), limit)], nil
}

// TestFollow: entries come once they are published, also one whose leaf was altered.
func TestFollow(t *testing.T) {
	t.Parallel()
	index := rows{}
	for i := range 3 {
		e := audit.Entry{ReceivedTime: base, ControllerSequence: uint64(i + 1), Event: audit.Event{ID: audit.EventID(fmt.Sprint(i)), Controller: "north"}}
		index = append(index, audit.Row{Index: uint64(i), Leaf: []byte("altered"), Keys: audit.KeysOf(e)})
	}
	size := uint64(2)
	feed := Follow(index, func(context.Context) (uint64, error) { return size, nil })
	for after, want := range map[Position]int{0: 2, 1: 1, 2: 0, 9: 0} {
		got, err := feed.Next(t.Context(), after, 10)
		if err != nil || len(got) != want || want > 0 && (got[0].Position != after+1 || got[0].Controller != "north" || got[0].ControllerSequence != uint64(after+1)) {
			t.Errorf("after %d: %+v, %v", after, got, err)
		}
	}
	size = 3
	if got, err := feed.Next(t.Context(), 2, 10); err != nil || len(got) != 1 {
		t.Errorf("once it is published: %+v, %v", got, err)
	}
}

// TestFollowRecent: entries that the index got a moment ago come without reading it, once they are published and each once; what was
// not handed over, or too long ago, comes from the index.
func TestFollowRecent(t *testing.T) {
	t.Parallel()
	const all = 3 * recentEntries
	index := make(rows, all)
	handed := make([]audit.Placed, all)
	for i := range index {
		e := audit.Entry{ReceivedTime: base, ControllerSequence: uint64(i + 1), Event: audit.Event{ID: audit.EventID(fmt.Sprint(i)), Controller: "north",
			People: []audit.KeyID{{1}}, Sealed: []byte("sealed"), Detail: map[string]string{"by": "hand"}}}
		handed[i] = audit.Placed{Entry: e, Index: uint64(i)}
		e.Detail = nil
		index[i] = audit.Row{Index: uint64(i), Leaf: []byte("read"), Keys: audit.KeysOf(e)}
	}
	size := uint64(0)
	feed := Follow(index, func(context.Context) (uint64, error) { return size, nil })
	next := func(after Position, published uint64) (n int, byHand int) {
		t.Helper()
		size = published
		got, err := feed.Next(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range got {
			if e.Position != after+Position(i)+1 || e.ControllerSequence != uint64(e.Position) || uint64(e.Position) > published || e.Sealed != nil || e.Batch != nil {
				t.Fatalf("after %d, at %d: %+v", after, i, e)
			}
			byHand += len(e.Detail)
		}
		return len(got), byHand
	}
	feed.Take(handed[10:20])
	for _, step := range []struct {
		name      string
		take      []audit.Placed
		after     Position
		published uint64
		n, byHand int
	}{
		{"before those handed over", nil, 0, 10, 10, 0},
		{"none is published", nil, 10, 10, 0, 0},
		{"some are", nil, 10, 15, 5, 5},
		{"once more", nil, 10, 15, 5, 5},
		{"the rest", nil, 15, 20, 5, 5},
		{"more than were handed over", nil, 18, 25, 2, 2},
		{"when there is a gap", handed[22:25], 18, 25, 7, 0},
		{"behind the gap", nil, 22, 25, 3, 3},
		{"what was not handed over", nil, 25, 30, 5, 0},
		{"before what was", handed[30:40], 25, 40, 15, 0},
		{"on from there", nil, 30, 40, 10, 10},
		{"a step at most", handed[40:5000], 40, 5000, 1000, 1000},
		{"too long ago", handed[5000:], 1040, all, 1000, 0},
		{"the last", nil, all - 10, all, 10, 10},
	} {
		feed.Take(step.take)
		if n, byHand := next(step.after, step.published); n != step.n || byHand != step.byHand {
			t.Errorf("%s: %d entries, %d of them handed over; want %d and %d", step.name, n, byHand, step.n, step.byHand)
		}
	}
}
