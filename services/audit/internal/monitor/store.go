package monitor

import (
	"context"
	"errors"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// ErrNotFound says that the controller has no such alert.
var ErrNotFound = errors.New("monitor: no such alert")

// Feed reads the stream of entries.
type Feed interface {
	// Next returns published entries after a position, at most limit, in the order of their positions, which is that of the log.
	Next(ctx context.Context, after Position, limit int) ([]Entry, error)
}

// Store keeps what the monitor knows and the alerts it has raised. One monitor at a time works on it.
type Store interface {
	// Load returns the whole memory. On an empty store monitoring begins: Since is `now`, for good.
	Load(ctx context.Context, now time.Time) (*Memory, error)
	// Keep keeps a step, its new alerts with a pending delivery to each of their webhooks, and what was seen of the publication of
	// entries, all or nothing.
	Keep(ctx context.Context, s Step, to func(Alert) []string, published map[Published]time.Duration) error
	// Forget drops groups.
	Forget(ctx context.Context, groups []Group) error
	// Hear notes when services reported last.
	Hear(ctx context.Context, heard map[string]time.Time) error
}

// Published is a controller in an hour since 1970, UTC: the days of controllers begin at full hours.
type Published struct {
	Controller audit.ControllerID
	Hour       int64
}

// Alerts are the alerts as people see them.
type Alerts interface {
	// List returns a controller's alerts ('' is the suite), newest first, at most limit, those before an id only; '' begins with the newest.
	List(ctx context.Context, c audit.ControllerID, before AlertID, limit int) ([]Alert, error)
	// Acknowledge notes who looks after an alert. One that is acknowledged stays as it is. It fails with ErrNotFound. The
	// transaction is the caller's.
	Acknowledge(ctx context.Context, c audit.ControllerID, id AlertID, by, note string, now time.Time) (Alert, error)
	// Report gives the numbers of a controller's entries received from start to end.
	Report(ctx context.Context, c audit.ControllerID, start, end time.Time) (Report, error)
}

// Report is the status report of a time.
type Report struct {
	// First and Last are the controller's first and last number; 0 where there was no entry.
	First, Last uint64
	// Counts are how many events of each kind ended in which way.
	Counts []Count
	// Verifications are the checks of the log that found it sound, FailedVerifications the others.
	Verifications, FailedVerifications int64
	// Longest is the longest time from acceptance to publication.
	Longest time.Duration
	// Alerts raised in that time, newest first.
	Alerts []Alert
}

// Count is how many events of one kind ended in one way.
type Count struct {
	Kind    audit.Kind
	Action  string
	Outcome audit.Outcome
	Count   int64
}

// Events is the sum of the counts.
func (r Report) Events() (n int64) {
	for _, c := range r.Counts {
		n += c.Count
	}
	return n
}

// Outgoing is a delivery that is due, with its alert.
type Outgoing struct {
	Delivery
	Of Alert
}

// Deliveries are what webhooks are to be told.
type Deliveries interface {
	// Due returns pending deliveries whose time has come, the longest waiting first, at most limit.
	Due(ctx context.Context, now time.Time, limit int) ([]Outgoing, error)
	// Settle notes how a delivery stands.
	Settle(ctx context.Context, d Delivery) error
}
