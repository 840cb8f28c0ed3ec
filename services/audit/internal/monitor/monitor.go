package monitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
)

const (
	stepEntries = 8192
	lagEvery    = 5 * time.Second
	heardEvery  = 30 * time.Second
	forgetEvery = time.Hour
)

// Config is what a monitor works with. Every field but Crowds and Poll is required.
type Config struct {
	Feed  Feed
	Store Store
	Rules []Rule
	Clock clock.Clock
	// NewID gives ids that sort by time (UUIDv7).
	NewID func() string
	// Lag gives how long the oldest event that has come in has waited for its publication; 0 where none waits. While it fails nothing
	// is known to be published, which counts as waiting.
	Lag func(ctx context.Context) (time.Duration, error)
	// To names the webhooks that an alert goes to.
	To func(Alert) []string
	// Raised is told of new alerts once they are kept.
	Raised func(ctx context.Context, alerts []Alert)
	Logger *slog.Logger
	// Poll is how often new entries are looked for; a second by default. Crowds tells that many have come, so that it is not awaited.
	Poll   time.Duration
	Crowds <-chan struct{}
}

// Monitor follows the log.
type Monitor struct {
	Config
	engine *Engine
	memory *Memory
	watch  *Watch
	asked  map[string]time.Time
	// known is when it was last known how much waits.
	known time.Time
}

// New makes a monitor that goes on where the last one ended.
func New(ctx context.Context, cfg Config) (*Monitor, error) {
	if cfg.Feed == nil || cfg.Store == nil || cfg.Clock == nil || cfg.NewID == nil || cfg.Lag == nil || cfg.To == nil || cfg.Raised == nil || cfg.Logger == nil {
		return nil, errors.New("monitor: every field of the configuration is required")
	}
	if err := CheckRules(cfg.Rules); err != nil {
		return nil, err
	}
	if cfg.Poll <= 0 {
		cfg.Poll = time.Second
	}
	now := cfg.Clock.Now()
	memory, err := cfg.Store.Load(ctx, now)
	if err != nil {
		return nil, err
	}
	return &Monitor{Config: cfg, engine: NewEngine(cfg.Rules, cfg.NewID), memory: memory, watch: NewWatch(now, memory.Heard),
		asked: map[string]time.Time{"heard": now, "forget": now}, known: now}, nil
}

// Hear takes a service's sign of life.
func (m *Monitor) Hear(s Sign) { m.watch.Hear(m.Clock.Now(), s) }

// Run follows the log until ctx ends. After an error it goes on with what is kept.
func (m *Monitor) Run(ctx context.Context) {
	tick := time.NewTicker(m.Poll)
	defer tick.Stop()
	for {
		for more := true; more && ctx.Err() == nil; {
			var err error
			if more, err = m.Step(ctx); err != nil && ctx.Err() == nil {
				m.Logger.ErrorContext(ctx, "the log could not be monitored", "error_kind", fmt.Sprintf("%T", errors.Unwrap(err)))
				more = false
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-m.Crowds:
		case <-tick.C:
		}
	}
}

// Step judges what is new, and reports whether there may be more. When the log cannot be read, what is known without it is judged all
// the same: that it cannot is itself a thing to be told of.
func (m *Monitor) Step(ctx context.Context) (more bool, err error) {
	now := m.Clock.Now()
	unread := m.look(ctx, now)
	entries, err := m.Feed.Next(ctx, m.memory.Cursor, stepEntries)
	if err != nil {
		entries, unread = nil, fmt.Errorf("monitor: reading the log: %w", err)
	}
	signals, heard := m.watch.Take(now)
	if len(entries) > 0 || len(signals) > 0 {
		step := m.engine.Judge(m.memory, entries, signals)
		if err := m.Store.Keep(ctx, step, m.To, lateness(m.memory.Since, now, entries)); err != nil {
			m.watch.putBack(signals)
			return false, fmt.Errorf("monitor: keeping a step: %w", err)
		}
		m.memory.Apply(step)
		if len(step.Raised) > 0 {
			m.Raised(ctx, step.Raised)
		}
	}
	return len(entries) == stepEntries, cmp.Or(m.tidy(ctx, now, heard), unread)
}

// lateness is how long entries took until they were published, at the worst. What is read here is published; that it is read a
// moment later makes the figure a little greater than it is.
func lateness(since, now time.Time, entries []Entry) map[Published]time.Duration {
	out := map[Published]time.Duration{}
	for _, e := range entries {
		if e.ReceivedTime.Before(since) {
			continue
		}
		key := Published{e.Controller, e.ReceivedTime.Unix() / 3600}
		out[key] = max(out[key], now.Sub(e.ReceivedTime))
	}
	return out
}

// look asks for what leaves no event.
func (m *Monitor) look(ctx context.Context, now time.Time) error {
	if !m.due("lag", now, lagEvery) {
		return nil
	}
	waited, err := m.Lag(ctx)
	if err == nil {
		m.known = now
	}
	m.watch.Lag(now, max(waited, now.Sub(m.known)))
	if err != nil {
		return fmt.Errorf("monitor: asking how much waits: %w", err)
	}
	return nil
}

// tidy keeps when services were heard, and forgets what is no longer needed.
func (m *Monitor) tidy(ctx context.Context, now time.Time, heard map[string]time.Time) error {
	if m.due("heard", now, heardEvery) {
		if err := m.Store.Hear(ctx, heard); err != nil {
			return fmt.Errorf("monitor: keeping signs of life: %w", err)
		}
	}
	if !m.due("forget", now, forgetEvery) {
		return nil
	}
	stale := m.engine.Stale(m.memory, now)
	if err := m.Store.Forget(ctx, stale); err != nil {
		return fmt.Errorf("monitor: forgetting: %w", err)
	}
	for _, g := range stale {
		delete(m.memory.Groups, g)
	}
	return nil
}

// due reports whether something is to be done again.
func (m *Monitor) due(what string, now time.Time, every time.Duration) bool {
	if last, before := m.asked[what]; before && now.Sub(last) < every {
		return false
	}
	m.asked[what] = now
	return true
}
