package outbox

import (
	"context"
	"fmt"
	"sync"

	"github.com/privacyops/privacyops/libs/sqldb"
)

// maxHeld bounds the events that wait in memory for the database: some ten megabytes.
const maxHeld = 10_000

// held are events that could not be written yet, oldest first.
type held struct {
	mu     sync.Mutex
	events []heldEvent
}

type heldEvent struct{ id, text string }

// Later takes the event of a refusal while the database does not answer, and writes it once it does (Relay and Flush see to
// that). It is for answers that allow nothing and change nothing, and only for those: the event waits in memory and is lost if
// the process is killed before the database is back. When too many wait it fails with sqldb.ErrUnavailable, and the call with it.
func (o *Outbox) Later(ctx context.Context, events ...Event) error {
	call := CallFrom(ctx)
	ready := make([]heldEvent, 0, len(events))
	for _, e := range events {
		if call != nil {
			e = e.completedBy(call)
		}
		if e.ID == "" {
			e.ID = o.cfg.NewID()
		}
		text, err := o.encode(ctx, e, call)
		if err != nil {
			return err
		}
		ready = append(ready, heldEvent{e.ID, text})
	}
	o.held.mu.Lock()
	defer o.held.mu.Unlock()
	if len(o.held.events)+len(ready) > maxHeld {
		return fmt.Errorf("outbox: %d events wait for the database already: %w", len(o.held.events), sqldb.ErrUnavailable)
	}
	o.held.events = append(o.held.events, ready...)
	if call != nil {
		call.markRecorded()
	}
	return nil
}

// Held counts the events that wait in memory.
func (o *Outbox) Held() int {
	o.held.mu.Lock()
	defer o.held.mu.Unlock()
	return len(o.held.events)
}

// settle writes what was held. An event that was written without our learning of it is written once.
func (o *Outbox) settle(ctx context.Context) error {
	o.held.mu.Lock()
	waiting := o.held.events
	o.held.mu.Unlock()
	if len(waiting) == 0 {
		return nil
	}
	err := o.cfg.DB.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		for _, e := range waiting {
			if _, err := tx.Exec(ctx, `INSERT INTO audit_outbox (id, event) VALUES ($1, $2) ON CONFLICT DO NOTHING`, e.id, e.text); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("outbox: write what was held: %w", err)
	}
	o.held.mu.Lock()
	o.held.events = append([]heldEvent(nil), o.held.events[len(waiting):]...)
	o.held.mu.Unlock()
	return nil
}
