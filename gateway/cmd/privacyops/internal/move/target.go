package move

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/privacyops/privacyops/libs/sqldb"
)

// journalSchema is the schema of the journal. It may be dropped when a move is done.
const journalSchema = "privacyops_move"

// inSchema is the URL of a schema of the target, as `privacyops serve --database` makes it.
func inSchema(database, schema string) string {
	joint := "?"
	if strings.Contains(database, "?") {
		joint = "&"
	}
	return database + joint + "schema=" + schema
}

// Place says where a database is, without user, password and parameters.
func Place(database string) (string, error) {
	u, err := url.Parse(database)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return "", errors.New("the target is a PostgreSQL URL, postgres://user@host/database; special characters in a password are written as %XX")
	}
	return "postgres://" + u.Host + u.Path, nil
}

// target is the PostgreSQL database that is moved to.
type target struct{ db *sqldb.DB }

func openTarget(ctx context.Context, database string) (*target, error) {
	db, err := sqldb.Open(ctx, sqldb.Config{URL: inSchema(database, journalSchema)})
	if err != nil {
		return nil, err
	}
	return &target{db}, nil
}

// read runs f on one snapshot of all controllers' rows.
func (t *target) read(ctx context.Context, f func(ctx context.Context, q sqldb.Querier) error) error {
	return t.db.Read(sqldb.WithAllControllers(ctx), f)
}

// write runs f in one transaction that may write all controllers' rows.
func (t *target) write(ctx context.Context, f func(ctx context.Context, tx sqldb.Tx) error) error {
	return t.db.Write(sqldb.WithAllControllers(ctx), f)
}

// each calls scan for every row of a query.
func each(ctx context.Context, q sqldb.Querier, scan func(sqldb.Rows) error, query string, args ...any) error {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func tablesIn(ctx context.Context, q sqldb.Querier, schema string) (names []string, err error) {
	err = each(ctx, q, func(r sqldb.Rows) error {
		var name string
		err := r.Scan(&name)
		names = append(names, name)
		return err
	}, `SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') ORDER BY c.relname::text COLLATE "C"`, schema)
	return names, err
}

// typesOf are the types of a table's columns, by name.
func typesOf(ctx context.Context, q sqldb.Querier, schema, table string) (map[string]string, error) {
	types := map[string]string{}
	err := each(ctx, q, func(r sqldb.Rows) error {
		var name, pgType string
		err := r.Scan(&name, &pgType)
		types[name] = pgType
		return err
	}, `SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)
		FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''`, schema, table)
	return types, err
}

// references are, for each table of a schema, the tables whose rows its rows need.
func references(ctx context.Context, q sqldb.Querier, schema string) (map[string][]string, error) {
	needs := map[string][]string{}
	err := each(ctx, q, func(r sqldb.Rows) error {
		var from, to string
		err := r.Scan(&from, &to)
		needs[from] = append(needs[from], to)
		return err
	}, `SELECT c.relname::text, f.relname::text
		FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class f ON f.oid = k.confrelid
		WHERE k.contype = 'f' AND n.nspname = $1 AND c.oid <> f.oid`, schema)
	return needs, err
}

// versionIn asks for a number; 0 where there is no such table or no row in it.
func versionIn(ctx context.Context, q sqldb.Querier, schema, table, query string) (n int64, err error) {
	names, err := tablesIn(ctx, q, schema)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if name == table {
			err = q.QueryRow(ctx, query).Scan(&n)
			return n, err
		}
	}
	return 0, nil
}

// continueSequences makes the numbers that the schema gives go on after the highest that was copied.
func continueSequences(ctx context.Context, tx sqldb.Tx, tables []table) error {
	for _, t := range tables {
		for _, c := range t.columns {
			if c.kind.name != "number" {
				continue
			}
			var sequence string
			if err := tx.QueryRow(ctx, `SELECT coalesce(pg_get_serial_sequence($1, $2), '')`, t.full(), c.name).Scan(&sequence); err != nil {
				return err
			}
			if sequence == "" {
				continue
			}
			var highest int64
			if err := tx.QueryRow(ctx, "SELECT coalesce(max("+quoted(c.name)+"), 0)::bigint FROM "+t.full()).Scan(&highest); err != nil {
				return err
			}
			if highest < 1 {
				continue
			}
			if _, err := tx.Exec(ctx, `SELECT setval($1::regclass, $2)`, sequence, highest); err != nil {
				return fmt.Errorf("%s: let the numbers go on: %w", t, err)
			}
		}
	}
	return nil
}
