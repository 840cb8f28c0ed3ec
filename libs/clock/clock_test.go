package clock_test

import (
	"sync"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
)

func TestSystem(t *testing.T) {
	t.Parallel()
	before := time.Now()
	now := clock.System().Now()
	if now.Before(before) || now.After(time.Now()) {
		t.Errorf("system clock says %v, the machine %v", now, before)
	}
	if now.Location() != time.UTC {
		t.Errorf("system clock is in %v, want UTC", now.Location())
	}
}

func TestFake(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	c := clock.NewFake(start)
	if first, second := c.Now(), c.Now(); !first.Equal(start) || !second.Equal(start) {
		t.Error("the clock does not stand still")
	}
	if got := c.Advance(time.Hour); !got.Equal(start.Add(time.Hour)) || !c.Now().Equal(got) {
		t.Errorf("after an hour it is %v", got)
	}
	c.Set(start)
	if !c.Now().Equal(start) {
		t.Error("the clock cannot be set back")
	}
}

func TestFakeIsShared(t *testing.T) {
	t.Parallel()
	var c clock.Fake
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			c.Advance(time.Second)
			c.Now()
		})
	}
	wg.Wait()
	if got := c.Now().Sub(time.Time{}); got != 50*time.Second {
		t.Errorf("50 advances of a second moved the clock by %v", got)
	}
}
