package jobs

import (
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

func TestOnlyFailuresPause(t *testing.T) {
	t.Parallel()
	cfg, err := Config{
		Handlers: map[string]Handler{"greet": nil},
		Backoff:  func(int) time.Duration { return time.Hour },
	}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{kind: "greet", cfg: cfg}
	job := &river.Job[args]{JobRow: &rivertype.JobRow{Attempt: 1}}
	if wait := time.Until(w.NextRetry(job)); wait > 0 {
		t.Errorf("the job of a dead process waits %s", wait)
	}
	job.Args.worked = true
	if wait := time.Until(w.NextRetry(job)); wait < 59*time.Minute {
		t.Errorf("a failed job waits only %s", wait)
	}
}

func TestDefaultBackoffGrowsToItsLimit(t *testing.T) {
	t.Parallel()
	for attempt, want := range map[int]time.Duration{
		1: time.Second, 2: 4 * time.Second, 4: 64 * time.Second, 5: 256 * time.Second,
		6: maxBackoff, 100: maxBackoff,
	} {
		if got := backoff(attempt); got != want {
			t.Errorf("pause after attempt %d: %s, want %s", attempt, got, want)
		}
	}
}
