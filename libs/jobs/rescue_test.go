package jobs_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/jobs"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
)

// crash leaves the only job as a process does that was killed while it worked.
func crash(t *testing.T, db *sqldb.DB, attempt int) {
	t.Helper()
	err := db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE river_job SET state = 'running', attempt = $1, attempted_at = CURRENT_TIMESTAMP`, attempt)
		if n != 1 {
			t.Errorf("%d jobs, want 1", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// victimEnv makes the test binary a process that works a job until it is killed. Its
// value is the URL of the database.
const victimEnv = "JOBS_TEST_VICTIM"

// beKilled says "working" once its job is at work.
func beKilled(url string) {
	ctx := context.Background()
	db, err := sqldb.Open(ctx, sqldb.Config{URL: url})
	if err != nil {
		log.Fatal(err)
	}
	r, err := jobs.NewRunner(db, jobs.Config{Exclusive: true, Handlers: map[string]jobs.Handler{
		"greet": func(context.Context, jobs.Job) error { fmt.Println("working"); select {} },
	}})
	if err != nil {
		log.Fatal(err)
	}
	if err := r.Start(ctx); err != nil {
		log.Fatal(err)
	}
	time.Sleep(time.Hour)
}

func TestJobSurvivesTheDeathOfItsProcess(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		url := enginetest.URL(t, engine)
		db := open(t, url)
		enqueue(t, db, sqldb.Job{Kind: "greet", Args: map[string]string{"id": "42"}})

		victim := exec.Command(os.Args[0])
		victim.Env = append(os.Environ(), victimEnv+"="+url)
		victim.Stderr = os.Stderr
		out, err := victim.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := victim.Start(); err != nil {
			t.Fatal(err)
		}
		line, readErr := bufio.NewReader(out).ReadString('\n')
		if err := victim.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = victim.Wait() // says that it was killed
		awaitUnlocked(t, db)
		if line != "working\n" {
			t.Fatalf("the process said %q, %v", line, readErr)
		}

		seen := make(chan jobs.Job, 1)
		start(t, db, jobs.Config{Exclusive: true, Handlers: map[string]jobs.Handler{
			"greet": func(_ context.Context, job jobs.Job) error { seen <- job; return nil },
		}})
		if job := receive(t, "the job of the dead process", seen); job.Attempt != 2 || idOf(t, job) != "42" {
			t.Errorf("attempt %d with %s", job.Attempt, job.Args)
		}
	})
}

// awaitUnlocked waits until the database has noticed that the holder of the runner's lock is dead: a server does so when it looks
// at the connection, a moment after the process has ended.
func awaitUnlocked(t *testing.T, db *sqldb.DB) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		unlock, err := db.Lock(t.Context(), "jobs")
		if err == nil {
			if err := unlock(); err != nil {
				t.Fatal(err)
			}
			return
		}
		if !errors.Is(err, sqldb.ErrLocked) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestExclusiveRunnerTakesOverAtOnce(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		enqueue(t, db, sqldb.Job{Kind: "greet"})
		crash(t, db, 1)
		seen := make(chan jobs.Job, 1)
		start(t, db, jobs.Config{Exclusive: true, Handlers: map[string]jobs.Handler{
			"greet": func(_ context.Context, job jobs.Job) error { seen <- job; return nil },
		}})
		if job := receive(t, "the job of the dead process", seen); job.Attempt != 2 {
			t.Errorf("attempt %d, want 2", job.Attempt)
		}
	})
}

func TestRunnerLeavesTheJobsOfOthersAlone(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		enqueue(t, db, sqldb.Job{Kind: "greet"})
		crash(t, db, 1)
		r := start(t, db, jobs.Config{Handlers: map[string]jobs.Handler{
			"greet": func(context.Context, jobs.Job) error {
				t.Error("a job that another process may be working was started")
				return nil
			},
		}})
		time.Sleep(300 * time.Millisecond)
		if err := r.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, err := r.RescueAll(t.Context()); n != 1 || err != nil {
			t.Errorf("RescueAll = %d, %v; want 1 job", n, err)
		}
		reaches(t, db, "available")
	})
}

// Where several processes share the work, those that live take over what has run for
// longer than any attempt may. They look when one of them becomes the leader, and every
// half minute from then on.
func TestRunnersTakeOverWhatNobodyWorksAnyMore(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		enqueue(t, db, sqldb.Job{Kind: "greet"})
		crash(t, db, 1)
		err := db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE river_job SET attempted_at = '2026-01-01 00:00:00'`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		seen := make(chan jobs.Job, 2)
		cfg := jobs.Config{Handlers: map[string]jobs.Handler{
			"greet": func(_ context.Context, job jobs.Job) error { seen <- job; return nil },
		}}
		start(t, db, cfg)
		start(t, db, cfg)
		if job := receive(t, "the job of the dead process", seen); job.Attempt != 2 {
			t.Errorf("attempt %d, want 2", job.Attempt)
		}
		reaches(t, db, "completed")
	})
}

func TestJobThatKillsItsProcessIsGivenUp(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		enqueue(t, db, sqldb.Job{Kind: "greet"})
		crash(t, db, 3)
		start(t, db, jobs.Config{Exclusive: true, MaxAttempts: 3, Handlers: map[string]jobs.Handler{
			"greet": func(context.Context, jobs.Job) error { t.Error("a fourth attempt was made"); return nil },
		}})
		reaches(t, db, "discarded")
	})
}

func TestExclusiveMeansAlone(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		url := enginetest.URL(t, engine)
		first := start(t, open(t, url), jobs.Config{Exclusive: true, Handlers: nothing})
		second, err := jobs.NewRunner(open(t, url), jobs.Config{Exclusive: true, Handlers: nothing})
		if err != nil {
			t.Fatal(err)
		}
		if err := second.Start(t.Context()); !errors.Is(err, sqldb.ErrLocked) {
			t.Fatalf("Start beside another exclusive runner = %v, want ErrLocked", err)
		}
		if err := first.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := second.Start(t.Context()); err != nil {
			t.Fatalf("Start after the other has stopped: %v", err)
		}
		if err := second.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
