package sqldb

import (
	"context"
	"time"
)

// scrubMemory gives up the connections and with them their buffers, which have what was sent and read.
func (b *postgresBackend) scrubMemory(ctx context.Context) error {
	b.pool.Reset()
	for end := time.Now().Add(drainTime); b.pool.Stat().TotalConns() > 0; time.Sleep(time.Millisecond) {
		if ctx.Err() != nil || time.Now().After(end) {
			return &Error{text: "an open transaction keeps a connection and what it remembers", kinds: []error{ErrUnavailable}}
		}
	}
	return nil
}
