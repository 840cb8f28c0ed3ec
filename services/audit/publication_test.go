package audit_test

import (
	"fmt"
	"slices"
	"sort"
	"time"

	domain "github.com/privacyops/privacyops/services/audit/internal/audit"
)

// How soon an event is public (guarantee G5): 99 of 100 within published99 of their commit, kills or not, and what waited while the
// audit service was away within publishedAfter of its coming back.
const (
	published99    = 10 * time.Second
	publishedAfter = 30 * time.Second
)

// waits are how long events have waited for a checkpoint that covers them.
type waits struct {
	events, outage int // the outage's are those that were public neither before it nor made after it
	p50, p99, max  time.Duration
	after          time.Duration // the longest wait of those after its end
}

func (w waits) late() bool { return w.p99 > published99 || w.after > publishedAfter }

func (w waits) String() string {
	return fmt.Sprintf("%d events, p50 %v, p99 %v, at most %v; %d more waited for the end of the outage, the last of them %v longer", w.events, w.p50, w.p99, w.max,
		w.outage, w.after)
}

// checkpointSeen is a checkpoint that somebody outside could read at a time.
type checkpointSeen struct {
	size uint64
	at   time.Time
}

// watchCheckpoints reads the checkpoint again and again, from outside. The function that it returns ends it.
func watchCheckpoints(log string) (end func() []checkpointSeen) {
	var all []checkpointSeen
	stop, stopped := make(chan struct{}), make(chan struct{})
	look := func() {
		size := covered(log)
		if len(all) == 0 || size > all[len(all)-1].size {
			all = append(all, checkpointSeen{size, time.Now()})
		}
	}
	go func() {
		defer close(stopped)
		for {
			look()
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return func() []checkpointSeen {
		close(stop)
		<-stopped
		look()
		return all
	}
}

// waits holds the entries against the checkpoints that were seen. What none of them covers has waited until now.
func (b *battle) waits(entries []domain.Placed, checkpoints []checkpointSeen) (w waits) {
	var all []time.Duration
	for _, e := range entries {
		at := time.Now()
		if i := sort.Search(len(checkpoints), func(i int) bool { return checkpoints[i].size > e.Index }); i < len(checkpoints) {
			at = checkpoints[i].at
		}
		if made := e.Entry.OccurredTime; made.Before(b.recovered) && at.After(b.away) {
			w.outage++
			w.after = max(w.after, at.Sub(b.recovered).Round(time.Millisecond))
		} else {
			all = append(all, at.Sub(made))
		}
	}
	if slices.Sort(all); len(all) > 0 {
		of := func(share int) time.Duration { return all[len(all)*share/100].Round(time.Millisecond) }
		w.events, w.p50, w.p99, w.max = len(all), of(50), of(99), all[len(all)-1].Round(time.Millisecond)
	}
	return w
}
