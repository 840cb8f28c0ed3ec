package keystore_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
	"github.com/privacyops/privacyops/services/audit/internal/keystore"
)

// TestMovedRows destroys many keys one by one, so that pages become nearly empty, and looks in SQLite's file for eight bytes in a row of each of them.
// Where rows are deleted instead some of the others are moved, and found when they are deleted in their turn. That is rare: the seeds
// are those of sixty for which it happened.
func TestMovedRows(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	moved := 0
	for _, seed := range []uint64{1, 21, 31, 53, 54} {
		f := newFilled(t, seed)
		if n := f.left(t); n != 5000 {
			t.Errorf("of %d pieces %d are in the file before: the test looks in the wrong place", 5000, n)
		}
		for n, p := range f.people[:500] {
			d := destruction(n)
			d.Event = audit.EventID(fmt.Sprint("event-", n))
			if done, err := f.Destroy(ctx, d, marked([]keys.Fresh{p})); err != nil || done.Count != 1 {
				t.Fatal(done.Count, err)
			}
		}
		if n := f.left(t); n != 0 {
			t.Errorf("seed %d: %d pieces of destroyed keys are in the file", seed, n)
		}
		if found, err := f.Find(ctx, "a", refs(f.people)); err != nil || len(found) != 2500 {
			t.Errorf("%d keys are left (%v)", len(found), err)
		}

		f = newFilled(t, seed)
		for _, p := range f.people[:500] {
			if err := f.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
				_, err := tx.Exec(ctx, `DELETE FROM subject_key WHERE controller = 'a' AND subject_ref = $1`, string(p.Ref))
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		moved += f.left(t)
	}
	if moved == 0 {
		t.Error("nothing is left of rows that are deleted either: the test cannot fail")
	}
}

// filled is a store of 3,000 keys, of which the first 500 are those that were stored first, in the order of their going.
type filled struct {
	*keystore.Store
	db     *sqldb.DB
	file   string
	people []keys.Fresh
}

func newFilled(t *testing.T, seed uint64) *filled {
	t.Helper()
	ctx := context.Background()
	f := &filled{file: filepath.Join(t.TempDir(), "keys.db")}
	f.db = enginetest.Open(t, "sqlite:"+f.file, nil)
	var err error
	if f.Store, err = keystore.Open(ctx, f.db); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ControllerKey(ctx, "a", []byte("over-a"), base); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(seed, 1))
	random := func(n int) []byte {
		out := make([]byte, n)
		for i := range out {
			out[i] = byte(r.Uint32())
		}
		return out
	}
	for n := range 3000 {
		ref := audit.SubjectRef(fmt.Sprintf("sub_%x", random(20)))
		f.people = append(f.people, keys.Fresh{Row: keys.Row{ID: audit.KeyID(random(16)), Ref: ref, Wrapped: random(80)}, Mark: fmt.Sprint("mark/", n), Before: base})
	}
	for from := 0; from < len(f.people); from += 100 {
		some := f.people[from : from+100]
		create(t, f.Store, some)
		if from < 500 {
			r.Shuffle(100, func(i, j int) { some[i], some[j] = some[j], some[i] })
		}
	}
	return f
}

// left counts the pieces of the first 500 keys in the file.
func (f *filled) left(t *testing.T) (pieces int) {
	t.Helper()
	if err := f.Scrub(context.Background()); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(f.file)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.people[:500] {
		for i := 0; i < len(p.Wrapped); i += 8 {
			if bytes.Contains(content, p.Wrapped[i:i+8]) {
				pieces++
			}
		}
	}
	return pieces
}
