package audit

import (
	"context"
	"fmt"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
	"github.com/privacyops/privacyops/services/audit/internal/keystore"
)

// openKeys opens the keys of people.
func (s *Service) openKeys(ctx context.Context) (err error) {
	s.keysDB, err = sqldb.Open(ctx, sqldb.Config{URL: s.cfg.KeysDatabase, Logger: s.cfg.Telemetry.Log})
	if err != nil {
		return fmt.Errorf("audit: open the database of keys: %w", err)
	}
	kept, err := keystore.Open(ctx, s.keysDB)
	if err != nil {
		return err
	}
	s.keys = keys.New(keys.Config{Store: kept, Keyring: s.cfg.Keyring, Clock: s.cfg.Clock, NewID: s.cfg.NewID})
	return nil
}

// openDestroyer makes what destroys keys. Before anybody can read, it destroys again what a restored database of keys still has.
func (s *Service) openDestroyer(ctx context.Context) (err error) {
	s.destroyer = keys.NewDestroyer(s.keys, s.recorder, name)
	s.monitoring.replayed, err = s.destroyer.Replay(ctx, s.store)
	return err
}
