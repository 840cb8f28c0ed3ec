package keystore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
	"github.com/privacyops/privacyops/services/audit/internal/keystore"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

var base = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func open(t *testing.T, engine sqldb.Engine) *keystore.Store {
	t.Helper()
	s, err := keystore.Open(context.Background(), enginetest.Open(t, enginetest.URL(t, engine), nil))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func id(n int) (out audit.KeyID) {
	out[0], out[14], out[15] = 0xee, byte(n>>8), byte(n)
	return out
}

// fresh are keys of people n, n+1, … of which each has its own mark.
func fresh(from, n int, at time.Time) (out []keys.Fresh) {
	for i := from; i < from+n; i++ {
		ref := audit.SubjectRef(fmt.Sprintf("sub_%04d", i))
		out = append(out, keys.Fresh{Row: keys.Row{ID: id(i), Ref: ref, Wrapped: fmt.Appendf(nil, "wrapped-key-%04d", i)}, Mark: "mark/" + string(ref), Before: at})
	}
	return out
}

func refs(people []keys.Fresh) (out []audit.SubjectRef) {
	for _, p := range people {
		out = append(out, p.Ref)
	}
	return out
}

func marked(people []keys.Fresh) (out []keys.Marked) {
	for _, p := range people {
		out = append(out, keys.Marked{Ref: p.Ref, Mark: p.Mark})
	}
	return out
}

func destruction(n int) keys.Destruction {
	return keys.Destruction{Event: audit.EventID(fmt.Sprintf("event-%d", n)), Controller: "a", Time: base,
		Cause: keys.Cause{Resource: "controllers/a/erasures/1", Service: "erasure"}}
}

// TestConformance is what keys.Store promises, on both engines.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T, *keystore.Store){
		"create and find": createAndFind, "races": races, "destroy": destroy, "marks": marks, "controller": controller, "recording": recording,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
				s := open(t, engine)
				under, err := s.ControllerKey(context.Background(), "a", []byte("over-a"), base)
				if err != nil || string(under) != "over-a" {
					t.Fatalf("%q, %v", under, err)
				}
				test(t, s)
			})
		})
	}
}

