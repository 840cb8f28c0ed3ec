package sqldb

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

const (
	postgresMaxConns       = 8
	postgresConnectTimeout = 5 * time.Second
	// A snapshot is taken once and kept. What writes sees what others have committed,
	// statement by statement, and locks the rows it decides on.
	beginWrite    = "BEGIN ISOLATION LEVEL READ COMMITTED"
	beginSnapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	setController = "SELECT set_config('privacyops.controller', $1, true)"
)

// postgresBackend is one schema of a PostgreSQL database, behind one pool.
type postgresBackend struct {
	pool   *pgxpool.Pool
	schema string // empty: the first of the search path
	driver *riverpgxv5.Driver
	insert *river.Client[pgx.Tx]
	cfg    Config
}

func openPostgres(ctx context.Context, cfg Config) (*postgresBackend, error) {
	poolConfig, schema, err := postgresConfig(cfg)
	if err != nil {
		return nil, err
	}
	b := &postgresBackend{schema: schema, cfg: cfg}
	if b.pool, err = pgxpool.NewWithConfig(ctx, poolConfig); err != nil {
		return nil, fmt.Errorf("open PostgreSQL database: %w", postgresFailure(ctx, err))
	}
	if err := b.ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open PostgreSQL database: %w", err), b.close())
	}
	b.driver = riverpgxv5.New(b.pool)
	if b.insert, err = newInsertClient(b.driver, cfg, schema); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

var schemaPattern = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// postgresConfig reads the URL. The parser's own errors are not passed on: they repeat
// the URL, which may hold a password.
func postgresConfig(cfg Config) (*pgxpool.Config, string, error) {
	address, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, "", errors.New("sqldb: the database URL cannot be read; special characters in a password are written as %XX")
	}
	c, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, "", errors.New("sqldb: a part of the PostgreSQL URL (host, port, TLS, a pool_… parameter) is wrong, or a file that it names cannot be read")
	}
	if c.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol {
		return nil, "", errors.New("sqldb: default_query_exec_mode=simple_protocol would put arguments into the text of statements")
	}
	if !address.Query().Has("pool_max_conns") {
		c.MaxConns = postgresMaxConns
	}
	if c.ConnConfig.ConnectTimeout == 0 {
		c.ConnConfig.ConnectTimeout = postgresConnectTimeout
	}
	params := c.ConnConfig.RuntimeParams
	setMissing(params, "application_name", "privacyops")
	setMissing(params, "lock_timeout", strconv.FormatInt(max(cfg.BusyTimeout.Milliseconds(), 1), 10))
	schema, err := takeSchema(params)
	return c, schema, err
}

// takeSchema turns our own parameter schema into the search path.
func takeSchema(params map[string]string) (string, error) {
	schema, ok := params["schema"]
	if !ok {
		return "", nil
	}
	delete(params, "schema")
	if !schemaPattern.MatchString(schema) {
		return "", errors.New("sqldb: a schema is up to 63 lower-case letters, digits and underscores")
	}
	if _, ok := params["search_path"]; ok {
		return "", errors.New("sqldb: the database URL has both schema and search_path; schema alone is enough")
	}
	params["search_path"] = schema
	return schema, nil
}

func setMissing(params map[string]string, key, value string) {
	if _, ok := params[key]; !ok {
		params[key] = value
	}
}

func (b *postgresBackend) engine() Engine { return Postgres }

func (b *postgresBackend) begin(ctx context.Context) (session, error) {
	return b.session(ctx, beginWrite)
}

func (b *postgresBackend) snapshot(ctx context.Context) (session, error) {
	return b.session(ctx, beginSnapshot)
}

// session begins a transaction and tells it whose rows it may see, in one round trip.
func (b *postgresBackend) session(ctx context.Context, begin string) (session, error) {
	conn, err := b.pool.Acquire(ctx)
	if err != nil {
		return nil, postgresFailure(ctx, err)
	}
	batch := &pgconn.Batch{}
	batch.ExecParams(begin, nil, nil, nil, nil)
	batch.ExecParams(setController, [][]byte{[]byte(controller(ctx))}, []uint32{pgtype.TextOID}, nil, nil)
	if _, err := conn.Conn().PgConn().ExecBatch(ctx, batch).ReadAll(); err != nil {
		conn.Release() // which closes a connection that is in a transaction
		return nil, postgresFailure(ctx, err)
	}
	return &postgresSession{ctx: ctx, tx: &postgresTx{pooledConn: conn}, insert: b.insert}, nil
}

// wake does nothing: River notifies the runners, in all processes, when the
// transaction commits.
func (b *postgresBackend) wake() {}

func (b *postgresBackend) ping(ctx context.Context) error {
	return postgresFailure(ctx, b.pool.Ping(ctx))
}

// scrub has nothing to do: see the package comment for what the operator has to.
func (b *postgresBackend) scrub(context.Context) error { return nil }

// close waits until every connection has been given back.
func (b *postgresBackend) close() error {
	b.pool.Close()
	return nil
}
