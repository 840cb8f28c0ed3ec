package sample

import (
	"context"
	"database/sql"
	_ "embed" // schema.sql
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the database/sql driver "sqlite"
)

//go:embed schema.sql
var schema string

// Open opens a sample database to look at: it cannot be changed through the result.
func Open(path string) (*sql.DB, error) {
	return open(path, "ro")
}

func open(path, mode string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sample: open database: %w", err)
	}
	query := url.Values{"mode": {mode}, "_pragma": {"busy_timeout(10000)", "foreign_keys(1)"}}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, fmt.Errorf("sample: open database: %w", err)
	}
	return db, nil
}

// Build makes the database in a new file with mode 0600, in one transaction. A file that exists is an error (fs.ErrExist) and
// stays as it is; after any other error there is no file.
func Build(ctx context.Context, path string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("sample: make database: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(path)
		}
	}()
	if err := f.Close(); err != nil {
		return fmt.Errorf("sample: make database: %w", err)
	}
	db, err := open(path, "rw")
	if err != nil {
		return err
	}
	defer func() {
		if cerr := db.Close(); err == nil {
			err = cerr
		}
	}()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("sample: make database: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, schema); err != nil {
		return fmt.Errorf("sample: make tables: %w", err)
	}
	if err := fill(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("sample: make database: %w", err)
	}
	return nil
}

// fill writes all rows.
func fill(ctx context.Context, tx *sql.Tx) error {
	b := &builder{ctx: ctx, tx: tx, stmts: map[string]*sql.Stmt{}, last: map[string]int64{}, world: newWorld()}
	b.register()
	b.work()
	b.talk()
	b.traces()
	for _, s := range b.stmts {
		_ = s.Close()
	}
	return b.err
}

// builder writes rows. After an error it writes no more, so that only the end needs to look.
type builder struct {
	ctx   context.Context
	tx    *sql.Tx
	stmts map[string]*sql.Stmt
	last  map[string]int64
	err   error
	*world
	courses []course
}

// course is a course with the people in it.
type course struct {
	id      int64
	class   int
	teacher int64
	subject subject
}

// row writes a row.
func (b *builder) row(table string, values ...any) {
	if b.err != nil {
		return
	}
	s := b.stmts[table]
	if s == nil {
		query := `INSERT INTO "` + table + `" VALUES (` + strings.TrimSuffix(strings.Repeat("?,", len(values)), ",") + `)` //nolint:gosec // the tables are named in this package
		if s, b.err = b.tx.PrepareContext(b.ctx, query); b.err != nil {
			b.err = fmt.Errorf("sample: fill table %s: %w", table, b.err)
			return
		}
		b.stmts[table] = s
	}
	if _, err := s.ExecContext(b.ctx, values...); err != nil {
		b.err = fmt.Errorf("sample: fill table %s: %w", table, err)
	}
}

// add writes a row whose key is the next number of its table, and returns the key.
func (b *builder) add(table string, values ...any) int64 {
	b.last[table]++
	b.row(table, append([]any{b.last[table]}, values...)...)
	return b.last[table]
}

// schoolYear begins here. Everything that happens is told in days from it.
var schoolYear = time.Date(2026, time.August, 10, 8, 0, 0, 0, time.UTC)

func day(n int) string { return schoolYear.AddDate(0, 0, n).Format(time.DateOnly) }

func minute(n, m int) string {
	return schoolYear.AddDate(0, 0, n).Add(time.Duration(m) * time.Minute).Format(time.RFC3339)
}

// or is v, or nothing for an empty text.
func or(v string) any {
	if v == "" {
		return nil
	}
	return v
}

// register writes schools, people, classes and courses.
func (b *builder) register() {
	b.row("schools", Controller, "Sønderskolen", institutionNumbers[Controller])
	b.row("schools", OtherController, "Vesterskolen", institutionNumbers[OtherController])
	for _, p := range b.people {
		b.row("users", p.Key, p.Controller, p.UniLogin, p.LocalPersonID, p.Role, p.FirstName, p.LastName, p.DisplayName,
			p.Email, or(p.Phone), or(p.born), or(p.guardianName), or(p.GuardianEmail), or(p.guardianPhone), day(-int(p.Key)))
	}
	for i, c := range b.classes {
		id := b.add("classes", c.school, c.name, c.level, c.teacher)
		b.row("enrolments", c.teacher, id, day(0))
		for _, pupil := range c.pupils {
			b.row("enrolments", pupil, id, day(0))
		}
		for n, s := range subjects {
			teacher := b.staff(c.school, i+n)
			b.courses = append(b.courses, course{b.add("courses", id, s.name, teacher), i, teacher, s})
		}
		b.add("notices", c.school, "Forældremøde i "+c.name+" kl. 17 i festsalen.", day(20+i))
	}
}

// staff is the n-th teacher of a school, round and round.
func (b *builder) staff(school string, n int) int64 {
	first := int64(1)
	for _, p := range plans {
		if p.school == school {
			return first + int64(n%p.staff)
		}
		first += int64(p.staff + len(p.classes)*p.size)
	}
	return first
}
