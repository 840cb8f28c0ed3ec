package tlog

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	sumdb "golang.org/x/mod/sumdb/tlog"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/services/audit/witness"

	"github.com/privacyops/privacyops/services/audit/internal/storagetest"
)

// watcher is a witness behind HTTP, which can be away.
type watcher struct {
	*httptest.Server
	key    witness.Key
	mu     sync.Mutex
	away   bool
	answer int // instead of the witness's own; 0: its own
}

func (w *watcher) set(away bool, answer int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away, w.answer = away, answer
}

func watch(t *testing.T, name string, key Key) *watcher {
	t.Helper()
	dir := storagetest.Folder(t)
	w := &watcher{}
	var err error
	if w.key, err = witness.OpenKey(rand.Reader, filepath.Join(dir, "key"), name); err != nil {
		t.Fatal(err)
	}
	served, err := witness.Open(witness.Config{Dir: dir, Key: w.key, Logs: []string{key.Public}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		away, answer := w.away, w.answer
		w.mu.Unlock()
		switch {
		case away:
			panic(http.ErrAbortHandler)
		case answer != 0:
			rw.WriteHeader(answer)
		default:
			served.ServeHTTP(rw, r)
		}
	}))
	t.Cleanup(func() { w.Close(); served.Close() })
	return w
}

// policy asks for n of the witnesses.
func policy(n int, watchers ...*watcher) []byte {
	var b bytes.Buffer
	group := fmt.Sprintf("group all-of-them %d", n)
	for _, w := range watchers {
		fmt.Fprintf(&b, "witness %s %s %s\n", w.key.Name(), w.key.Public, w.URL)
		group += " " + w.key.Name()
	}
	fmt.Fprintf(&b, "%s\nquorum all-of-them\n", group)
	return b.Bytes()
}

// verdicts are what a cosigner reported.
type verdicts struct {
	mu  sync.Mutex
	all []Verdict
}

func (v *verdicts) report(_ context.Context, got Verdict) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all = append(v.all, got)
}

func (v *verdicts) has(problem Problem) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, got := range v.all {
		if got.Problem == problem {
			return true
		}
	}
	return false
}

// cosigning runs a cosigner until the test ends, or stop is called.
func cosigning(t *testing.T, l *Log, file string, text []byte) (c *Cosigner, v *verdicts, stop func()) {
	t.Helper()
	v = &verdicts{}
	c, err := NewCosigner(context.Background(), l, CosignerOptions{Policy: text, File: file, Interval: 20 * time.Millisecond, Timeout: time.Second, Clock: clock.System(), Report: v.report})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return c, v, stop
}

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("not within ten seconds: %s", what)
}

// TestCosigned: two of three witnesses are enough, one away keeps nothing from being published, and proofs lead to cosigned checkpoints.
func TestCosigned(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, storage func(*testing.T) *place) {
		key := testKey(t)
		a, b, c := watch(t, "a.test", key), watch(t, "b.test", key), watch(t, "c.test", key)
		dir, file := storage(t), ""
		l := open(t, dir, key)
		text := policy(2, a, b, c)
		cosigner, reported, stop := cosigning(t, l, file, text)

		c.set(true, 0)
		appendLeaves(t, l, 0, 300)
		within(t, "two of three cosign", func() bool { return cosigner.Witnessed() == 300 })
		head, err := cosigner.Head(context.Background())
		if err != nil || !cosigner.group.Satisfied(head.Checkpoint) || openedNote(t, head.Checkpoint, key.Public).N != 300 {
			t.Fatalf("the published checkpoint: %q, %v", head.Checkpoint, err)
		}

		// Another one away: published all the same, and witnessed no further.
		b.set(true, 0)
		appendLeaves(t, l, 300, 100)
		awaitHead(t, l, 400)
		within(t, "the absence is reported", func() bool { return reported.has(Away) })
		if published, witnessed, err := cosigner.Covered(context.Background()); err != nil || published != 400 || witnessed != 300 {
			t.Errorf("covered %d, witnessed %d, %v", published, witnessed, err)
		}
		old, err := cosigner.Inclusion(context.Background(), 299)
		if err != nil || old.TreeSize != 300 || !cosigner.group.Satisfied(old.Checkpoint) {
			t.Errorf("proof of a witnessed entry: size %d, %v", old.TreeSize, err)
		}
		tree := openedNote(t, old.Checkpoint, key.Public)
		if err := sumdb.CheckRecord(recordProof(old.Hashes), tree.N, tree.Hash, 299, sumdb.RecordHash([]byte("leaf 299"))); err != nil {
			t.Errorf("the proof does not verify: %v", err)
		}
		if young, err := cosigner.Inclusion(context.Background(), 399); err != nil || young.TreeSize != 400 {
			t.Errorf("proof of a published entry: size %d, %v", young.TreeSize, err)
		}

		// It comes back, and what was cosigned is known after a restart.
		b.set(false, 0)
		within(t, "the witness is back", func() bool { return cosigner.Witnessed() == 400 })
		stop()
		again, err := NewCosigner(context.Background(), l, CosignerOptions{Policy: text, File: file, Report: reported.report})
		if err != nil || again.Witnessed() != 400 {
			t.Errorf("after a restart: %d witnessed, %v", again.Witnessed(), err)
		}
		if stricter, err := NewCosigner(context.Background(), l, CosignerOptions{Policy: policy(3, a, b, c), File: file, Report: reported.report}); err != nil || stricter.Witnessed() != 0 {
			t.Errorf("under a policy that it does not satisfy, a kept checkpoint counts: %v", err)
		}
	})
}

