package sqldb

import (
	"context"
	"database/sql"

	"github.com/riverqueue/river"
)

// sqliteSession is one open SQLite transaction, for writing or for reading.
type sqliteSession struct {
	ctx    context.Context // of the whole transaction: its end rolls back
	tx     *sql.Tx
	insert *river.Client[*sql.Tx]
	known  *statements
}

func (s *sqliteSession) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	if err := checkQuery(query, args); err != nil {
		return 0, err
	}
	var result sql.Result
	var err error
	if prepared := s.known.in(ctx, s.tx, query); prepared != nil {
		result, err = prepared.ExecContext(ctx, args...)
	} else {
		result, err = s.tx.ExecContext(ctx, query, args...)
	}
	if err != nil {
		return 0, sqliteFailure(ctx, err)
	}
	n, err := result.RowsAffected()
	return n, sqliteFailure(ctx, err)
}

func (s *sqliteSession) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	if err := checkQuery(query, args); err != nil {
		return nil, err
	}
	var rows *sql.Rows
	var err error
	if prepared := s.known.in(ctx, s.tx, query); prepared != nil {
		rows, err = prepared.QueryContext(ctx, args...)
	} else {
		rows, err = s.tx.QueryContext(ctx, query, args...)
	}
	if err != nil {
		return nil, sqliteFailure(ctx, err)
	}
	return &sqliteRows{ctx: ctx, rows: rows}, nil
}

func (s *sqliteSession) QueryRow(ctx context.Context, query string, args ...any) Row {
	rows, err := s.Query(ctx, query, args...)
	return singleRow{rows: rows, err: err}
}

func (s *sqliteSession) enqueue(ctx context.Context, job Job) error {
	args, opts, err := insertion(ctx, job)
	if err != nil {
		return err
	}
	result, err := s.insert.InsertTx(ctx, s.tx, args, opts)
	if next, again := job.takeover(result); err == nil && again {
		return s.enqueue(ctx, next)
	}
	return sqliteFailure(ctx, err)
}

func (s *sqliteSession) commit() error { return sqliteFailure(s.ctx, s.tx.Commit()) }

// rollback's error is of no use: the connection is discarded if it failed.
func (s *sqliteSession) rollback() { _ = s.tx.Rollback() }

// sqliteRows strips the errors of a result of data.
type sqliteRows struct {
	ctx  context.Context
	rows *sql.Rows
}

func (r *sqliteRows) Next() bool   { return r.rows.Next() }
func (r *sqliteRows) Err() error   { return sqliteFailure(r.ctx, r.rows.Err()) }
func (r *sqliteRows) Close() error { return sqliteFailure(r.ctx, r.rows.Close()) }

func (r *sqliteRows) Scan(dest ...any) error {
	if err := r.rows.Scan(dest...); err != nil {
		return scanFailure(err)
	}
	return nil
}

// singleRow is the Row of any engine's Rows: the first row, or ErrNoRows.
type singleRow struct {
	rows Rows
	err  error
}

func (r singleRow) Scan(dest ...any) (err error) {
	if r.err != nil {
		return r.err
	}
	defer func() {
		if closeErr := r.rows.Close(); err == nil {
			err = closeErr
		}
	}()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return &Error{text: "no row", kinds: []error{ErrNoRows}}
	}
	return r.rows.Scan(dest...)
}
