package shards_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/storagetest"
	"github.com/privacyops/privacyops/services/audit/internal/tlog"
	"github.com/privacyops/privacyops/services/audit/logcheck"
)

var controllers = []audit.ControllerID{"school-a", "school-b", "school-c", ""}

// proved is a proof that was given at some time.
type proved struct {
	logcheck.Inclusion
	key note.Verifier
}

// model is what the log should hold.
type model struct {
	ids       map[audit.EventID]uint64 // every event that was accepted, and its controller's number
	sequences map[audit.ControllerID]uint64
	years     map[int]bool
	proofs    []proved
	restarts  int
	drops     int
	n         int
}

// TestYears lets years pass: at random, events come, the service starts again, also without its index, and years are dropped. In
// the end the index is what the model says, no number is missing, and every proof that was ever given is still one.
func TestYears(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			years(t, rand.New(rand.NewPCG(seed, 5)))
		})
	}
}

func years(t *testing.T, dice *rand.Rand) {
	dir, clock := storagetest.Folder(t), &wallClock{now: time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)}
	m := &model{ids: map[audit.EventID]uint64{}, sequences: map[audit.ControllerID]uint64{}, years: map[int]bool{}}
	d, err := openDesk(dir, clock, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 24 {
		switch dice.IntN(6) {
		case 0, 1, 2:
			m.accept(t, d, dice)
		case 3:
			clock.set(clock.Now().Add(time.Duration(dice.IntN(400*24)) * time.Hour))
			m.accept(t, d, dice)
		case 4:
			m.restart(t, &d, dice)
		case 5:
			d.retention.Years = 1 + dice.IntN(2)
			n, err := d.retention.Run(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			m.drops += n
		}
	}
	m.restart(t, &d, dice)
	m.check(t, d)
	if err := d.close(); err != nil {
		t.Error(err)
	}
	t.Logf("%d events, %d years, %d starts, %d dropped, %d proofs", len(m.ids), len(m.years), m.restarts, m.drops, len(m.proofs))
}

func (m *model) accept(t *testing.T, d *desk, dice *rand.Rand) {
	t.Helper()
	var events []audit.Event
	for range 1 + dice.IntN(6) {
		m.n++
		events = append(events, event(m.n, controllers[dice.IntN(len(controllers))], d.clock.Now()))
	}
	receipts, err := d.recorder.Accept(context.Background(), events)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range receipts {
		c := events[i].Controller
		if c != "" && r.ControllerSequence != m.sequences[c]+1 { // the suite's own events are between the others of ""
			t.Fatalf("%s: number %d after %d", c, r.ControllerSequence, m.sequences[c])
		}
		if r.ControllerSequence <= m.sequences[c] {
			t.Fatalf("%s: number %d after %d", c, r.ControllerSequence, m.sequences[c])
		}
		m.sequences[c], m.ids[r.ID] = r.ControllerSequence, r.ControllerSequence
		m.years[r.ReceivedTime.Year()] = true
	}
	last := events[len(events)-1]
	in, key, err := d.prove(last.Controller, last.ID)
	if err != nil {
		t.Fatalf("proof: %v", err)
	}
	m.proofs = append(m.proofs, proved{in, key})
	again, err := d.recorder.Accept(context.Background(), events[:1])
	if err != nil || again[0].Status != audit.Duplicate {
		t.Fatalf("reported again: %v %v", again, err)
	}
}

// restart ends the service and starts it again, sometimes without its index.
func (m *model) restart(t *testing.T, d **desk, dice *rand.Rand) {
	t.Helper()
	before := (*d).rows(t)
	if err := (*d).close(); err != nil {
		t.Fatal(err)
	}
	if dice.IntN(2) == 0 {
		files, _ := filepath.Glob(filepath.Join((*d).dir, "audit.db*"))
		for _, f := range files {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.restarts++
	var err error
	if *d, err = openDesk((*d).dir, (*d).clock, nil); err != nil {
		t.Fatal(err)
	}
	after := (*d).rows(t)
	if len(after) != len(before) {
		t.Fatalf("%d rows after a start, %d before", len(after), len(before))
	}
	for i := range after {
		if after[i].Index != before[i].Index || string(after[i].Leaf) != string(before[i].Leaf) {
			t.Fatalf("another row at %d", after[i].Index)
		}
	}
}

func (m *model) check(t *testing.T, d *desk) {
	t.Helper()
	d.requireSound(t)
	parts, err := d.log.Shards(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	first := uint64(0)
	for i, s := range parts {
		if s.First != first || s.Sealed != (i < len(parts)-1) {
			t.Errorf("shard %d begins at %d and not at %d, or is sealed too early", s.Year, s.First, first)
		}
		first = s.End()
	}
	if len(parts) != max(1, len(m.years)) {
		t.Errorf("%d shards of %d years", len(parts), len(m.years))
	}
	found := map[audit.EventID]bool{}
	last := map[audit.ControllerID]uint64{}
	for _, row := range d.rows(t) {
		e, err := audit.ParseLeaf(row.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		if l := last[e.Controller]; l != 0 && e.ControllerSequence != l+1 {
			t.Errorf("%s: number %d after %d", e.Controller, e.ControllerSequence, l)
		}
		last[e.Controller] = e.ControllerSequence
		if found[e.ID] {
			t.Errorf("the event %s is there twice", e.ID)
		}
		found[e.ID] = true
		if _, ours := m.ids[e.ID]; !ours && e.Action != audit.OpenAction && e.Action != audit.DropAction {
			t.Errorf("an event that nobody reported: %s", e.ID)
		}
	}
	if m.drops == 0 {
		for id := range m.ids {
			if !found[id] {
				t.Errorf("%s is lost", id)
			}
		}
	}
	for _, p := range m.proofs {
		if err := p.Check(p.key); err != nil {
			t.Errorf("an old proof: %v", err)
		}
	}
}

// TestDroppedSaysSo asks for what is in a dropped shard.
func TestDroppedSaysSo(t *testing.T) {
	t.Parallel()
	dir, clock := storagetest.Folder(t), &wallClock{now: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}
	d, err := openDesk(dir, clock, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for i := range 4 {
		clock.set(time.Date(2026+i, 6, 1, 0, 0, 0, 0, time.UTC))
		if _, err := d.recorder.Accept(ctx, []audit.Event{event(i, "school-a", clock.Now())}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := d.retention.Run(ctx); n != 0 || err != nil {
		t.Fatalf("without a period: dropped %d, %v", n, err)
	}
	d.retention.Years = 1
	if n, err := d.retention.Run(ctx); n != 2 || err != nil { // of 2026 and 2027
		t.Fatalf("dropped %d, %v", n, err)
	}
	if _, err := d.log.Inclusion(ctx, 0); !errors.Is(err, audit.ErrDropped) {
		t.Errorf("a proof: %v", err)
	}
	if _, err := d.log.Leaves(ctx, 0, 1); !errors.Is(err, audit.ErrDropped) {
		t.Errorf("leaves: %v", err)
	}
	for year, want := range map[int]error{0: audit.ErrDropped, 2027: audit.ErrDropped, 2028: nil, 2029: nil, 2030: audit.ErrNotFound} {
		if _, err := d.log.Checkpoint(ctx, year); !errors.Is(err, want) {
			t.Errorf("checkpoint of %d: %v", year, err)
		}
	}
	if _, _, err := d.prove("school-a", event(0, "school-a", clock.Now()).ID); !errors.Is(err, audit.ErrDropped) {
		t.Errorf("the proof of a dropped entry: %v", err)
	}
	if _, _, err := d.prove("school-a", "ff000000-0000-7000-8000-000000000000"); !errors.Is(err, audit.ErrNotFound) {
		t.Errorf("the proof of an entry that never was: %v", err)
	}
	page, err := d.reader.Search(ctx, audit.Query{Controller: "school-a", Limit: 10})
	if err != nil || len(page) != 2 {
		t.Errorf("a search that reaches back: %d entries, %v", len(page), err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "log", "shards", "2027", "*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "tombstone" {
		t.Errorf("left of 2027: %v", left)
	}
	d.requireSound(t)
	if err := d.close(); err != nil {
		t.Error(err)
	}
	raw, err := os.ReadFile(left[0])
	if err != nil {
		t.Fatal(err)
	}
	forged := append([]byte(nil), raw...)
	forged[len("privacyops.audit.tombstone.v1\norigin audit.test/log/2027\nsize ")]++
	if err := os.WriteFile(left[0], forged, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openDesk(dir, clock, nil); !errors.Is(err, tlog.ErrTampered) {
		t.Errorf("with a forged tombstone: %v", err)
	}
}
