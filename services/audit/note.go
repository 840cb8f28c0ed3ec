package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/google/uuid"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
)

// Note writes the event of an operator's verb into the audit service's database (logging duty L.3: before it acts). The event goes into
// the log at once where the service runs, and otherwise when it runs again. A database file that is not there is not made.
func Note(ctx context.Context, database, action string) error {
	if path, isFile := strings.CutPrefix(database, "sqlite:"); isFile {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("audit: there is no installation to note %s in: %w", action, err)
		}
	}
	db, err := sqldb.Open(ctx, sqldb.Config{URL: database})
	if err != nil {
		return fmt.Errorf("audit: open the database: %w", err)
	}
	o, err := outbox.New(ctx, outbox.Config{Service: name, DB: db, Clock: clock.System(), NewID: func() string { return uuid.Must(uuid.NewV7()).String() }})
	if err == nil {
		err = o.RecordAlone(ctx, outbox.Event{Action: action, Kind: outbox.Admin})
	}
	return errors.Join(err, db.Close())
}
