package move

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite" // also the database/sql driver "sqlite"
)

// source is the SQLite file of one service, open for reading alone.
type source struct {
	service string
	db      *sql.DB
}

func openSource(service, path string) (*source, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("there is no file %s: only an embedded installation that has been started can be moved", path)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	query := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)", "query_only(1)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: filepath.ToSlash(absolute), RawQuery: query.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("%s: the driver refused the file", service)
	}
	return &source{service, db}, nil
}

func (s *source) close() error { return s.db.Close() }

// failed strips an error of SQLite down to its code: its text may hold values.
func (s *source) failed(ctx context.Context, err error) error {
	var native *sqlite.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &native):
		return fmt.Errorf("read %s.db: SQLite error %d", s.service, native.Code())
	}
	return fmt.Errorf("read %s.db: the driver refused the call", s.service)
}

// column is a column as SQLite's catalog has it. key counts from 1 in the order of the primary key; 0: not part of it.
type column struct {
	name string
	key  int
}

// tables are the names of the file's tables.
func (s *source) tables(ctx context.Context) (names []string, err error) {
	err = s.each(ctx, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		names = append(names, name)
		return err
	}, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`)
	return names, err
}

func (s *source) columns(ctx context.Context, table string) (columns []column, err error) {
	err = s.each(ctx, func(rows *sql.Rows) error {
		var c column
		err := rows.Scan(&c.name, &c.key)
		columns = append(columns, c)
		return err
	}, `SELECT name, pk FROM pragma_table_info($1) ORDER BY name`, table)
	return columns, err
}

func (s *source) each(ctx context.Context, f func(*sql.Rows) error, query string, args ...any) error {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return s.failed(ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return s.failed(ctx, err)
		}
	}
	return s.failed(ctx, rows.Err())
}

// version asks for a number; 0 where there is no such table or no row in it.
func (s *source) version(ctx context.Context, table, query string) (n int64, err error) {
	names, err := s.tables(ctx)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if name == table {
			err = s.each(ctx, func(rows *sql.Rows) error { return rows.Scan(&n) }, query)
			return n, err
		}
	}
	return 0, nil
}

// rows reads a table in the order of its key, from row number skip on.
func (s *source) rows(ctx context.Context, t table, skip int64) (*sourceRows, error) {
	var list, order []string
	for _, c := range t.columns {
		list = append(list, on(c.kind.read, quoted(c.name)))
	}
	for _, i := range t.key {
		order = append(order, quoted(t.columns[i].name)+" COLLATE BINARY")
	}
	//nolint:gosec,rowserrcheck // the names are those of the catalog, quoted; next asks for the error
	rows, err := s.db.QueryContext(ctx, "SELECT "+strings.Join(list, ", ")+" FROM "+quoted(t.name)+
		" ORDER BY "+strings.Join(order, ", ")+" LIMIT -1 OFFSET $1", skip)
	if err != nil {
		return nil, s.failed(ctx, err)
	}
	return &sourceRows{ctx: ctx, source: s, rows: rows, reader: newReader(t)}, nil
}

// sourceRows is a table being read.
type sourceRows struct {
	ctx    context.Context
	source *source
	rows   *sql.Rows
	reader reader
}

// next gives the next row, nil after the last. The row is valid until the next call.
func (r *sourceRows) next() ([]any, error) {
	if !r.rows.Next() {
		return nil, r.source.failed(r.ctx, r.rows.Err())
	}
	if err := r.rows.Scan(r.reader.into...); err != nil {
		return nil, r.source.failed(r.ctx, err)
	}
	return r.reader.row()
}

func (r *sourceRows) close() { _ = r.rows.Close() }

// quoted is a name in a statement of either engine.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
