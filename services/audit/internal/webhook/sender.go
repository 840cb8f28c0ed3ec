package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/services/audit/internal/monitor"
)

const (
	// lifetime is how long an alert is tried to be delivered.
	lifetime = 24 * time.Hour
	dueLimit = 50
	parallel = 4
)

// pauses are those between attempts; the last one repeats.
var pauses = []time.Duration{2 * time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 4 * time.Hour}

// Config is what a sender works with. Every field but Allowed and Poll is required.
type Config struct {
	Webhooks   []Webhook
	Deliveries monitor.Deliveries
	Clock      clock.Clock
	// Allowed are networks inside the installation that webhooks may lead to.
	Allowed []netip.Prefix
	// Tried is told how each attempt ended.
	Tried  func(ctx context.Context, d monitor.Delivery)
	Logger *slog.Logger
	// Poll is how often it looks for deliveries; a second by default.
	Poll time.Duration
}

// Sender delivers alerts.
type Sender struct {
	Config
	client *http.Client
	wake   chan struct{}
}

// NewSender makes a sender.
func NewSender(cfg Config) (*Sender, error) {
	if cfg.Deliveries == nil || cfg.Clock == nil || cfg.Tried == nil || cfg.Logger == nil {
		return nil, errors.New("webhook: deliveries, clock, a listener and a logger are required")
	}
	if cfg.Poll <= 0 {
		cfg.Poll = time.Second
	}
	return &Sender{cfg, newClient(cfg.Allowed), make(chan struct{}, 1)}, nil
}

// Wake makes the sender look at once.
func (s *Sender) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends.
func (s *Sender) Run(ctx context.Context) {
	defer s.client.CloseIdleConnections()
	tick := time.NewTicker(s.Poll)
	defer tick.Stop()
	for {
		if err := s.Step(ctx); err != nil && ctx.Err() == nil {
			s.Logger.ErrorContext(ctx, "alerts could not be delivered", "error_kind", fmt.Sprintf("%T", errors.Unwrap(err)))
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-tick.C:
		}
	}
}

// Step tries what is due.
func (s *Sender) Step(ctx context.Context) error {
	due, err := s.Deliveries.Due(ctx, s.Clock.Now(), dueLimit)
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(parallel)
	for _, o := range due {
		g.Go(func() error { return s.try(ctx, o) })
	}
	return g.Wait()
}

// try makes one attempt and notes how it ended. One that ends with the process is not noted: it is made again.
func (s *Sender) try(ctx context.Context, o monitor.Outgoing) error {
	reason, final := s.send(ctx, o)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	d := settled(o, s.Clock.Now(), reason, final)
	if err := s.Deliveries.Settle(ctx, d); err != nil {
		return err
	}
	s.Tried(ctx, d)
	return nil
}

// settled is the delivery after an attempt.
func settled(o monitor.Outgoing, now time.Time, reason string, final bool) monitor.Delivery {
	d := o.Delivery
	d.Attempts, d.Reason = d.Attempts+1, reason
	next := now.Add(pauses[min(d.Attempts, len(pauses))-1])
	switch {
	case reason == "":
		d.State, d.Next = monitor.Delivered, now
	case final || next.Sub(o.Of.Raised) > lifetime:
		d.State, d.Next = monitor.Dead, now
	default:
		d.State, d.Next = monitor.Pending, next
	}
	return d
}

// send makes one attempt. The reason says why it failed, and is empty where it did not; after a final one there is no other.
func (s *Sender) send(ctx context.Context, o monitor.Outgoing) (reason string, final bool) {
	i := slices.IndexFunc(s.Webhooks, func(w Webhook) bool { return w.ID == o.Webhook })
	if i < 0 {
		return "WEBHOOK_REMOVED", true
	}
	hook := s.Webhooks[i]
	content, err := body(o.Of)
	if err != nil {
		return "NOT_WRITTEN", true
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.URL, bytes.NewReader(content))
	if err != nil {
		return "URL_INVALID", true
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "privacyops")
	sign(req.Header, hook.secret, string(o.Alert), s.Clock.Now(), content)
	resp, err := s.client.Do(req)
	if err != nil {
		return reasonOf(err), false
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // so that the connection can be used again; what it says does not matter
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		return "", false
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return "REDIRECT", false
	}
	return fmt.Sprintf("HTTP_%d", resp.StatusCode), resp.StatusCode == http.StatusGone
}

func reasonOf(err error) string {
	switch {
	case errors.Is(err, errInward):
		return "ADDRESS_INWARD"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "TIMEOUT"
	}
	return "NOT_REACHED"
}
