package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/privacyops/privacyops/libs/jobs"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(victimEnv); url != "" {
		beKilled(url)
	}
	goleak.VerifyTestMain(pgtest.Around(m))
}

// patience is how long a test waits for what should happen at once.
const patience = 10 * time.Second

func open(t *testing.T, url string) *sqldb.DB {
	t.Helper()
	return enginetest.Open(t, url, nil)
}

func openNew(t *testing.T, engine sqldb.Engine) *sqldb.DB {
	t.Helper()
	return open(t, enginetest.URL(t, engine))
}

// start runs a runner until the test ends.
func start(t *testing.T, db *sqldb.DB, cfg jobs.Config) *jobs.Runner {
	t.Helper()
	r, err := jobs.NewRunner(db, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return r
}

func enqueue(t *testing.T, db *sqldb.DB, job sqldb.Job) {
	t.Helper()
	enqueueIn(t, t.Context(), db, job)
}

func enqueueIn(t *testing.T, ctx context.Context, db *sqldb.DB, job sqldb.Job) { //nolint:revive // t comes first
	t.Helper()
	err := db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error { return tx.Enqueue(ctx, job) })
	if err != nil {
		t.Fatal(err)
	}
}

// query reads one row of columns.
func query(t *testing.T, db *sqldb.DB, text string, dest ...any) {
	t.Helper()
	err := db.Read(t.Context(), func(ctx context.Context, q sqldb.Querier) error {
		return q.QueryRow(ctx, text).Scan(dest...)
	})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// eventually waits until check holds.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if check() {
			return
		}
	}
	t.Fatalf("%s did not happen within %s", what, patience)
}

// errorsOf reads a job: the engines keep the list of its errors in types of their own.
var errorsOf = map[sqldb.Engine]string{
	sqldb.SQLite:   `SELECT state, attempt, coalesce(json(errors), '') FROM river_job`,
	sqldb.Postgres: `SELECT state::text, attempt, coalesce(to_json(errors)::text, '') FROM river_job`,
}

// reaches waits until the only job is in the state and returns its attempts and errors.
func reaches(t *testing.T, db *sqldb.DB, want string) (attempt int, errs string) {
	t.Helper()
	eventually(t, "state "+want, func() bool {
		var state string
		query(t, db, errorsOf[db.Engine()], &state, &attempt, &errs)
		return state == want
	})
	return attempt, errs
}

func receive[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not happen within %s", what, patience)
		panic("unreachable")
	}
}

// idOf reads a job's arguments, whose spaces are the engine's.
func idOf(t *testing.T, job jobs.Job) string {
	t.Helper()
	var args struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(job.Args, &args); err != nil {
		t.Errorf("the arguments %s: %v", job.Args, err)
	}
	return args.ID
}

func TestJobReachesItsHandler(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		seen := make(chan jobs.Job, 1)
		start(t, db, jobs.Config{Handlers: map[string]jobs.Handler{
			"greet": func(_ context.Context, job jobs.Job) error { seen <- job; return nil },
			"other": func(context.Context, jobs.Job) error { t.Error("the wrong handler was called"); return nil },
		}})
		enqueue(t, db, sqldb.Job{Kind: "greet", Args: map[string]string{"id": "42"}})
		got := receive(t, "the job", seen)
		if got.Kind != "greet" || idOf(t, got) != "42" || got.Attempt != 1 || got.Last {
			t.Errorf("the handler got %+v with arguments %s", got, got.Args)
		}
		reaches(t, db, "completed")
	})
}

func TestCommitWakesTheRunner(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		seen := make(chan jobs.Job, 1)
		handlers := map[string]jobs.Handler{
			"greet": func(_ context.Context, job jobs.Job) error { seen <- job; return nil },
		}
		// Polling alone would take an hour.
		start(t, db, jobs.Config{Handlers: handlers, PollInterval: time.Hour})
		for range 3 {
			enqueue(t, db, sqldb.Job{Kind: "greet"})
			receive(t, "the job", seen)
		}
	})
}

func TestRunnerFindsTheJobsOfOtherProcesses(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		url := enginetest.URL(t, engine)
		mine, theirs := open(t, url), open(t, url)
		seen := make(chan jobs.Job, 1)
		start(t, mine, jobs.Config{Handlers: map[string]jobs.Handler{
			"greet": func(_ context.Context, job jobs.Job) error { seen <- job; return nil },
		}})
		enqueue(t, theirs, sqldb.Job{Kind: "greet"})
		receive(t, "the job", seen)
	})
}

func TestScheduledJobWaits(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		seen := make(chan time.Time, 1)
		start(t, db, jobs.Config{Handlers: map[string]jobs.Handler{
			"greet": func(context.Context, jobs.Job) error { seen <- time.Now(); return nil },
		}})
		due := time.Now().Add(300 * time.Millisecond).Truncate(time.Millisecond)
		enqueue(t, db, sqldb.Job{Kind: "greet", RunAt: due})
		if at := receive(t, "the job", seen); at.Before(due) {
			t.Errorf("it ran %s early", due.Sub(at))
		}
	})
}

