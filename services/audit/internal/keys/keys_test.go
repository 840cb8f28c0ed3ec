package keys_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
	"github.com/privacyops/privacyops/services/audit/internal/keystore"
)

const school = audit.ControllerID("school-a")

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func ring() *keyring.Keyring {
	k, err := keyring.New(bytes.Repeat([]byte{7}, keyring.KeySize))
	if err != nil {
		panic(err)
	}
	return k
}

// uuid is the n-th id of a test.
func uuid(n int) audit.EventID {
	return audit.EventID(fmt.Sprintf("019f2c1e-7b60-7c4d-9a31-%012x", n))
}

// world is keys on a real store, with a log that takes and finds events in memory.
type world struct {
	t         *testing.T
	file      string
	clock     *clock.Fake
	keys      *keys.Keys
	store     *keystore.Store
	destroyer *keys.Destroyer
	log       *memoryLog
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, file: filepath.Join(t.TempDir(), "keys.db"), clock: clock.NewFake(start), log: &memoryLog{}}
	w.open()
	return w
}

// open opens the keys, as a start of the service does.
func (w *world) open() {
	w.t.Helper()
	db, err := sqldb.Open(context.Background(), sqldb.Config{URL: "sqlite:" + w.file})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = db.Close() })
	if w.store, err = keystore.Open(context.Background(), db); err != nil {
		w.t.Fatal(err)
	}
	w.keys = keys.New(keys.Config{Store: w.store, Keyring: ring(), Clock: w.clock, NewID: func() string { return string(uuid(0xffff + len(w.log.records))) }})
	w.destroyer = keys.NewDestroyer(w.keys, w.log, "audit")
}

// memoryLog holds sealed entries, the oldest first.
type memoryLog struct {
	mu      sync.Mutex
	fault   error
	records []audit.Record
}

func (l *memoryLog) Accept(_ context.Context, events []audit.Event) ([]audit.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault != nil {
		return nil, l.fault
	}
	for _, e := range events {
		if !slices.ContainsFunc(l.records, func(r audit.Record) bool { return r.ID == e.ID }) {
			n := uint64(len(l.records) + 1)
			l.records = append(l.records, audit.Record{Entry: audit.Entry{Event: e, ReceivedTime: start.Add(time.Duration(n) * time.Second), ControllerSequence: n}})
		}
	}
	return make([]audit.Receipt, len(events)), nil
}

func (l *memoryLog) Get(_ context.Context, c audit.ControllerID, id audit.EventID) (audit.Record, error) {
	for _, r := range l.records {
		if one, found := r.Of(id); found && r.Controller == c {
			return one, nil
		}
	}
	return audit.Record{}, audit.ErrNotFound
}

// Search finds as the real index does: sealed entries whatever resource is asked for.
func (l *memoryLog) Search(_ context.Context, q audit.Query) (out []audit.Record, err error) {
	people := q.Persons()
	for _, r := range slices.Backward(l.records) {
		named := slices.ContainsFunc(audit.KeysOf(r.Entry).People, func(id audit.KeyID) bool { return slices.Contains(people, id) })
		behind := q.After.IsZero() || r.ControllerSequence < q.After.ControllerSequence || r.ControllerSequence == q.After.ControllerSequence && q.After.Place > 0
		f := q.Filter
		if r.IsSealed() {
			f.Resource = ""
		}
		if len(out) < q.Limit && r.Controller == q.Controller && behind && (len(people) == 0 || named || r.Batch != nil) && (r.Batch != nil || f.Fits(r.Event)) {
			out = q.Unfold(out, r, q.Limit-len(out))
		}
	}
	return out, nil
}

// about is an event about people.
func (w *world) about(n int, refs ...audit.SubjectRef) audit.Event {
	return audit.Event{ID: uuid(n), Controller: school, Service: "erasure", Actor: audit.Actor{Kind: audit.ActorCaller, Ref: "usr_1"},
		Action: "consent.withdraw", Kind: audit.KindModify, Resource: fmt.Sprintf("controllers/school-a/consents/%d", n), SubjectRefs: refs,
		Outcome: audit.OutcomeOK, OccurredTime: w.clock.Now(), Detail: map[string]string{"canary": fmt.Sprintf("canary-%d", n)},
		AfterDigest: strings.Repeat("ab", 32)}
}

