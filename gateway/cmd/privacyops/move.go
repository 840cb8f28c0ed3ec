package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/move"
	"github.com/privacyops/privacyops/services/audit"
	"github.com/privacyops/privacyops/services/consent"
	"github.com/privacyops/privacyops/services/erasure"
	"github.com/privacyops/privacyops/services/export"
)

// moveCommand carries an embedded installation to PostgreSQL: its consents, erasures, exports and the index of its audit log,
// each into a schema of its own. The data folder keeps the log, the keys, the packages and the ledger, and is still needed:
// afterwards `privacyops serve --data … --database …` goes on. Interrupted, it is run again.
type moveCommand struct {
	From string `help:"Data folder of the embedded installation, which must be stopped." default:".privacyops" env:"PRIVACYOPS_DATA"`
	To   string `help:"URL of the PostgreSQL database to move to; a database that holds nothing else of privacyops." required:"" env:"PRIVACYOPS_DATABASE"`
	JSON bool   `help:"Report as JSON on standard output." name:"json"`
}

// movedServices are those with a database of their own.
func movedServices() []move.Service {
	return []move.Service{{Name: "audit", Migrate: audit.Migrate}, {Name: "audit_keys", Migrate: audit.MigrateKeys}, {Name: "consent", Migrate: consent.Migrate},
		{Name: "export", Migrate: export.Migrate}, {Name: "erasure", Migrate: erasure.Migrate}}
}

// Run moves. Exit code 0 only if both engines hold the same.
func (c *moveCommand) Run(ctx context.Context) error {
	report, err := move.Run(ctx, move.Options{DataDir: c.From, To: c.To, Services: movedServices(),
		Note: func(ctx context.Context, database string) error { return audit.Note(ctx, database, "maintenance.move") }, Progress: moveLines(os.Stderr), Now: time.Now})
	if err != nil {
		return fmt.Errorf("%w\nThe installation is in %s as it was; nothing is lost. When the cause is gone, run the same command again", err, c.From)
	}
	if c.JSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(report); err != nil {
			return err
		}
	}
	movedWords(os.Stderr, c.From, report)
	if !report.Verified {
		return exitError(exitNotVerified)
	}
	return nil
}

// moveLines prints progress: the end of each table that holds something, and what is in between where it takes longer than a
// second.
func moveLines(w io.Writer) func(move.Progress) {
	var last time.Time
	return func(p move.Progress) {
		now := time.Now()
		if p.Total == 0 || p.Rows < p.Total && now.Sub(last) < time.Second {
			return
		}
		last = now
		fmt.Fprintf(w, "%-6s  %-32s %10d of %10d rows  %3d %%\n", p.Step, p.Service+"."+p.Table, p.Rows, p.Total, 100*p.Rows/p.Total)
	}
}

func movedWords(w io.Writer, from string, r *move.Report) {
	for _, t := range r.Tables {
		if !t.Equal() {
			fmt.Fprintf(w, "DIFFERENT: %s.%s has %d rows in the data folder and %d in PostgreSQL: %d missing, %d too many, %d changed\n",
				t.Service, t.Name, t.Rows, t.TargetRows, t.Missing, t.Extra, t.Changed)
		}
	}
	switch {
	case r.Before != nil:
		fmt.Fprintf(w, "This installation was moved to %s on %s; there is nothing to do.\n", r.To, r.Before.Format(time.DateOnly))
	case r.Verified:
		fmt.Fprintf(w, "VERIFIED: %d rows of %d tables are the same in %s and in %s.\n", r.Rows, len(r.Tables), from, r.To)
	default:
		fmt.Fprintf(w, "NOT VERIFIED: %s is not a true copy; something else wrote to it. The installation is in %s as it was.\nEmpty the database and move again.\n", r.To, from)
		return
	}
	fmt.Fprintf(w, "Go on with: privacyops serve --data %s --database %s (with its user and password)\n"+
		"Keep the folder: the log, the keys, the packages and the ledger stay there. Its *.db files are not used any more;\n"+
		"they hold personal data by pseudonym, so destroy them when you trust the new place.\n", from, r.To)
}
