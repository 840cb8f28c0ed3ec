package shards_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"
	"k8s.io/klog/v2"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/shards"
	"github.com/privacyops/privacyops/services/audit/internal/store"
	"github.com/privacyops/privacyops/services/audit/internal/tlog"
	"github.com/privacyops/privacyops/services/audit/logcheck"
)

const origin = "audit.test/log"

func TestMain(m *testing.M) {
	klog.SetSlogLogger(slog.New(slog.DiscardHandler)) // the log's library
	if os.Getenv(victimVariable) != "" {
		runVictim()
		return
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil { // most of them wait for a tick of Tessera's
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// testKey is the same key wherever it is made.
func testKey(dir string) (tlog.Key, error) {
	random := bytes.NewReader(bytes.Repeat([]byte{9}, 64))
	return tlog.CreateKey(random, filepath.Join(dir, "log.key"), origin)
}

// wallClock stands still until it is set.
type wallClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *wallClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *wallClock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// desk is all that records, on a folder.
type desk struct {
	dir       string
	key       tlog.Key
	clock     *wallClock
	db        *sqldb.DB
	store     *store.Store
	log       *shards.Log
	follower  *audit.Follower
	recorder  *audit.Recorder
	retention *audit.Retention
	reader    *audit.Reader
	stop      context.CancelFunc
	done      chan error
}

func openDesk(dir string, clock *wallClock, step func(string)) (d *desk, err error) {
	d = &desk{dir: dir, clock: clock, done: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	if d.key, err = testKey(dir); err != nil {
		return nil, err
	}
	if d.db, err = sqldb.Open(ctx, sqldb.Config{URL: "sqlite:" + filepath.Join(dir, "audit.db")}); err != nil {
		return nil, err
	}
	if d.store, err = store.Open(ctx, d.db); err != nil {
		return nil, errors.Join(err, d.db.Close())
	}
	storage, err := shards.Folders(tlog.Options{Dir: filepath.Join(dir, "log"), BatchAge: time.Millisecond, CheckpointInterval: 100 * time.Millisecond})
	if err != nil {
		return nil, errors.Join(err, d.db.Close())
	}
	if d.log, err = shards.Open(ctx, shards.Options{Storage: storage, Key: d.key, Step: step}); err != nil {
		return nil, errors.Join(err, d.db.Close())
	}
	d.follower = audit.NewFollower(d.store, d.log, audit.FollowerOptions{})
	d.recorder = audit.NewRecorder(d.log, d.store, d.follower, clock, noop.NewTracerProvider().Tracer("test"),
		audit.RecorderOptions{Years: d.log, NewID: func() string { return uuid.Must(uuid.NewV7()).String() }})
	d.reader = audit.NewReader(d.store, d.follower, 10*time.Second)
	d.retention = &audit.Retention{Index: d.store, Entries: d.reader, Log: d.log, Recorder: d.recorder, Clock: clock, Poll: 5 * time.Millisecond, Step: step}
	if err := errors.Join(d.retention.Apply(ctx), d.recorder.Recover(ctx)); err != nil {
		return nil, errors.Join(err, d.log.Close(ctx), d.db.Close())
	}
	go func() { d.done <- d.follower.Run(ctx) }()
	return d, nil
}

func (d *desk) close() error {
	d.stop()
	return errors.Join(<-d.done, d.log.Close(context.Background()), d.db.Close())
}

// event is the n-th event of a run.
func event(n int, controller audit.ControllerID, at time.Time) audit.Event {
	return audit.Event{
		ID: audit.EventID(fmt.Sprintf("00000000-0000-7000-8000-%012x", n)), Controller: controller, Service: "consent",
		Actor: audit.Actor{Kind: audit.ActorService, Ref: "consent"}, Action: "consent.give", Kind: audit.KindCreate, Outcome: audit.OutcomeOK,
		OccurredTime: at, SubjectRefs: []audit.SubjectRef{audit.SubjectRef(fmt.Sprintf("subject-%d", n%7))},
	}
}

// prove gives the proof of an event and checks it with other code than the log's.
func (d *desk) prove(controller audit.ControllerID, id audit.EventID) (logcheck.Inclusion, note.Verifier, error) {
	p, err := audit.NewProver(d.reader, d.log, 10*time.Second, 5*time.Millisecond).Proof(context.Background(), controller, id)
	if err != nil {
		return logcheck.Inclusion{}, nil, err
	}
	key, err := note.NewVerifier(p.Key)
	if err != nil {
		return logcheck.Inclusion{}, nil, err
	}
	in := logcheck.Inclusion{Leaf: p.Leaf, Index: int64(p.Index), TreeSize: int64(p.TreeSize), Hashes: p.Hashes, Checkpoint: p.Checkpoint}
	return in, key, in.Check(key)
}

// requireSound compares log and index.
func (d *desk) requireSound(t *testing.T) {
	t.Helper()
	report, err := audit.NewVerifier(d.store, d.log, d.log).Verify(context.Background())
	if err != nil || report.Finding != nil {
		t.Fatalf("verify: %+v %v", report.Finding, err)
	}
}

// rows are all rows of the index.
func (d *desk) rows(t *testing.T) []audit.Row {
	t.Helper()
	if !d.follower.Settle(context.Background()) {
		t.Fatal("the index does not settle")
	}
	var out []audit.Row
	for from := uint64(0); ; {
		rows, err := d.store.Window(context.Background(), from, 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			return out
		}
		out = append(out, rows...)
		from = rows[len(rows)-1].Index + 1
	}
}
