package move

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
)

// journal tells how far the move is, in the target itself. It knows tables, numbers and hashes.
//
// The installation is known by its audit log's key, so that two are never mixed.
var journal = []string{
	`CREATE TABLE IF NOT EXISTS privacyops_move.installation (
	id BIGINT PRIMARY KEY CHECK (id = 1),
	log_key_sha256 TEXT NOT NULL,
	begin_time BIGINT NOT NULL,
	end_time BIGINT NOT NULL
)`,
	`CREATE TABLE IF NOT EXISTS privacyops_move.progress (
	service TEXT NOT NULL,
	name TEXT NOT NULL,
	total BIGINT NOT NULL,
	sha256 TEXT NOT NULL,
	copied BIGINT NOT NULL,
	PRIMARY KEY (service, name)
)`,
}

// installation is the journal's first line: whose move it is. The zero value: there is none. Without the time when copying was begun,
// the target was free and has been claimed: what its schemas hold was written by their migrations, which may not be at their end.
type installation struct {
	logKey     string
	begun, end time.Time
}

// begunBy reads whose move the target knows of. The journal may not be there at all.
func begunBy(ctx context.Context, q sqldb.Querier) (i installation, err error) {
	tables, err := tablesIn(ctx, q, journalSchema)
	if err != nil || len(tables) < len(journal) {
		return i, err
	}
	var begun, end int64
	err = q.QueryRow(ctx, `SELECT log_key_sha256, begin_time, end_time FROM privacyops_move.installation`).Scan(&i.logKey, &begun, &end)
	if errors.Is(err, sqldb.ErrNoRows) {
		return installation{}, nil
	}
	i.begun, i.end = sqldb.Time(begun), sqldb.Time(end)
	return i, err
}

// makeJournal makes the journal's schema and tables where they are missing. Nobody else does so meanwhile: the lock is held. It
// asks first, because CREATE SCHEMA wants a right even where there is nothing to do.
func (t *target) makeJournal(ctx context.Context) error {
	err := t.write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		var there bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)`, journalSchema).Scan(&there); err != nil {
			return err
		}
		statements := journal
		if !there {
			statements = append([]string{"CREATE SCHEMA " + journalSchema}, journal...)
		}
		for _, statement := range statements {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("make the journal of the move (schema %s): %w", journalSchema, err)
	}
	return nil
}

// vacant refuses a schema that holds rows other than those that migrations write.
func vacant(ctx context.Context, q sqldb.Querier, schema string) error {
	names, err := tablesIn(ctx, q, schema)
	if err != nil {
		return err
	}
	for _, name := range without(names, stays) {
		full := quoted(schema) + "." + quoted(name)
		query := "SELECT EXISTS (SELECT 1 FROM " + full + ")"
		var foreign bool
		if err := q.QueryRow(ctx, query).Scan(&foreign); err != nil {
			return err
		}
		if foreign {
			return fmt.Errorf("the table %s.%s of the target holds rows already, and not of a move of this installation: name an empty database", schema, name)
		}
	}
	return nil
}

// claim notes whose move is about to fill the target, before any migration writes a row: a move that is interrupted in the midst of
// them must know its own again.
func (t *target) claim(ctx context.Context, logKey string) error {
	return t.write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO privacyops_move.installation (id, log_key_sha256, begin_time, end_time) VALUES (1, $1, 0, 0)`, logKey)
		return err
	})
}

// begin writes the journal's other lines, in the same transaction in which it makes sure that every table is empty.
func (t *target) begin(ctx context.Context, logKey string, now time.Time, tables []*task) error {
	return t.write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE privacyops_move.installation SET begin_time = $1 WHERE log_key_sha256 = $2 AND begin_time = 0`, sqldb.Micros(now), logKey)
		if err == nil && n != 1 {
			err = errors.New("the journal of the move was changed meanwhile")
		}
		if err != nil {
			return err
		}
		for _, task := range tables {
			if err := tx.QueryRow(ctx, "SELECT 1 FROM "+task.full()+" LIMIT 1").Scan(new(int64)); !errors.Is(err, sqldb.ErrNoRows) {
				return errors.Join(fmt.Errorf("the table %s of the target is not empty any more: something else writes to it", task), err)
			}
			if _, err := tx.Exec(ctx, `INSERT INTO privacyops_move.progress (service, name, total, sha256, copied) VALUES ($1, $2, $3, $4, 0)`,
				task.service, task.name, task.total, task.sha256); err != nil {
				return err
			}
		}
		return nil
	})
}

// resume reads how far each table is, and refuses to go on with a source that is not what it was.
func (t *target) resume(ctx context.Context, tables []*task) error {
	return t.read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		for _, task := range tables {
			var total int64
			var sha256 string
			err := q.QueryRow(ctx, `SELECT total, sha256, copied FROM privacyops_move.progress WHERE service = $1 AND name = $2`,
				task.service, task.name).Scan(&total, &sha256, &task.copied)
			switch {
			case errors.Is(err, sqldb.ErrNoRows):
				return fmt.Errorf("the table %s was not there when the move began: begin again with an empty database", task)
			case err != nil:
				return err
			case total != task.total || sha256 != task.sha256:
				return fmt.Errorf("the table %s has changed in the data folder since the move began: the installation went on meanwhile; begin again with an empty database", task)
			}
		}
		return nil
	})
}

// copied notes a batch, in the transaction that writes it. It fails where another process has noted one meanwhile.
func noteCopied(ctx context.Context, tx sqldb.Tx, t table, before, after int64) error {
	n, err := tx.Exec(ctx, `UPDATE privacyops_move.progress SET copied = $1 WHERE service = $2 AND name = $3 AND copied = $4`,
		after, t.service, t.name, before)
	if err == nil && n != 1 {
		err = errors.New("another process moves this installation at the same time")
	}
	return err
}

// finish notes that everything was found to be equal.
func (t *target) finish(ctx context.Context, now time.Time) error {
	return t.write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE privacyops_move.installation SET end_time = $1 WHERE id = 1`, sqldb.Micros(now))
		return err
	})
}
