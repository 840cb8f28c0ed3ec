package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit"
)

// noted are the actions that wait in a database to go into the log.
func noted(t *testing.T, database string) (actions []string) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{URL: database})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Read(sqldb.WithAllControllers(t.Context()), func(ctx context.Context, q sqldb.Querier) error {
		rows, err := q.Query(ctx, `SELECT event FROM audit_outbox ORDER BY id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			e, err := outbox.Decode(text)
			if err != nil {
				return err
			}
			actions = append(actions, e.GetAction())
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return actions
}

// TestVerbsAreNoted: what an operator does with the command line is in the log before it is done; where it cannot be, it is not done.
func TestVerbsAreNoted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	database := "sqlite:" + filepath.Join(dir, "audit.db")
	token := tokenCommand{Data: dir, Role: "dpo", Controller: []string{"north"}, SubjectName: "somebody", Expires: time.Hour}
	if err := token.Run(t.Context()); err != nil {
		t.Fatalf("where there is no log yet: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "audit.db")); err == nil {
		t.Error("a token has made a database")
	}
	if err := (&migrateCommand{AuditDatabase: database}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := token.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := noted(t, database); !slices.Equal(got, []string{"maintenance.migrate", "token.issue"}) {
		t.Errorf("noted: %v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "audit.db"), []byte("no database at all, but some bytes of text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := token.Run(t.Context()); err == nil {
		t.Error("a token was made that could not be noted")
	}
	if err := audit.Note(t.Context(), "sqlite:"+filepath.Join(dir, "nowhere.db"), "token.issue"); err == nil {
		t.Error("noted where there is nothing")
	}
}
