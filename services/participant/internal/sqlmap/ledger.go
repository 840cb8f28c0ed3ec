package sqlmap

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// The states of a request in the ledger. They only move forward.
const (
	stateRecording = "RECORDING" // targets are being recorded; nothing was touched yet
	stateErasing   = "ERASING"   // all targets of the first look are recorded
	stateDone      = "DONE"      // nothing is left to do; the targets are kept for Verify
	statePurged    = "PURGED"    // verified clean; only counts remain
)

const ledgerSchema = `
CREATE TABLE IF NOT EXISTS erasure (
  request        TEXT PRIMARY KEY,
  fencing_token  BIGINT NOT NULL,
  state          TEXT NOT NULL,
  map_digest     TEXT NOT NULL,
  plan_digest    TEXT NOT NULL, -- controller and approved datasets
  subject_digest TEXT NOT NULL, -- identifiers; emptied when purged
  shared_types   TEXT NOT NULL  -- types of the identifiers that were shared when the request began
);
CREATE TABLE IF NOT EXISTS erasure_dataset (
  request TEXT NOT NULL, dataset TEXT NOT NULL,
  action  TEXT NOT NULL,
  idle    BIGINT NOT NULL, -- located rows that are no targets: kept, or already as they should be
  located BIGINT NOT NULL, handled BIGINT NOT NULL, -- written when done
  PRIMARY KEY (request, dataset)
);
CREATE TABLE IF NOT EXISTS erasure_row ( -- targets; key and link are encoded cells
  request TEXT NOT NULL, dataset TEXT NOT NULL, key BLOB NOT NULL, link BLOB NOT NULL,
  done    BIGINT NOT NULL, -- 0 open, 1 done, 2 left to another dataset that reaches the row
  PRIMARY KEY (request, dataset, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS erasure_row_open ON erasure_row (request, dataset, key) WHERE done = 0;
CREATE TABLE IF NOT EXISTS erasure_parent ( -- what the first joins of the targets point at
  request TEXT NOT NULL, dataset TEXT NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY (request, dataset, value)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erasure_person ( -- keys of the person's rows, and what tells a reused key
  request TEXT NOT NULL, key BLOB NOT NULL, guard TEXT NOT NULL,
  PRIMARY KEY (request, key, guard)
) WITHOUT ROWID;`

// ledger is the adapter's own record of its erasures.
type ledger struct{ db *sql.DB }

// openLedger opens or makes the ledger file. Every commit survives power loss.
func openLedger(ctx context.Context, path string) (*ledger, error) {
	if path == "" {
		return nil, fmt.Errorf("sqlmap: the ledger needs a path")
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // SQLite gives its side files the same mode
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	dsn, err := sqliteDSN(path, "rw", "journal_mode(wal)", "synchronous(full)")
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, failed("opening the ledger", err)
	}
	return newLedger(ctx, db)
}

func newLedger(ctx context.Context, db *sql.DB) (*ledger, error) {
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, ledgerSchema); err != nil {
		_ = db.Close()
		return nil, failed("opening the ledger", err)
	}
	return &ledger{db}, nil
}

func (l *ledger) close() error { return l.db.Close() }

