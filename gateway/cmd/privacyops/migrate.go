package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/privacyops/privacyops/services/audit"
	"github.com/privacyops/privacyops/services/consent"
	"github.com/privacyops/privacyops/services/erasure"
	"github.com/privacyops/privacyops/services/export"
)

// migrateCommand brings databases up to date.
type migrateCommand struct {
	ConsentDatabase string `help:"URL of the consent service's database, as the role that owns its schema." placeholder:"URL" env:"PRIVACYOPS_CONSENT_DATABASE"`
	ExportDatabase  string `help:"URL of the export service's database, as the role that owns its schema." placeholder:"URL" env:"PRIVACYOPS_EXPORT_DATABASE"`
	ErasureDatabase string `help:"URL of the erasure service's database, as the role that owns its schema." placeholder:"URL" env:"PRIVACYOPS_ERASURE_DATABASE"`
	KeysDatabase    string `help:"URL of the database of the audit service's keys, as the role that owns its schema." name:"audit-keys-database" placeholder:"URL" env:"PRIVACYOPS_AUDIT_KEYS_DATABASE"`
	AuditDatabase   string `help:"URL of the audit service's database, as the role that owns its schema." placeholder:"URL" env:"PRIVACYOPS_AUDIT_DATABASE"`
}

// migrateNoted brings the audit service's database up to date and notes there what is about to happen to the others. It comes first:
// before it there may be no table to note anything in.
func migrateNoted(ctx context.Context, database string, tell func(change string)) error {
	if err := audit.Migrate(ctx, database, tell); err != nil {
		return err
	}
	return audit.Note(ctx, database, "maintenance.migrate")
}

// Run brings every database that was named up to date, and says what was done. It goes on after a failure.
func (c *migrateCommand) Run(ctx context.Context) error {
	var errs []error
	named := 0
	for _, s := range []struct {
		name, database string
		migrate        func(ctx context.Context, database string, tell func(change string)) error
	}{
		{"audit", c.AuditDatabase, migrateNoted}, {"audit-keys", c.KeysDatabase, audit.MigrateKeys},
		{"consent", c.ConsentDatabase, consent.Migrate}, {"export", c.ExportDatabase, export.Migrate},
		{"erasure", c.ErasureDatabase, erasure.Migrate},
	} {
		if s.database == "" {
			continue
		}
		named++
		changes := 0
		err := s.migrate(ctx, s.database, func(change string) {
			changes++
			fmt.Fprintf(os.Stderr, "%s: %s\n", s.name, change)
		})
		switch {
		case err != nil:
			errs = append(errs, err)
		case changes == 0:
			fmt.Fprintf(os.Stderr, "%s: nothing to do\n", s.name)
		}
	}
	if named == 0 {
		return errors.New("no database is named; name one or more, for example with --consent-database or PRIVACYOPS_CONSENT_DATABASE")
	}
	return errors.Join(errs...)
}