// TestForkIsRefused: a witness that has seen another log of the key does not cosign this one; the log learns of it and goes on.
func TestForkIsRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		first, second int
		want          Problem
	}{
		"a log that was longer":       {300, 10, RolledBack},
		"a log that grew differently": {10, 300, Forked},
		"a log of the same size":      {20, 20, Forked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := testKey(t)
			w := watch(t, "w.test", key)
			file := filepath.Join(t.TempDir(), "witnessed")
			l := open(t, inFolder(t), key)
			appendLeaves(t, l, 0, tt.first)
			awaitHead(t, l, uint64(tt.first)) // the witness sees each log whole: smaller sizes it would take for this one's own growth
			cosigner, _, stop := cosigning(t, l, file, policy(1, w))
			within(t, "the first log is cosigned", func() bool { return cosigner.Witnessed() == uint64(tt.first) })
			stop()

			fork := open(t, inFolder(t), key)
			if _, err := fork.Append(context.Background(), leaves(1000, tt.second)); err != nil {
				t.Fatal(err)
			}
			awaitHead(t, fork, uint64(tt.second))
			if _, err := NewCosigner(context.Background(), fork, CosignerOptions{Policy: policy(1, w), File: file}); !errors.Is(err, ErrTampered) {
				t.Errorf("the fork opens over the kept checkpoint of the other log: %v", err)
			}
			forked, reported, _ := cosigning(t, fork, file+".fork", policy(1, w))
			within(t, string(tt.want), func() bool { return reported.has(tt.want) })
			if forked.Witnessed() != 0 {
				t.Error("a fork counts as witnessed")
			}
		})
	}
}

func TestWitnessAnswers(t *testing.T) {
	t.Parallel()
	key := testKey(t)
	w := watch(t, "w.test", key)
	l := open(t, inFolder(t), key)
	appendLeaves(t, l, 0, 3)
	awaitHead(t, l, 3)
	for status, want := range map[int]Problem{
		http.StatusOK: Away, http.StatusBadRequest: NotWatched, http.StatusForbidden: NotWatched, http.StatusNotFound: NotWatched,
		http.StatusConflict: Forked, http.StatusUnprocessableEntity: Forked, http.StatusInternalServerError: Away, http.StatusFound: Away,
	} {
		w.set(false, status)
		_, reported, stop := cosigning(t, l, filepath.Join(t.TempDir(), "witnessed"), policy(1, w))
		within(t, fmt.Sprint("answer ", status), func() bool { return reported.has(want) })
		stop()
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	key := testKey(t)
	w := watch(t, "w.test", key)
	l := open(t, inFolder(t), key)
	for name, text := range map[string]string{
		"empty": "", "nobody": "quorum none\n", "no key": "witness w x http://h/\nquorum w\n",
		"nobody is enough": fmt.Sprintf("witness w %s %s\ngroup g 0 w\nquorum g\n", w.key.Public, w.URL),
	} {
		if _, err := NewCosigner(context.Background(), l, CosignerOptions{Policy: []byte(text), File: filepath.Join(t.TempDir(), "f")}); err == nil {
			t.Errorf("%s: the policy is taken", name)
		}
	}
	plain, err := NewCosigner(context.Background(), l, CosignerOptions{})
	if err != nil || plain.Witnessed() != 0 {
		t.Errorf("without a policy: %v", err)
	}
	plain.Run(context.Background()) // has nothing to do and returns
}

// TestKeptCheckpoint: a file that is nobody's is as good as none.
func TestKeptCheckpoint(t *testing.T) {
	t.Parallel()
	key := testKey(t)
	w := watch(t, "w.test", key)
	l := open(t, inFolder(t), key)
	file := filepath.Join(t.TempDir(), "witnessed")
	if err := os.WriteFile(file, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := NewCosigner(context.Background(), l, CosignerOptions{Policy: policy(1, w), File: file})
	if err != nil || c.Witnessed() != 0 {
		t.Errorf("garbage: %d witnessed, %v", c.Witnessed(), err)
	}
}