func create(t *testing.T, s *keystore.Store, people []keys.Fresh) map[audit.SubjectRef]audit.KeyID {
	t.Helper()
	ids, err := s.Create(context.Background(), "a", []byte("over-a"), "mark/", people)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func createAndFind(t *testing.T, s *keystore.Store) {
	ctx := context.Background()
	people := fresh(0, 333, base) // more than one statement takes
	made := create(t, s, people)
	found, err := s.Find(ctx, "a", refs(people))
	if err != nil || len(found) != 333 || !cmp.Equal(made, found) || found["sub_0007"] != id(7) {
		t.Fatalf("made %d, found %d, %v", len(made), len(found), err)
	}
	if other, err := s.Find(ctx, "b", refs(people)); err != nil || len(other) != 0 {
		t.Errorf("another controller finds %d (%v)", len(other), err)
	}
	rows, err := s.Get(ctx, "a", []audit.KeyID{id(3), id(300), id(3), id(999)})
	slices.SortFunc(rows, func(x, y keys.Row) int { return bytes.Compare(x.ID[:], y.ID[:]) })
	if want := []keys.Row{people[3].Row, people[300].Row}; err != nil || !cmp.Equal(want, rows) {
		t.Errorf("got %v, %v", rows, err)
	}
	if rows, err := s.Get(ctx, "b", []audit.KeyID{id(3)}); err != nil || len(rows) != 0 {
		t.Errorf("another controller gets %v (%v)", rows, err)
	}
}

func races(t *testing.T, s *keystore.Store) {
	first := create(t, s, fresh(1, 2, base))
	again := fresh(1, 3, base)
	for i := range again {
		again[i].ID = id(500 + i)
	}
	ids := create(t, s, again)
	if ids["sub_0001"] != first["sub_0001"] || ids["sub_0002"] != first["sub_0002"] || ids["sub_0003"] != id(502) {
		t.Errorf("a second key took the place of a first one: %v", ids)
	}
	if _, err := s.Create(context.Background(), "a", []byte("another key"), "mark/", again); !errors.Is(err, keys.ErrGone) {
		t.Errorf("keys under a key that is not the controller's: %v", err)
	}
	if wrapped, err := s.ControllerKey(context.Background(), "a", []byte("a second one"), base); err != nil || string(wrapped) != "over-a" {
		t.Errorf("the controller's key became %q (%v)", wrapped, err)
	}
}

func destroy(t *testing.T, s *keystore.Store) {
	ctx := context.Background()
	people := fresh(0, 10, base)
	create(t, s, people)
	done, err := s.Destroy(ctx, destruction(1), marked(people[:3]))
	slices.SortFunc(done.Keys, func(x, y audit.KeyID) int { return bytes.Compare(x[:], y[:]) })
	if err != nil || done.Count != 3 || done.Event != "event-1" || !cmp.Equal(done.Keys, []audit.KeyID{id(0), id(1), id(2)}) {
		t.Fatalf("%+v, %v", done, err)
	}
	if found, err := s.Find(ctx, "a", refs(people)); err != nil || len(found) != 7 {
		t.Errorf("%d keys are left (%v)", len(found), err)
	}
	if again, err := s.Destroy(ctx, destruction(2), marked(people[:3])); err != nil || again.Event != "" || len(again.Keys) != 0 {
		t.Errorf("destroyed again: %+v, %v", again, err)
	}
	if err := s.Scrub(ctx); err != nil {
		t.Error(err)
	}
}

func marks(t *testing.T, s *keystore.Store) {
	ctx := context.Background()
	if _, err := s.Destroy(ctx, destruction(1), marked(fresh(0, 2, base))); err != nil {
		t.Fatal(err)
	}
	if ids := create(t, s, fresh(0, 3, base)); len(ids) != 1 || ids["sub_0002"] != id(2) {
		t.Errorf("what happened before the destruction got keys: %v", ids)
	}
	if ids := create(t, s, fresh(0, 1, base.Add(time.Microsecond))); ids["sub_0000"] != id(0) {
		t.Errorf("what happened after it got none: %v", ids)
	}
	if err := s.Unmark(ctx, base.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if ids := create(t, s, fresh(1, 1, base)); ids["sub_0001"] != id(1) {
		t.Errorf("a mark lasts for ever: %v", ids)
	}
}

func controller(t *testing.T, s *keystore.Store) {
	ctx := context.Background()
	create(t, s, fresh(0, 5, base))
	if list, err := s.Controllers(ctx); err != nil || !cmp.Equal(list, []audit.ControllerID{"a"}) {
		t.Errorf("controllers %v, %v", list, err)
	}
	end := destruction(1)
	end.Whole = true
	done, err := s.Destroy(ctx, end, []keys.Marked{{Mark: "mark/"}})
	if err != nil || done.Count != 5 || !done.Whole || done.Event == "" {
		t.Fatalf("%+v, %v", done, err)
	}
	if rows, err := s.Get(ctx, "a", []audit.KeyID{id(0), id(4)}); err != nil || len(rows) != 0 {
		t.Errorf("left: %v (%v)", rows, err)
	}
	if done, err = s.Destroy(ctx, end, []keys.Marked{{Mark: "mark/"}}); err != nil || done.Event != "" {
		t.Errorf("again: %+v, %v", done, err)
	}
	if _, err := s.ControllerKey(ctx, "a", []byte("over-a"), base); err != nil {
		t.Fatal(err)
	}
	if ids := create(t, s, fresh(0, 1, base)); len(ids) != 0 {
		t.Errorf("what happened before the end got keys: %v", ids)
	}
}

func recording(t *testing.T, s *keystore.Store) {
	ctx := context.Background()
	people := fresh(0, 2, base)
	create(t, s, people)
	done, err := s.Destroy(ctx, destruction(1), marked(people))
	if err != nil {
		t.Fatal(err)
	}
	open, err := s.Unrecorded(ctx)
	if diff := cmp.Diff([]keys.Destruction{done}, open, cmpopts.SortSlices(func(x, y audit.KeyID) bool { return bytes.Compare(x[:], y[:]) < 0 })); err != nil || diff != "" {
		t.Fatalf("unrecorded (%v):\n%s", err, diff)
	}
	if err := s.Recorded(ctx, done); err != nil {
		t.Fatal(err)
	}
	if open, err := s.Unrecorded(ctx); err != nil || len(open) != 0 {
		t.Errorf("still unrecorded: %v (%v)", open, err)
	}
	if err := s.Recorded(ctx, destruction(7)); err != nil { // known from the log alone
		t.Fatal(err)
	}
	for event, want := range map[audit.EventID]bool{"event-1": true, "event-7": true, "event-8": false} {
		if known, err := s.Known(ctx, event); err != nil || known != want {
			t.Errorf("%s known: %t (%v)", event, known, err)
		}
	}
}

// TestNothingIsLeftInTheFiles reads SQLite's files: what was deleted is in none of them. Without the scrub it is in the write-ahead
// log, so that the test can fail.
func TestNothingIsLeftInTheFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := keystore.Open(context.Background(), enginetest.Open(t, "sqlite:"+filepath.Join(dir, "keys.db"), nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ControllerKey(context.Background(), "a", []byte("over-a"), base); err != nil {
		t.Fatal(err)
	}
	people := fresh(0, 200, base)
	create(t, s, people)
	if n := filesWith(t, dir, "wrapped-key-0007"); n == 0 {
		t.Fatal("a key that was stored is in no file: the test looks in the wrong place")
	}
	if _, err := s.Destroy(context.Background(), destruction(1), marked(people[:100])); err != nil {
		t.Fatal(err)
	}
	if n := filesWith(t, dir, "wrapped-key-0007"); n == 0 {
		t.Error("without the scrub nothing is left either: the test cannot fail")
	}
	if err := s.Scrub(context.Background()); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if n := filesWith(t, dir, fmt.Sprintf("wrapped-key-%04d", i)); (n > 0) != (i >= 100) {
			t.Errorf("key %d is in %d files", i, n)
		}
	}
}

func filesWith(t *testing.T, dir, text string) (n int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), text) {
			n++
		}
	}
	return n
}
