package sqlmap

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	_ "modernc.org/sqlite"             // driver "sqlite"
)

// Engine is a kind of database.
type Engine string

// The engines that the adapter speaks.
const (
	SQLite     Engine = "sqlite"
	PostgreSQL Engine = "postgres"
)

// openTarget opens the system's database. For SQLite dsn is the path of an existing
// file. Deleted content is overwritten (secure_delete) and a name in double quotes is
// never read as a string, which SQLite does by default when a column has disappeared.
func openTarget(e Engine, dsn string) (*sql.DB, error) {
	switch e {
	case PostgreSQL:
		db, err := sql.Open("pgx", dsn)
		if err != nil { // the driver's text quotes the DSN, which may hold a password
			return nil, fmt.Errorf("sqlmap: the PostgreSQL connection string cannot be read")
		}
		return db, nil
	case SQLite:
		dsn, err := sqliteDSN(dsn, "rw")
		if err != nil {
			return nil, err
		}
		return sql.Open("sqlite", dsn)
	}
	return nil, fmt.Errorf("sqlmap: engine %q is not one of sqlite, postgres", string(e))
}

// sqliteDSN is a URI for a file, whatever its name contains.
func sqliteDSN(path, mode string, pragmas ...string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	q := url.Values{"mode": {mode}, "_txlock": {"immediate"}, "_dqs": {"0"}}
	q["_pragma"] = append([]string{"busy_timeout(10000)", "foreign_keys(1)", "secure_delete(1)"}, pragmas...)
	u := url.URL{Scheme: "file", Path: abs, RawQuery: q.Encode()}
	return u.String(), nil
}

// readCatalogue reads the catalogue; for PostgreSQL of the schema, or of the current
// one when schema is empty, and returns the schema's name to qualify tables with.
func readCatalogue(ctx context.Context, e Engine, q querier, schema string) (catalogue, string, error) {
	if e == SQLite {
		cat, err := readSQLite(ctx, q, "")
		return cat, "", failed("reading the catalogue", err)
	}
	err := scan(ctx, q, postgresSchema, []any{schema}, func(read func(...any) error) error { return read(&schema) })
	if err != nil {
		return nil, "", failed("reading the catalogue", err)
	}
	cat, err := readPostgres(ctx, q, schema)
	return cat, schema, failed("reading the catalogue", err)
}
