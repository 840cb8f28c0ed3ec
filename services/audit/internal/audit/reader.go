package audit

import (
	"context"
	"time"
)

// Reader finds entries, also those that were recorded a moment ago: it waits until the index has them.
type Reader struct {
	Finder
	follower *Follower
	wait     time.Duration
}

// NewReader returns a reader of an index that waits at most for `wait`; after that it finds what is there.
func NewReader(index Finder, follower *Follower, wait time.Duration) *Reader {
	return &Reader{index, follower, wait}
}

// Get implements Finder.
func (r *Reader) Get(ctx context.Context, controller ControllerID, id EventID) (Record, error) {
	r.settle(ctx)
	return r.Finder.Get(ctx, controller, id)
}

// Search implements Finder.
func (r *Reader) Search(ctx context.Context, q Query) ([]Record, error) {
	r.settle(ctx)
	return r.Finder.Search(ctx, q)
}

func (r *Reader) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.wait)
	defer cancel()
	r.follower.Settle(ctx)
}
