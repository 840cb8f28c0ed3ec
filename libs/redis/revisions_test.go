package redis_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/redis/redistest"
)

// TestSharing gives two replicas the proofs that a third one makes: they never read the database.
func TestSharing(t *testing.T) {
	t.Parallel()
	controller := redistest.Controller(t)
	db, none := &database{}, &database{}
	db.revision.Store(3)
	none.broken.Store(true)
	reader := redis.NewSharedRevisions(open(t, redistest.Config(t)), db.read, clock.System())
	background(t, reader.Run)
	for range 2 {
		other := redis.NewSharedRevisions(open(t, redistest.Config(t)), none.read, clock.System())
		background(t, other.Run)
		eventually(t, "another replica has the proof", func() bool {
			_, _, _ = reader.Fresh(controller)
			revision, _, ok := other.Fresh(controller)
			return ok && revision == 3
		})
		db.revision.Store(4)
		if err := reader.Publish(t.Context(), controller, 4); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		eventually(t, "the notice has arrived", func() bool { revision, _, _ := other.Fresh(controller); return revision == 4 })
		if took := time.Since(start); took > redis.ProofAge {
			t.Errorf("the notice took %v", took)
		}
		db.revision.Store(3)
		controller = redistest.Controller(t)
	}
}

// TestOneRead lets many callers share one read of the database, and lets one of them give up.
func TestOneRead(t *testing.T) {
	t.Parallel()
	var reads atomic.Int64
	arrived, release := make(chan struct{}), make(chan struct{})
	r := redis.NewLocalRevisions(func(context.Context, redis.Controller) (int64, error) {
		reads.Add(1)
		close(arrived)
		<-release
		return 9, nil
	}, clock.System())
	impatient, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if _, _, err := r.Prove(impatient, "a"); err == nil {
			t.Error("a caller that gave up got an answer")
		}
	})
	<-arrived
	for range 10 {
		group.Go(func() {
			if revision, _, err := r.Prove(t.Context(), "a"); revision != 9 || err != nil {
				t.Errorf("%d, %v", revision, err)
			}
		})
	}
	cancel()
	time.Sleep(50 * time.Millisecond)
	close(release)
	group.Wait()
	if n := reads.Load(); n != 1 {
		t.Errorf("%d reads", n)
	}
}

// history is a database that remembers when each revision was committed.
type history struct {
	mu      sync.Mutex
	commits []time.Time // of revision i+1
}

func (h *history) commit() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.commits = append(h.commits, time.Now())
	return int64(len(h.commits))
}

func (h *history) read(context.Context, redis.Controller) (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return int64(len(h.commits)), nil
}

// before is the newest revision that was committed before a moment.
func (h *history) before(at time.Time) (n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for n = int64(len(h.commits)); n > 0 && !h.commits[n-1].Before(at); n-- { //nolint:revive // counts down to the answer
	}
	return n
}

// TestNoStaleProof commits revisions, tells of some, loses every third notice on the way, and breaks Redis in every way.
// Meanwhile two replicas that cannot read the database ask whether they are fresh: each yes must be true.
func TestNoStaleProof(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func() func([]byte) []byte{"lost notices": everyThird, "late replies": late} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			controller := redistest.Controller(t)
			truth, none := &history{}, &database{}
			none.broken.Store(true)
			reader := redis.NewSharedRevisions(open(t, server.Config()), truth.read, clock.System())
			var yes, fresh atomic.Int64
			for range 2 {
				cfg := proxy(t, server.Config(), server.Address(), change)
				r := redis.NewSharedRevisions(open(t, cfg), none.read, clock.System())
				background(t, r.Run)
				background(t, func(ctx context.Context) error {
					highest := int64(0)
					for ; ctx.Err() == nil; time.Sleep(time.Millisecond) {
						now := time.Now()
						revision, at, ok := r.Fresh(controller)
						if revision < highest {
							t.Errorf("revision %d after %d", revision, highest)
						}
						highest = revision
						if !ok {
							continue
						}
						yes.Add(1)
						if committed := truth.before(at); revision < committed {
							t.Errorf("proven at %v: revision %d; but %d was committed", at, revision, committed)
						}
						if committed := truth.before(now.Add(-redis.ProofAge)); revision < committed {
							t.Errorf("fresh with revision %d; but %d is older than %v", revision, committed, redis.ProofAge)
						}
						fresh.Store(now.UnixMicro())
					}
					return nil
				})
			}
			background(t, func(ctx context.Context) error {
				return commitAndTell(ctx, truth, reader, controller)
			})
			breakRedis(t, server)
			if name == "late replies" {
				return // what comes late is dropped: freshness is not owed
			}
			if yes.Load() == 0 {
				t.Error("the replicas were never fresh")
			}
			mended := time.Now().UnixMicro()
			eventually(t, "the replicas are fresh again", func() bool { return fresh.Load() > mended })
		})
	}
}

// commitAndTell commits a revision every 10 ms. For a second it tells of three in four and proves now and then; for the next three
// it does neither, as if the process that writes were cut off from Redis.
func commitAndTell(ctx context.Context, truth *history, r redis.Revisions, controller redis.Controller) error {
	for start := time.Now(); ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		revision := truth.commit()
		if time.Since(start)%(4*time.Second) > time.Second {
			continue
		}
		if revision%4 != 0 {
			_ = r.Publish(ctx, controller, revision) // Redis is away at times
		}
		if revision%16 == 0 {
			_, _, _ = r.Prove(ctx, controller)
		}
	}
	return nil
}

// breakRedis lets it run, empties it, pauses it, blocks it, and restarts it from an old snapshot.
func breakRedis(t *testing.T, server *redistest.Server) {
	t.Helper()
	const while = 700 * time.Millisecond
	time.Sleep(6 * while)
	server.Do(t, "SAVE")
	for _, fault := range [][]any{{"FLUSHALL"}, {"CLIENT", "PAUSE", 1500, "ALL"}, {"SCRIPT", "FLUSH"}, {"DEBUG", "SLEEP", "1"}} {
		time.Sleep(while)
		server.Do(t, fault...)
	}
	time.Sleep(while)
	server.Kill(t)
	time.Sleep(while)
	server.Restart(t)
	time.Sleep(3 * while)
}
