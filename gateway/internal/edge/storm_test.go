package edge

import (
	"fmt"
	"testing"
	"time"
)

func TestStorms(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	s, told := newStorms(), 0
	count := func(caller string, n int, now time.Time) {
		for range n {
			if s.refused(caller, now) {
				told++
			}
		}
	}
	for _, step := range []struct {
		caller string
		n      int
		after  time.Duration
		want   int
	}{
		{"usr_1", stormCalls - 1, 0, 0},
		{"usr_2", stormCalls - 1, 0, 0},
		{"usr_1", 1, time.Second, 1},
		{"usr_1", 10 * stormCalls, 2 * time.Second, 1}, // once a period
		{"usr_1", stormCalls - 1, stormPeriod, 1},
		{"usr_1", 1, stormPeriod, 2},
		{"usr_2", 1, stormPeriod, 2}, // its count began anew
	} {
		if count(step.caller, step.n, start.Add(step.after)); told != step.want {
			t.Errorf("after %d of %s at %v: told %d times, want %d", step.n, step.caller, step.after, told, step.want)
		}
	}
	for i := range maxKeys + 10 {
		s.refused(fmt.Sprint(i), start.Add(2*stormPeriod))
	}
	if len(s.callers) > maxKeys {
		t.Errorf("%d callers are remembered", len(s.callers))
	}
}
