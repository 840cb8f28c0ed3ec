package monitor

import (
	"context"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Rows reads rows of the index in the order of the log; see audit.Index.
type Rows interface {
	Window(ctx context.Context, from uint64, limit int) ([]audit.Row, error)
}

// Follow is a feed from the index: an entry's position is its place in the log plus one. Published says how many entries the latest
// checkpoint covers; those behind it are not returned yet.
func Follow(rows Rows, published func(context.Context) (uint64, error)) Feed {
	return follower{rows, published}
}

type follower struct {
	rows      Rows
	published func(context.Context) (uint64, error)
}

// Next implements Feed. An entry whose leaf does not read was altered; what its row says must do, and that it was altered is for
// the verification to say.
func (f follower) Next(ctx context.Context, after Position, limit int) ([]Entry, error) {
	size, err := f.published(ctx)
	if err != nil || size <= uint64(after) {
		return nil, err
	}
	rows, err := f.rows.Window(ctx, uint64(after), int(min(uint64(limit), size-uint64(after))))
	if err != nil {
		return nil, err
	}
	out := make([]Entry, 0, len(rows))
	for _, row := range rows {
		if row.Index >= size {
			break
		}
		entry, err := audit.ParseLeaf(row.Leaf)
		if err != nil {
			entry = byKeys(row.Keys)
		}
		out = append(out, Entry{entry, Position(row.Index + 1)})
	}
	return out, nil
}

func byKeys(k audit.Keys) audit.Entry {
	return audit.Entry{Event: audit.Event{ID: k.ID, Controller: k.Controller, Service: k.Service, Actor: audit.Actor{Ref: k.ActorRef},
		Action: k.Action, Kind: k.Kind, Outcome: k.Outcome, OccurredTime: k.ReceivedTime},
		ReceivedTime: k.ReceivedTime, ControllerSequence: k.ControllerSequence}
}