// record seals events and puts them into the log.
func (w *world) record(events ...audit.Event) []audit.Event {
	w.t.Helper()
	sealed, err := w.keys.Seal(context.Background(), events)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range sealed {
		if err := e.Validate(); err != nil {
			w.t.Fatal(err)
		}
	}
	if _, err := w.log.Accept(context.Background(), sealed); err != nil {
		w.t.Fatal(err)
	}
	return sealed
}

func (w *world) search(q audit.Query) []audit.Record {
	w.t.Helper()
	q.Controller = school
	if q.Limit == 0 {
		q.Limit = 100
	}
	page, err := keys.NewReader(w.keys, w.log).Search(context.Background(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return page.Records
}

func (w *world) destroy(refs ...audit.SubjectRef) int {
	w.t.Helper()
	n, err := w.destroyer.Subjects(context.Background(), school, refs, keys.Cause{Resource: "controllers/school-a/erasures/9", Service: "erasure"})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestSealedEventsAreFoundAndRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second, open := w.about(1, "sub_b", "sub_a", "sub_a"), w.about(2, "sub_b"), w.about(3)
	sealed := w.record(first, second, open)
	if raw := fmt.Sprintf("%s %+v", sealed[0].Sealed, sealed[:2]); strings.Contains(raw, "sub_") || strings.Contains(raw, "canary") || strings.Contains(raw, "consents/") {
		t.Errorf("a sealed event shows %s", raw)
	}
	if !cmp.Equal(sealed[2], open, cmpopts.EquateEmpty()) {
		t.Error("an event that names nobody was changed")
	}
	if len(sealed[0].People) != 2 || len(sealed[1].People) != 1 || !slices.Contains(sealed[0].People, sealed[1].People[0]) {
		t.Errorf("people %v and %v", sealed[0].People, sealed[1].People)
	}
	found := w.search(audit.Query{SubjectRefs: []audit.SubjectRef{"sub_a"}})
	if len(found) != 1 || !cmp.Equal(found[0].Event, first) || found[0].Erased {
		t.Errorf("found %+v", found)
	}
	if n := len(w.search(audit.Query{SubjectRefs: []audit.SubjectRef{"sub_a", "sub_b"}})); n != 2 {
		t.Errorf("two people are in %d events", n)
	}
	if n := len(w.search(audit.Query{SubjectRefs: []audit.SubjectRef{"sub_c"}})); n != 0 {
		t.Errorf("somebody unknown is in %d events", n)
	}
	found = w.search(audit.Query{Filter: audit.Filter{Resource: second.Resource}})
	if len(found) != 1 || found[0].ID != second.ID {
		t.Errorf("by resource: %+v", found)
	}
}

// TestAnErasureIsFoundAfterIt: the events of an erasure are its proof. They are found by its name when nobody can be read in them.
func TestAnErasureIsFoundAfterIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	approval := w.about(1, "sub_a")
	approval.Action, approval.Resource = "erasure.approve", "controllers/school-a/erasures/019f2c1e-0000-7000-8000-000000000001"
	w.record(approval)
	w.destroy("sub_a")
	found := w.search(audit.Query{Filter: audit.Filter{Resource: approval.Resource}})
	if len(found) != 1 || !found[0].Erased || found[0].Action != "erasure.approve" || found[0].Resource != approval.Resource || found[0].SubjectRefs != nil || found[0].Detail != nil {
		t.Errorf("found %+v", found)
	}
}

func TestErasedEventsStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(w.about(1, "sub_a", "sub_b"), w.about(2, "sub_b"))
	if n := w.destroy("sub_a", "sub_unknown"); n != 1 {
		t.Errorf("destroyed %d keys", n)
	}
	if n := len(w.search(audit.Query{SubjectRefs: []audit.SubjectRef{"sub_a"}})); n != 0 {
		t.Errorf("the erased person is in %d events", n)
	}
	all := w.search(audit.Query{})
	if len(all) != 3 { // with the destruction
		t.Fatalf("found %d", len(all))
	}
	erased := all[2]
	if !erased.Erased || erased.Resource != "" || erased.SubjectRefs != nil || erased.Detail != nil || erased.AfterDigest != "" || erased.Actor.Ref != "usr_1" {
		t.Errorf("the entry shows %+v", erased)
	}
	if all[1].Erased || !cmp.Equal(all[1].SubjectRefs, []audit.SubjectRef{"sub_b"}) {
		t.Errorf("another person's entry shows %+v", all[1])
	}
	said := all[0]
	ids, whole, err := keys.Destroyed(said.Event)
	if err != nil || whole || len(ids) != 1 || said.Action != keys.DestroyAction || said.Kind != audit.KindKeyUse ||
		said.Resource != "controllers/school-a/erasures/9" || said.Actor.Ref != "erasure" || len(said.SubjectRefs) != 0 || said.Validate() != nil {
		t.Errorf("the destruction's entry is %+v (%v)", said, err)
	}
	if n := w.destroy("sub_a"); n != 0 || len(w.log.records) != 3 {
		t.Errorf("destroyed again: %d keys, %d entries", n, len(w.log.records))
	}
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	batch := audit.Event{ID: uuid(1), Controller: school, Service: "consent", Actor: audit.Actor{Kind: audit.ActorService, Ref: "consent"},
		Action: audit.DecisionAction, Kind: audit.KindDecision, Outcome: audit.OutcomeOK, OccurredTime: w.clock.Now(),
		Batch: &audit.Batch{Actors: []audit.Actor{{Kind: audit.ActorCaller, Ref: "usr_1"}}, Texts: []string{"homework", "CONSENT"}}}
	for i, ref := range []audit.SubjectRef{"sub_a", "sub_b", "sub_a"} {
		raw := bytes.Repeat([]byte{byte(i + 1)}, 16)
		raw[6], raw[8] = 0x70, 0x80
		batch.Batch.Decisions = append(batch.Batch.Decisions, audit.Decision{ID: raw, SubjectRefs: []audit.SubjectRef{ref}, Reason: 1, Consent: raw})
	}
	sealed := w.record(batch)[0]
	leaf, err := audit.Entry{Event: sealed, ReceivedTime: start, ControllerSequence: 1}.Leaf()
	if err != nil || bytes.Contains(leaf, []byte("sub_")) {
		t.Fatalf("%s (%v)", leaf, err)
	}
	if back, err := audit.ParseLeaf(leaf); err != nil || !cmp.Equal(back.Event, sealed, cmpopts.EquateEmpty()) {
		t.Errorf("read back: %v\n%s", err, cmp.Diff(back.Event, sealed))
	}
	if found := w.search(audit.Query{SubjectRefs: []audit.SubjectRef{"sub_a"}}); len(found) != 2 || !cmp.Equal(found[0].SubjectRefs, []audit.SubjectRef{"sub_a"}) || found[0].Detail["consent"] == "" {
		t.Errorf("found %+v", found)
	}
	w.destroy("sub_a")
	if found := w.search(audit.Query{SubjectRefs: []audit.SubjectRef{"sub_a"}}); len(found) != 0 {
		t.Errorf("still found: %+v", found)
	}
	for _, r := range w.search(audit.Query{Filter: audit.Filter{Action: audit.DecisionAction}}) {
		if mine := cmp.Equal(r.SubjectRefs, []audit.SubjectRef{"sub_b"}); r.Erased == mine || r.Erased && r.Detail["consent"] != "" {
			t.Errorf("shown: %+v", r)
		}
	}
}

