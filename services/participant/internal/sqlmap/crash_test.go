package sqlmap

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// The process is killed at every single step of an erasure, before and after the step
// took effect. The retry, with the next fencing token, must end where an undisturbed
// erasure ends, with the same counts.
func TestCrashAnywhere(t *testing.T) {
	t.Parallel()
	for _, e := range []Engine{SQLite, PostgreSQL} {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, e)
			w.exec(school)
			m := parse(t, schoolMap)
			calm := &faults{left: -1}
			a := w.process(m, calm)
			want := mustErase(t, a, request(t, a, "e1", ann))
			state, steps := w.rows(), calm.steps
			_ = a.Close()
			if steps < 60 {
				t.Fatalf("an erasure has %d steps only", steps)
			}
			for _, after := range []bool{false, true} {
				stride := 3
				if e == PostgreSQL || testing.Short() {
					stride = 11 // most steps are the ledger's, which are the same on both engines
				}
				for n := 0; n < steps; n += stride {
					w.crashAt(t, n, after, want, state)
				}
			}
		})
	}
}

func (w *world) crashAt(t *testing.T, n int, after bool, want map[string]string, state map[string]int) {
	t.Helper()
	w.again(t)
	x := &faults{left: n, after: after}
	m := parse(t, schoolMap)
	a := w.process(m, x)
	r := request(t, a, "e1", ann)
	if _, err := a.Erase(context.Background(), r); err == nil {
		t.Fatalf("the crash at step %d did not stop the erasure", n)
	} else if strings.Contains(err.Error(), errCrash.Error()) {
		t.Fatalf("the driver's own words are shown: %v", err)
	}
	_ = a.Close()
	b := w.process(m, &faults{left: -1})
	defer b.Close()
	r.FencingToken = 2
	if diff := cmp.Diff(want, mustErase(t, b, r)); diff != "" {
		t.Errorf("counts after a crash at step %d (after: %t) (-want +got):\n%s", n, after, diff)
	}
	if diff := cmp.Diff(state, w.rows()); diff != "" {
		t.Errorf("rows after a crash at step %d (after: %t) differ", n, after)
	}
	if found := verify(t, b, "e1", ann); !found.Clean() {
		t.Errorf("leftovers after a crash at step %d (after: %t): %+v", n, after, found.Findings)
	}
}

// again brings the school and the ledger back to the beginning.
func (w *world) again(t *testing.T) {
	t.Helper()
	for _, table := range w.tables() {
		w.exec(`DROP TABLE ` + quote(table))
	}
	w.exec(school)
	w.ledger = t.TempDir() + "/ledger.db"
}

// After the rows of a dataset are gone but before the ledger knows, the database gives
// their keys to somebody else's new rows. The retry must leave those alone.
func TestReusedKeys(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.exec(school)
		m := parse(t, schoolMap)
		count := &faults{left: -1}
		a := w.process(m, count)
		mustErase(t, a, request(t, a, "e1", ann))
		steps := count.steps
		_ = a.Close()
		reused := 0
		for n := steps / 2; n < steps; n++ { // before that, targets are only recorded
			w.again(t)
			a := w.process(m, &faults{left: n, after: true})
			r := request(t, a, "e1", ann)
			if _, err := a.Erase(context.Background(), r); err == nil {
				t.Fatal("no crash")
			}
			_ = a.Close()
			if w.number(`SELECT count(*) FROM submissions WHERE id = 10`) > 0 {
				continue
			}
			if reused++; w.e == PostgreSQL && reused%8 != 1 {
				continue
			}
			w.exec(`INSERT INTO submissions VALUES (10, 2, 'bo again')`)
			gone := w.number(`SELECT count(*) FROM users WHERE id = 1`) == 0
			if gone {
				w.exec(`INSERT INTO users VALUES (1, 'c1', 'u1009', 'eve@x.example', NULL, 'Eve', NULL);
INSERT INTO submissions VALUES (11, 1, 'of eve')`)
			}
			b := w.process(m, &faults{left: -1})
			r.FencingToken = 2
			mustErase(t, b, r)
			if w.number(`SELECT count(*) FROM submissions WHERE id = 10`) != 1 {
				t.Errorf("step %d: the row of another pupil with a reused key was erased", n)
			}
			if gone && w.number(`SELECT count(*) FROM users u JOIN submissions s ON s.userid = u.id WHERE u.id = 1`) != 1 {
				t.Errorf("step %d: another person with a reused key was erased", n)
			}
			if found := verify(t, b, "e1", ann); !found.Clean() {
				t.Errorf("step %d: another person's rows are taken for leftovers: %+v", n, found.Findings)
			}
			_ = b.Close()
		}
		if reused == 0 {
			t.Error("no crash fell between the target and the ledger")
		}
	})
}

// A holder that lost its lease must not commit anything.
func TestFencedWhileWorking(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		a := w.school()
		r := request(t, a, "e1", ann)
		j := &job{a: a, r: r, actions: a.actions(r.Datasets)}
		ctx := context.Background()
		if _, err := a.ledger.begin(ctx, j.entry()); err != nil {
			t.Fatal(err)
		}
		if err := j.recordAll(ctx); err != nil {
			t.Fatal(err)
		}
		newer := j.entry()
		newer.token = 2
		if _, err := a.ledger.begin(ctx, newer); err != nil {
			t.Fatal(err)
		}
		before := w.rows()
		if err := j.carryOut(ctx, true); !errors.Is(err, participant.ErrFenced) {
			t.Errorf("error %v, want ErrFenced", err)
		}
		if diff := cmp.Diff(before, w.rows()); diff != "" {
			t.Error("a fenced holder changed rows")
		}
	})
}
