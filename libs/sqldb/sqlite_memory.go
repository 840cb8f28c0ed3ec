package sqldb

import (
	"context"
	"database/sql"
	"time"
)

// drainTime bounds the wait for transactions that run while connections are closed.
const drainTime = 2 * time.Second

// scrubMemory closes all connections, whose caches hold pages as they were, and overwrites
// the memory that the engine has given back. New connections are opened as they are needed.
func (b *sqliteBackend) scrubMemory(ctx context.Context) error {
	drained := true
	for _, pool := range []struct {
		*sql.DB
		idle int
	}{{b.reader, b.cfg.ReadConnections}, {b.writer, 1}} {
		drained = drain(ctx, pool.DB, pool.idle) && drained
	}
	overwriteFreed()
	if !drained {
		return &Error{text: "an open transaction keeps a connection and what it remembers", kinds: []error{ErrUnavailable}}
	}
	return nil
}

// drain closes the connections of a pool that is in use, each as soon as it is not, and reports whether there was a moment without one.
func drain(ctx context.Context, pool *sql.DB, idle int) bool {
	pool.SetMaxIdleConns(-1)
	defer pool.SetMaxIdleConns(idle)
	for end := time.Now().Add(drainTime); pool.Stats().OpenConnections > 0; time.Sleep(time.Millisecond) {
		if ctx.Err() != nil || time.Now().After(end) {
			return false
		}
	}
	return true
}