func TestWorkersBoundWhatRunsAtATime(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		const workers, total = 3, 12
		var running, peak, done atomic.Int64
		start(t, db, jobs.Config{Workers: workers, Handlers: map[string]jobs.Handler{
			"greet": func(context.Context, jobs.Job) error {
				now := running.Add(1)
				old := peak.Load()
				for now > old && !peak.CompareAndSwap(old, now) {
					old = peak.Load()
				}
				time.Sleep(20 * time.Millisecond)
				running.Add(-1)
				done.Add(1)
				return nil
			},
		}})
		for range total {
			enqueue(t, db, sqldb.Job{Kind: "greet"})
		}
		eventually(t, "the end of all jobs", func() bool { return done.Load() == total })
		if got := peak.Load(); got > workers || got < 2 {
			t.Errorf("%d jobs ran at a time, want 2 to %d", got, workers)
		}
	})
}

func TestStopWaitsForTheJobAtWork(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		started, finish := make(chan struct{}), make(chan struct{})
		r := start(t, db, jobs.Config{Handlers: map[string]jobs.Handler{
			"greet": func(context.Context, jobs.Job) error { close(started); <-finish; return nil },
		}})
		enqueue(t, db, sqldb.Job{Kind: "greet"})
		receive(t, "the start", started)
		stopped := make(chan error, 1)
		go func() { stopped <- r.Stop(context.Background()) }()
		select {
		case err := <-stopped:
			t.Errorf("Stop did not wait: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		close(finish)
		if err := receive(t, "the stop", stopped); err != nil {
			t.Error(err)
		}
		reaches(t, db, "completed")
		enqueue(t, db, sqldb.Job{Kind: "greet"}) // nobody works any more: started would be closed twice
		time.Sleep(50 * time.Millisecond)
	})
}

func TestStopCutsShortWhenItsTimeIsUp(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		started := make(chan struct{})
		r := start(t, db, jobs.Config{Handlers: map[string]jobs.Handler{
			"greet": func(ctx context.Context, _ jobs.Job) error {
				close(started)
				<-ctx.Done()
				return errors.New("a call was cut off") // does not wrap the context's error
			},
		}})
		enqueue(t, db, sqldb.Job{Kind: "greet"})
		receive(t, "the start", started)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		// The job is the next runner's, and the attempt does not count.
		if attempt, errs := reaches(t, db, "available"); attempt != 0 || errs != "" {
			t.Errorf("attempt %d, errors %s; want none", attempt, errs)
		}
		again := make(chan jobs.Job, 1)
		start(t, db, jobs.Config{Handlers: map[string]jobs.Handler{
			"greet": func(_ context.Context, job jobs.Job) error { again <- job; return nil },
		}})
		if job := receive(t, "the second start", again); job.Attempt != 1 {
			t.Errorf("attempt %d, want 1", job.Attempt)
		}
	})
}

func TestEndOfTheStartContextStopsNothing(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		seen := make(chan error, 1)
		r, err := jobs.NewRunner(db, jobs.Config{Handlers: map[string]jobs.Handler{
			"greet": func(ctx context.Context, _ jobs.Job) error { seen <- ctx.Err(); return nil },
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if err := r.Start(ctx); err != nil {
			t.Fatal(err)
		}
		defer r.Stop(t.Context())
		cancel()
		enqueue(t, db, sqldb.Job{Kind: "greet"})
		if err := receive(t, "the job", seen); err != nil {
			t.Errorf("the job's context: %v", err)
		}
	})
}

func TestRunnerStartsOnce(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		r := start(t, db, jobs.Config{Handlers: nothing})
		if err := r.Start(t.Context()); err == nil {
			t.Error("a second Start succeeded")
		}
		if _, err := r.RescueAll(t.Context()); err == nil {
			t.Error("RescueAll succeeded while the runner works")
		}
	})
}

var nothing = map[string]jobs.Handler{"greet": func(context.Context, jobs.Job) error { return nil }}

func TestNewRunnerRefuses(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		for name, cfg := range map[string]jobs.Config{
			"no handlers":       {},
			"nil handler":       {Handlers: map[string]jobs.Handler{"greet": nil}},
			"kind with a space": {Handlers: map[string]jobs.Handler{"send mail": nothing["greet"]}},
			"negative timeout":  {Handlers: nothing, Timeout: -1},
			"negative workers":  {Handlers: nothing, Workers: -1},
			"too many attempts": {Handlers: nothing, MaxAttempts: sqldb.JobMaxAttempts + 1},
		} {
			if _, err := jobs.NewRunner(db, cfg); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	})
}