// write runs f in one transaction.
func (l *ledger) write(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return failed("writing the ledger", err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := f(tx); err != nil {
		return err
	}
	return failed("writing the ledger", tx.Commit())
}

// execute runs statements that share the same leading arguments.
func execute(ctx context.Context, q querier, statements []string, args ...any) error {
	for _, s := range statements {
		if _, err := q.ExecContext(ctx, s, args...); err != nil {
			return failed("writing the ledger", err)
		}
	}
	return nil
}

// entry is a request as the ledger has it.
type entry struct {
	request, state               string
	token                        int64
	mapDigest, plan, subjectHash string
}

// begin takes the request for a token, making it when new. It refuses a lower token
// and another subject, plan or data map.
func (l *ledger) begin(ctx context.Context, want entry) (string, error) {
	state := stateRecording
	err := l.write(ctx, func(tx *sql.Tx) error {
		var have entry
		err := tx.QueryRowContext(ctx, `SELECT state, fencing_token, map_digest, plan_digest, subject_digest FROM erasure WHERE request = $1`,
			want.request).Scan(&have.state, &have.token, &have.mapDigest, &have.plan, &have.subjectHash)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			_, err = tx.ExecContext(ctx, `INSERT INTO erasure (request, fencing_token, state, map_digest, plan_digest, subject_digest, shared_types)
VALUES ($1, $2, $3, $4, $5, $6, '')`, want.request, want.token, state, want.mapDigest, want.plan, want.subjectHash)
			return failed("writing the ledger", err)
		case err != nil:
			return failed("reading the ledger", err)
		}
		if err := admissible(have, want); err != nil {
			return err
		}
		state = have.state
		_, err = tx.ExecContext(ctx, `UPDATE erasure SET fencing_token = $1 WHERE request = $2`, want.token, want.request)
		return failed("writing the ledger", err)
	})
	return state, err
}

// admissible compares a call with what the request began with.
func admissible(have, want entry) error {
	finished := have.state == stateDone || have.state == statePurged
	switch {
	case want.token < have.token:
		return participant.ErrFenced
	case want.plan != have.plan, have.subjectHash != "" && want.subjectHash != have.subjectHash:
		return participant.ErrRequestReused
	case want.mapDigest != have.mapDigest && !finished:
		return participant.ErrDataMapChanged
	}
	return nil
}

// fence fails when another holder has taken the request since.
func (l *ledger) fence(ctx context.Context, request string, token int64) error {
	var highest int64
	err := l.db.QueryRowContext(ctx, `SELECT fencing_token FROM erasure WHERE request = $1`, request).Scan(&highest)
	if err != nil {
		return failed("reading the ledger", err)
	}
	if highest > token {
		return participant.ErrFenced
	}
	return nil
}

// state is the state of a request, empty when the ledger does not know it.
func (l *ledger) state(ctx context.Context, request string) (string, error) {
	var s string
	err := l.db.QueryRowContext(ctx, `SELECT state FROM erasure WHERE request = $1`, request).Scan(&s)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return s, failed("reading the ledger", err)
}

// advance moves a request to a state.
func (l *ledger) advance(ctx context.Context, request, state string) error {
	_, err := l.db.ExecContext(ctx, `UPDATE erasure SET state = $1 WHERE request = $2`, state, request)
	return failed("writing the ledger", err)
}

// restart forgets an incomplete recording and notes the actions of the datasets.
func (l *ledger) restart(ctx context.Context, request string, order []string, actions map[string]participant.Action) error {
	return l.write(ctx, func(tx *sql.Tx) error {
		if err := execute(ctx, tx, forget, request); err != nil {
			return err
		}
		if err := execute(ctx, tx, []string{`DELETE FROM erasure_dataset WHERE request = $1`}, request); err != nil {
			return err
		}
		for _, name := range order {
			err := execute(ctx, tx, []string{`INSERT INTO erasure_dataset (request, dataset, action, idle, located, handled)
VALUES ($1, $2, $3, 0, 0, 0)`}, request, name, string(actions[name]))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// forget are the statements that remove everything personal of a request.
var forget = []string{
	`DELETE FROM erasure_row WHERE request = $1`,
	`DELETE FROM erasure_parent WHERE request = $1`,
	`DELETE FROM erasure_person WHERE request = $1`,
}

// purge leaves only the counts of a request that is done, and empties the write-ahead
// log so that no earlier page keeps the keys.
func (l *ledger) purge(ctx context.Context, request string) error {
	err := l.write(ctx, func(tx *sql.Tx) error {
		return execute(ctx, tx, append([]string{
			`UPDATE erasure SET state = 'PURGED', subject_digest = '' WHERE request = $1`}, forget...), request)
	})
	if err != nil {
		return err
	}
	_, err = l.db.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`)
	return failed("writing the ledger", err)
}