// TestLateEvents: what happened before a destruction brings nobody back, however late it comes; what happens afterwards is a new matter.
func TestLateEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	late := w.about(1, "sub_a")
	w.destroy("sub_a") // who has no key yet is marked all the same
	w.clock.Advance(24 * time.Hour)
	w.record(late)
	if found := w.search(audit.Query{SubjectRefs: []audit.SubjectRef{"sub_a"}}); len(found) != 0 {
		t.Errorf("a late event is found: %+v", found)
	}
	if all := w.search(audit.Query{}); len(all) != 1 || !all[0].Erased {
		t.Errorf("a late event is shown: %+v", all)
	}
	w.record(w.about(2, "sub_a"))
	if found := w.search(audit.Query{SubjectRefs: []audit.SubjectRef{"sub_a"}}); len(found) != 1 || found[0].Erased {
		t.Errorf("a new event is not found: %+v", found)
	}
}

// TestCrashAfterDestroying: the entry comes later, once.
func TestCrashAfterDestroying(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(w.about(1, "sub_a"))
	w.log.fault = errors.New("away")
	if _, err := w.destroyer.Subjects(context.Background(), school, []audit.SubjectRef{"sub_a"}, keys.Cause{Resource: "controllers/school-a/erasures/9", Service: "erasure"}); err == nil {
		t.Fatal("a destruction without its entry is a success")
	}
	if all := w.search(audit.Query{}); len(all) != 1 || !all[0].Erased {
		t.Errorf("it is undone: %+v", all)
	}
	w.log.fault = nil
	w.open() // the process died
	for range 2 {
		if err := w.destroyer.Finish(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if said := w.search(audit.Query{Filter: audit.Filter{Action: keys.DestroyAction}}); len(said) != 1 {
		t.Errorf("the destruction has %d entries", len(said))
	}
}

// TestRestoredKeysAreDestroyedAgain takes a backup, erases, and puts the backup back.
func TestRestoredKeysAreDestroyedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(w.about(1, "sub_a"), w.about(2, "sub_b"), w.about(3, "sub_c"))
	w.destroy("sub_c")
	if err := w.store.Scrub(context.Background()); err != nil { // all is in the file
		t.Fatal(err)
	}
	backup, err := os.ReadFile(w.file)
	if err != nil {
		t.Fatal(err)
	}
	w.destroy("sub_a")
	w.file = filepath.Join(t.TempDir(), "keys.db")
	if err := os.WriteFile(w.file, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	w.open()
	if len(w.search(audit.Query{SubjectRefs: []audit.SubjectRef{"sub_a"}})) != 1 {
		t.Fatal("the backup has no key: the test tests nothing")
	}
	for range 2 {
		if _, err := w.destroyer.Replay(context.Background(), w.log); err != nil {
			t.Fatal(err)
		}
	}
	for ref, want := range map[audit.SubjectRef]int{"sub_a": 0, "sub_b": 1, "sub_c": 0} {
		if found := w.search(audit.Query{SubjectRefs: []audit.SubjectRef{ref}}); len(found) != want {
			t.Errorf("%s: %d events, want %d", ref, len(found), want)
		}
	}
	if n := len(w.log.records); n != 5 {
		t.Errorf("the log has %d entries", n)
	}
}

func TestAControllersEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(w.about(1, "sub_a"), w.about(2, "sub_b"))
	end := keys.Cause{Resource: "controllers/school-a/termination", Service: "erasure"}
	for _, want := range []bool{true, false} {
		if done, err := w.destroyer.Controller(context.Background(), school, end); err != nil || done != want {
			t.Fatalf("destroyed: %t, %v", done, err)
		}
	}
	late := w.about(3, "sub_d")
	w.record(late)
	all := w.search(audit.Query{})
	if len(all) != 4 || !all[0].Erased || all[1].Action != keys.DestroyAction || !all[2].Erased || !all[3].Erased {
		t.Errorf("shown: %+v", all)
	}
}

// TestSearchByResourceGoesOn: what a call cannot open is left to the next one.
func TestSearchByResourceGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var events []audit.Event
	for n := range 700 {
		e := w.about(n+1, "sub_a")
		e.Resource = fmt.Sprintf("controllers/school-a/consents/%d", n%350)
		events = append(events, e)
	}
	w.record(events...)
	q := audit.Query{Controller: school, Filter: audit.Filter{Resource: "controllers/school-a/consents/7"}, Limit: 1}
	var got []audit.EventID
	for range 5 {
		page, err := keys.NewReader(w.keys, w.log).Search(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			got = append(got, r.ID)
		}
		if q.After = page.Next; q.After.IsZero() {
			break
		}
	}
	if want := []audit.EventID{uuid(358), uuid(8)}; !cmp.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
}
