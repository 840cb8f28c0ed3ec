package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"regexp"
	"strconv"
	"sync"
	"time"
)

const (
	// maxStatements bounds the statements that are kept prepared for one pool. The stores' queries are constants, and those with
	// lists of arguments come in few lengths.
	maxStatements = 512
	// prepareTime bounds the wait for a connection to prepare on.
	prepareTime = 5 * time.Second
)

// statements keeps the queries of one pool prepared: to parse a query costs SQLite as much as to run a small one.
//
// A query is prepared in the background after it was seen twice, because the pool's connection may be held by the very transaction
// that asks, and is used from then on by all.
type statements struct {
	pool *sql.DB
	end  context.CancelFunc
	ctx  context.Context //nolint:containedctx // the life of the background work
	work sync.WaitGroup

	mu    sync.RWMutex
	known map[string]*statement
}

// statement is a query that was seen, and is prepared or not yet.
type statement struct {
	seen     int
	prepared *sql.Stmt
}

func newStatements(pool *sql.DB) *statements {
	s := &statements{pool: pool, known: map[string]*statement{}}
	s.ctx, s.end = context.WithCancel(context.Background())
	return s
}

// in gives the prepared query for a transaction; nil where it is not prepared.
func (s *statements) in(ctx context.Context, tx *sql.Tx, query string) *sql.Stmt {
	s.mu.RLock()
	st := s.known[query]
	var prepared *sql.Stmt
	if st != nil {
		prepared = st.prepared
	}
	s.mu.RUnlock()
	if prepared == nil {
		s.note(query)
		return nil
	}
	return tx.StmtContext(ctx, prepared)
}

// note counts a query that is not prepared.
func (s *statements) note(query string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.known[query]
	switch {
	case s.ctx.Err() != nil:
		return
	case st == nil && len(s.known) < maxStatements:
		s.known[query] = &statement{seen: 1}
	case st != nil && st.seen == 1:
		st.seen++
		s.work.Go(func() { s.prepare(query, st) })
	}
}

func (s *statements) prepare(query string, st *statement) {
	ctx, cancel := context.WithTimeout(s.ctx, prepareTime)
	defer cancel()
	prepared, err := s.pool.PrepareContext(ctx, unnamed(query))
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		st.seen = 1 // the next one tries again; what is wrong with the query shows where it is run
		return
	}
	st.prepared = prepared
}

// parameter is the name of a parameter, or a text with what might look like one.
var parameter = regexp.MustCompile(`'[^']*'|"[^"]*"|\$[0-9]+`)

// unnamed writes a query's parameters as `?` where they are $1, $2, … in this order, each once. Whenever a value is bound, SQLite
// looks for its parameter's name among those of all: in a statement for many rows this takes longer than the rows.
func unnamed(query string) string {
	next, ordered := 1, true
	out := parameter.ReplaceAllStringFunc(query, func(match string) string {
		if match[0] != '$' {
			return match
		}
		ordered = ordered && match == "$"+strconv.Itoa(next)
		next++
		return "?"
	})
	if !ordered {
		return query
	}
	return out
}

// close ends the background work and the statements. The pool is closed after it.
func (s *statements) close() error {
	s.end()
	s.work.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, st := range s.known {
		if st.prepared != nil {
			errs = append(errs, st.prepared.Close())
		}
	}
	s.known = map[string]*statement{}
	return errors.Join(errs...)
}
