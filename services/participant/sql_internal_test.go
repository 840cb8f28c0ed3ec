package participant

import (
	"errors"
	"fmt"
	"testing"

	"github.com/privacyops/privacyops/services/participant/internal/sqlmap"
)

func TestDatabaseURLs(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]struct {
		engine sqlmap.Engine
		dsn    string
	}{
		"sqlite:/var/lib/lms.db":          {sqlmap.SQLite, "/var/lib/lms.db"},
		"sqlite:///var/lib/lms.db":        {sqlmap.SQLite, "/var/lib/lms.db"},
		"sqlite:lms.db":                   {sqlmap.SQLite, "lms.db"},
		"postgres://u@h/d?sslmode=verify": {sqlmap.PostgreSQL, "postgres://u@h/d?sslmode=verify"},
		"postgresql://u@h/d":              {sqlmap.PostgreSQL, "postgresql://u@h/d"},
		"sqlite:":                         {},
		"sqlite:lms.db?mode=memory":       {},
		"/var/lib/lms.db":                 {},
		"":                                {},
	} {
		engine, dsn, err := database(url)
		if engine != want.engine || dsn != want.dsn || (err == nil) != (want.engine != "") {
			t.Errorf("%q: engine %q, %q, %v", url, engine, dsn, err)
		}
	}
}

func TestWhichDatabaseErrorsPass(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		"":                 true,  // no answer
		"SQLSTATE 08006":   true,  // connection failure
		"SQLSTATE 40P01":   true,  // deadlock
		"SQLSTATE 53300":   true,  // too many connections
		"SQLSTATE 57P01":   true,  // shutting down
		"SQLSTATE 42703":   false, // a column is gone
		"SQLSTATE 23503":   false, // a foreign key holds a row
		"SQLSTATE 0":       false,
		"SQLite code 5":    true,  // busy
		"SQLite code 517":  true,  // busy, extended
		"SQLite code 13":   true,  // full
		"SQLite code 787":  false, // a foreign key holds a row
		"SQLite code 1":    false, // a column is gone
		"SQLite code five": false,
		"another engine":   false,
	} {
		err := fmt.Errorf("wrapped: %w", &sqlmap.DatabaseError{Doing: "counting", Code: code})
		if text, got := explain(err); got != want || text == "" {
			t.Errorf("%q: unavailable %v (%q), want %v", code, got, text, want)
		}
	}
	if text, down := explain(errors.New("no rows for anna@skole.example")); down || text != "" {
		t.Errorf("an unknown error is explained by %q", text)
	}
}
