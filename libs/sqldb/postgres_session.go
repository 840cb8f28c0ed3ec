package sqldb

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
)

// rollbackTimeout bounds the wait for a rollback whose caller has given up. A
// connection that does not answer in time is closed, which rolls back too.
const rollbackTimeout = 5 * time.Second

// postgresSession is one open PostgreSQL transaction, for writing or for reading.
type postgresSession struct {
	ctx    context.Context // of the whole transaction: after its end nothing is committed
	tx     *postgresTx
	insert *river.Client[pgx.Tx]
}

func (s *postgresSession) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	if err := checkQuery(query, args); err != nil {
		return 0, err
	}
	tag, err := s.tx.Exec(ctx, query, args...)
	if err != nil {
		return 0, postgresFailure(ctx, err)
	}
	return tag.RowsAffected(), nil
}

func (s *postgresSession) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	if err := checkQuery(query, args); err != nil {
		return nil, err
	}
	rows, err := s.tx.Query(ctx, query, args...)
	if err != nil {
		return nil, postgresFailure(ctx, err)
	}
	return &postgresRows{ctx: ctx, rows: rows}, nil
}

func (s *postgresSession) QueryRow(ctx context.Context, query string, args ...any) Row {
	rows, err := s.Query(ctx, query, args...)
	return singleRow{rows: rows, err: err}
}

func (s *postgresSession) enqueue(ctx context.Context, job Job) error {
	args, opts, err := insertion(ctx, job)
	if err != nil {
		return err
	}
	if err := s.tx.ready(); err != nil {
		return postgresFailure(ctx, err)
	}
	result, err := s.insert.InsertTx(ctx, s.tx, args, opts)
	if next, again := job.takeover(result); err == nil && again {
		return s.enqueue(ctx, next)
	}
	return postgresFailure(ctx, err)
}

func (s *postgresSession) commit() error { return postgresFailure(s.ctx, s.tx.Commit(s.ctx)) }

// rollback's error is of no use: the connection is discarded if it failed.
func (s *postgresSession) rollback() { _ = s.tx.Rollback(s.ctx) }

// postgresRows strips the errors of a result of data.
type postgresRows struct {
	ctx  context.Context
	rows pgx.Rows
}

func (r *postgresRows) Next() bool { return r.rows.Next() }
func (r *postgresRows) Err() error { return postgresFailure(r.ctx, r.rows.Err()) }

func (r *postgresRows) Close() error {
	r.rows.Close()
	return r.Err()
}

func (r *postgresRows) Scan(dest ...any) error {
	if err := r.rows.Scan(dest...); err != nil {
		return postgresScanFailure(err)
	}
	return nil
}

// pooledConn is the connection's name as an embedded field.
type pooledConn = pgxpool.Conn

// postgresTx is the open transaction on a connection, in the shape that River asks for.
// Unlike pgx's own it began in a round trip that did more, and it sends statements
// without arguments by the extended protocol, too, which takes one statement at a time.
type postgresTx struct {
	*pooledConn
	ended bool
}

var _ pgx.Tx = (*postgresTx)(nil)

// errResultOpen is the error of a statement while an earlier result is being read. The
// driver has one too, but by then it has lost the place in the earlier result.
var errResultOpen = &Error{text: "an earlier result of the transaction is still open: read it to its end or close it first"}

// ready tells whether the transaction can take a statement.
func (t *postgresTx) ready() error {
	switch {
	case t.ended:
		return pgx.ErrTxClosed
	case t.Conn().PgConn().IsBusy():
		return errResultOpen
	}
	return nil
}

// Begin refuses: nobody here needs savepoints, and a failure belongs to the whole.
func (t *postgresTx) Begin(context.Context) (pgx.Tx, error) {
	return nil, errors.New("a transaction has no transactions inside")
}

// Commit ends the transaction. What failed before makes it fail, too.
func (t *postgresTx) Commit(ctx context.Context) error {
	if t.ended {
		return pgx.ErrTxClosed
	}
	if err := ctx.Err(); err != nil {
		return err // the rollback to come finds the connection in order
	}
	tag, err := t.Exec(ctx, "COMMIT")
	t.end()
	if err == nil && tag.String() == "ROLLBACK" {
		return pgx.ErrTxCommitRollback
	}
	return err
}

// Rollback ends the transaction without effect, also when ctx has ended.
func (t *postgresTx) Rollback(ctx context.Context) error {
	if t.ended {
		return pgx.ErrTxClosed
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	_, err := t.Exec(ctx, "ROLLBACK")
	t.end()
	return err
}

// end gives the connection back. The pool closes it if it is not idle.
func (t *postgresTx) end() {
	t.ended = true
	t.Release()
}

// Exec runs one statement.
func (t *postgresTx) Exec(ctx context.Context, query string, args ...any) (pgconn.CommandTag, error) {
	if err := t.ready(); err != nil {
		return pgconn.CommandTag{}, err
	}
	if len(args) > 0 {
		return t.pooledConn.Exec(ctx, query, args...)
	}
	result := t.Conn().PgConn().ExecParams(ctx, query, nil, nil, nil, nil).Read()
	return result.CommandTag, result.Err
}

// Query runs one query.
func (t *postgresTx) Query(ctx context.Context, query string, args ...any) (pgx.Rows, error) {
	if err := t.ready(); err != nil {
		return nil, err
	}
	return t.pooledConn.Query(ctx, query, args...)
}

// Prepare prepares a statement on the connection.
func (t *postgresTx) Prepare(ctx context.Context, name, query string) (*pgconn.StatementDescription, error) {
	return t.Conn().Prepare(ctx, name, query)
}

// LargeObjects is part of pgx.Tx. Nothing here stores large objects.
func (t *postgresTx) LargeObjects() pgx.LargeObjects { return pgx.LargeObjects{} }
