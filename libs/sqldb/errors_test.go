package sqldb_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
)

// secret stands for a personal identifier: it must not appear in any error.
const secret = "freja.holm"

func TestConstraintErrors(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := open(t, engine)
		if err := exec(t, db, insertPerson, 1, secret); err != nil {
			t.Fatal(err)
		}
		tests := map[string]struct {
			query  string
			args   []any
			unique bool
			sqlite string // what names the place
			pg     string
		}{
			"unique":      {insertPerson, []any{2, secret}, true, "person.email", "table person, constraint person_email_key"},
			"primary key": {`INSERT INTO team (id) VALUES ($1), ($1)`, []any{secret}, true, "team.id", "constraint team_pkey"},
			"not null":    {insertPerson, []any{2, nil}, false, "person.email", "table person, column email"},
			"check":       {`UPDATE person SET age = -1 WHERE email = $1`, []any{secret}, false, "age_is_positive", "age_is_positive"},
			"foreign key": {`UPDATE person SET team = $1`, []any{secret}, false, "FOREIGN KEY", "constraint person_team_fkey"},
		}
		for name, tt := range tests {
			err := exec(t, db, tt.query, tt.args...)
			names := map[sqldb.Engine]string{sqldb.SQLite: tt.sqlite, sqldb.Postgres: tt.pg}[engine]
			if err == nil || !strings.Contains(err.Error(), names) {
				t.Errorf("%s: %v, want an error that names %s", name, err, names)
			}
			if got := sqldb.IsUniqueViolation(err); got != tt.unique {
				t.Errorf("%s: IsUniqueViolation = %t", name, got)
			}
			if errors.Is(err, sqldb.ErrUnavailable) {
				t.Errorf("%s: ErrUnavailable", name)
			}
		}
	})
}

func TestErrorsHoldNoValues(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := open(t, engine)
		if err := exec(t, db, insertPerson, 1, secret); err != nil {
			t.Fatal(err)
		}
		var number int64
		var text string
		for name, fn := range map[string]func(ctx context.Context, tx sqldb.Tx) error{
			"unique": func(ctx context.Context, tx sqldb.Tx) error {
				_, err := tx.Exec(ctx, insertPerson, 2, secret)
				return err
			},
			"scan into a number": func(ctx context.Context, tx sqldb.Tx) error {
				return tx.QueryRow(ctx, `SELECT email FROM person`).Scan(&number)
			},
			"scan NULL": func(ctx context.Context, tx sqldb.Tx) error {
				return tx.QueryRow(ctx, `SELECT NULL FROM person WHERE email = $1`, secret).Scan(&text)
			},
			"scan too few columns": func(ctx context.Context, tx sqldb.Tx) error {
				return tx.QueryRow(ctx, `SELECT id, email FROM person`).Scan(&number)
			},
			"JSON path": func(ctx context.Context, tx sqldb.Tx) error {
				return tx.QueryRow(ctx, `SELECT json_extract('{}', $1)`, secret).Scan(&text)
			},
			"JSON text": func(ctx context.Context, tx sqldb.Tx) error {
				return tx.QueryRow(ctx, `SELECT json($1)`, secret).Scan(&text)
			},
			"bad argument": func(ctx context.Context, tx sqldb.Tx) error {
				_, err := tx.Exec(ctx, insertPerson, 2, struct{ name string }{secret})
				return err
			},
			"job arguments": func(ctx context.Context, tx sqldb.Tx) error {
				return tx.Enqueue(ctx, sqldb.Job{Kind: "greet", Args: loud{}})
			},
			"no such table": func(ctx context.Context, tx sqldb.Tx) error {
				_, err := tx.Exec(ctx, `DELETE FROM pupils WHERE name = $1`, secret)
				return err
			},
		} {
			err := db.Write(t.Context(), fn)
			if err == nil {
				t.Errorf("%s: no error", name)
			} else if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error holds a value: %v", name, err)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(e.Error(), secret) {
					t.Errorf("%s: a wrapped error holds a value: %v", name, e)
				}
			}
		}
	})
}

// loud cannot be marshalled and says so with data.
type loud struct{}

func (loud) MarshalJSON() ([]byte, error) { return nil, errors.New("cannot marshal " + secret) }

func TestErrorsSayWhatADeveloperNeeds(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := open(t, engine)
		for query, wants := range map[string][2]string{
			`DELETE FROM pupils`:                    {"no such table: pupils", `relation "pupils" does not exist`},
			`SELECT x FROM person`:                  {"no such column: x", `column "x" does not exist`},
			`SELEKT 1`:                              {`near "SELEKT"`, `near "SELEKT"`},
			`SELECT "freja"`:                        {"no such column", "does not exist"}, // a string in double quotes is a mistake
			`SELECT email FROM person, person AS p`: {"ambiguous", "ambiguous"},
		} {
			want := wants[0]
			if engine == sqldb.Postgres {
				want = wants[1]
			}
			if err := exec(t, db, query); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", query, err, want)
			}
		}
	})
}

func TestNoRows(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := open(t, engine)
		err := db.Read(t.Context(), func(ctx context.Context, q sqldb.Querier) error {
			var id int64
			return q.QueryRow(ctx, `SELECT id FROM person WHERE id = $1`, 1).Scan(&id)
		})
		if !errors.Is(err, sqldb.ErrNoRows) {
			t.Errorf("Scan without a row = %v, want ErrNoRows", err)
		}
	})
}

func TestFullDiskIsUnavailable(t *testing.T) {
	t.Parallel()
	db := open(t, sqldb.SQLite)
	err := db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
		var pages int64
		// SQLite lowers the limit no further than to the pages there are.
		if err := tx.QueryRow(ctx, `PRAGMA max_page_count = 1`).Scan(&pages); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, insertPerson, 1, strings.Repeat("x", 100_000))
		return err
	})
	if !errors.Is(err, sqldb.ErrUnavailable) {
		t.Errorf("Write to a full disk = %v, want ErrUnavailable", err)
	}
	if n := count(t, db, countPeople); n != 0 {
		t.Errorf("%d rows were kept", n)
	}
}

func TestBusyDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	one := openAt(t, "sqlite:"+path, people)
	two, err := sqldb.Open(t.Context(), sqldb.Config{URL: "sqlite:" + path, BusyTimeout: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	err = one.Write(t.Context(), func(context.Context, sqldb.Tx) error {
		err := two.Write(t.Context(), func(context.Context, sqldb.Tx) error { return nil })
		if !errors.Is(err, sqldb.ErrUnavailable) {
			t.Errorf("Write while another process writes = %v, want ErrUnavailable", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCancelledContextKeepsItsKind(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := open(t, engine)
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
			cancel()
			var n int64
			return q.QueryRow(ctx, countPeople).Scan(&n)
		})
		if !errors.Is(err, context.Canceled) || errors.Is(err, sqldb.ErrUnavailable) {
			t.Errorf("a query with a cancelled context = %v, want context.Canceled alone", err)
		}
	})
}
