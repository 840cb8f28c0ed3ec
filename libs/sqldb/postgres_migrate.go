package sqldb

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/rivermigrate"
)

func (b *postgresBackend) migrate(ctx context.Context, migrations fs.FS) error {
	if err := b.makeSchema(ctx); err != nil {
		return err
	}
	jobs, err := rivermigrate.New(b.driver, &rivermigrate.Config{Logger: b.cfg.Logger, Schema: b.schema})
	if err != nil {
		return fmt.Errorf("sqldb: prepare the job table's migrations: %w", err)
	}
	applied, err := jobs.Migrate(ctx, rivermigrate.DirectionUp, nil)
	if err != nil {
		return fmt.Errorf("migrate the job table: %w", postgresFailure(ctx, err))
	}
	tellJobs(b.cfg.Changed, applied)
	if migrations == nil {
		return nil
	}
	own, err := fs.Sub(migrations, string(Postgres))
	if err != nil {
		return fmt.Errorf("sqldb: migrations folder %s: %w", Postgres, err)
	}
	pool := stdlib.OpenDBFromPool(b.pool) // goose knows database/sql alone
	defer pool.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, pool, own, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("sqldb: read the migrations in %s: %w", Postgres, err)
	}
	done, err := provider.Up(ctx)
	if err != nil {
		return migrationFailure(err, postgresMigrationCause(ctx, err))
	}
	tell(b.cfg.Changed, done)
	return nil
}

// hasTable looks in the schema in which a table would be made.
func (b *postgresBackend) hasTable(ctx context.Context, name string) (there bool, err error) {
	err = b.pool.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = current_schema() AND c.relname = $1 AND c.relkind IN ('r', 'p'))`, name).Scan(&there)
	return there, postgresFailure(ctx, err)
}

// makeSchema asks first, because CREATE SCHEMA IF NOT EXISTS wants the right to create
// one even where there is nothing to do.
func (b *postgresBackend) makeSchema(ctx context.Context) error {
	if b.schema == "" {
		return nil
	}
	var there bool
	err := b.pool.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)`, b.schema).Scan(&there)
	if err == nil && !there {
		_, err = b.pool.Exec(ctx, "CREATE SCHEMA "+pgx.Identifier{b.schema}.Sanitize())
	}
	if err != nil {
		return fmt.Errorf("make schema %s: %w", b.schema, postgresFailure(ctx, err))
	}
	return nil
}

// postgresMigrationCause leaves alone what goose itself has to say.
func postgresMigrationCause(ctx context.Context, err error) error {
	var native *pgconn.PgError
	if errors.As(err, &native) || ctx.Err() != nil || connectionFailed(err) {
		return postgresFailure(ctx, err)
	}
	return err
}

// lock holds a session's advisory lock on a connection of its own, outside the pool. It
// ends with the connection, so with the process; also when the server or the network
// goes away, which the holder learns only when it next uses the database.
func (b *postgresBackend) lock(ctx context.Context, name string, wait bool) (func() error, error) {
	if !lockName.MatchString(name) {
		return nil, errors.New("sqldb: the name of a lock is a lower-case word")
	}
	config := b.pool.Config().ConnConfig
	config.RuntimeParams["lock_timeout"] = "0" // ctx decides
	config.RuntimeParams["idle_session_timeout"] = "0"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, postgresFailure(ctx, err)
	}
	key, taken, err := b.takeLock(ctx, conn, name, wait)
	if err != nil || !taken {
		err = postgresFailure(ctx, err)
		if err == nil {
			err = &Error{text: "the lock " + name + " is taken", kinds: []error{ErrLocked}}
		}
		_ = closeSoon(conn)
		return nil, err
	}
	return func() error {
		// A closed connection gives its locks back, but a moment later.
		ctx, cancel := context.WithTimeout(context.Background(), rollbackTimeout)
		defer cancel()
		_, err := conn.Exec(ctx, `SELECT pg_advisory_unlock($1)`, key)
		return errors.Join(postgresFailure(ctx, err), closeSoon(conn))
	}, nil
}

func (b *postgresBackend) takeLock(ctx context.Context, conn *pgx.Conn, name string, wait bool) (key int64, taken bool, err error) {
	var database, schema string
	// The schema by its name: it may be there only when its migration has ended.
	err = conn.QueryRow(ctx, `SELECT current_database(), coalesce(nullif($1::text, ''), current_schema(), '')`, b.schema).Scan(&database, &schema)
	if err != nil {
		return 0, false, err
	}
	key = lockKey(database, schema, name)
	if wait {
		_, err = conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, key)
		return key, err == nil, err
	}
	err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, key).Scan(&taken)
	return key, taken, err
}

// lockKey is the number that PostgreSQL knows a lock by.
func lockKey(database, schema, name string) int64 {
	sum := sha256.Sum256([]byte("privacyops\x00" + database + "\x00" + schema + "\x00" + name))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

func closeSoon(conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return conn.Close(ctx)
}
