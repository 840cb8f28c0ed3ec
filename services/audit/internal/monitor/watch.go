package monitor

import (
	"maps"
	"sync"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

const (
	// maxLag is how long an accepted event may wait for its publication.
	maxLag = 30 * time.Second
	// maxWait is how long an event may have waited in its service's outbox.
	maxWait = 5 * time.Minute
	// maxSilence is how long a service that reports regularly may be silent. It gives a sign of life every half minute.
	maxSilence = 3 * time.Minute
	// gone is after how long a silent service counts as taken out of use.
	gone = 7 * day
	// again is how often the same signal is given while its cause lasts.
	again = time.Minute
)

// Sign is what a service's report shows besides its events.
type Sign struct {
	Service string
	// Sent is when it was sent by the service's clock.
	Sent time.Time
	// Oldest is when its oldest event happened by the same clock; zero where it has none.
	Oldest time.Time
}

// Watch turns what is not an event into signals. It is safe for concurrent use.
type Watch struct {
	mu      sync.Mutex
	start   time.Time
	heard   map[string]time.Time
	given   map[signalKey]time.Time
	signals []Observation
}

type signalKey struct{ action, service string }

// NewWatch starts watching; services that were heard before are known. Silence counts from now on at the earliest: when the audit
// service itself was away nobody could report.
func NewWatch(now time.Time, heard map[string]time.Time) *Watch {
	return &Watch{start: now, heard: maps.Clone(heard), given: map[signalKey]time.Time{}}
}

// Hear takes a service's sign of life.
func (w *Watch) Hear(now time.Time, s Sign) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.heard == nil {
		w.heard = map[string]time.Time{}
	}
	w.heard[s.Service] = now
	if skew := s.Sent.Sub(now); skew.Abs() > maxSkew {
		w.give(now, SignalSkew, s.Service, "CLOCK_WRONG")
	}
	if !s.Oldest.IsZero() && s.Sent.Sub(s.Oldest) > maxWait {
		w.give(now, SignalLate, s.Service, "REPORTED_LATE")
	}
}

// Lag takes how long the oldest accepted event has waited for its publication.
func (w *Watch) Lag(now time.Time, waited time.Duration) {
	if waited <= maxLag {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.give(now, SignalLag, "", "PUBLICATION_LATE")
}

// Take gives the signals since it was asked last, and when services were heard.
func (w *Watch) Take(now time.Time) (signals []Observation, heard map[string]time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for service, last := range w.heard {
		since := last
		if since.Before(w.start) {
			since = w.start
		}
		switch silent := now.Sub(since); {
		case now.Sub(last) > gone:
			delete(w.heard, service)
		case silent > maxSilence:
			w.give(now, SignalSilent, service, "SERVICE_SILENT")
		}
	}
	signals, w.signals = w.signals, nil
	return signals, maps.Clone(w.heard)
}

// give adds a signal unless the same was given a moment ago.
func (w *Watch) give(now time.Time, action, service, reason string) {
	key := signalKey{action, service}
	if last, before := w.given[key]; before && now.Sub(last) < again {
		return
	}
	w.given[key] = now
	w.signals = append(w.signals, Observation{Service: service, Action: action, Outcome: audit.OutcomeFailed, Reason: reason, Time: now})
}

// putBack returns signals that could not be judged.
func (w *Watch) putBack(signals []Observation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.signals = append(signals, w.signals...)
}
