package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/privacyops/privacyops/libs/server"
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
	s.keys = keys.New(keys.Config{Store: scrubbing{kept, s.cfg.DB}, Keyring: s.cfg.Keyring, Clock: s.cfg.Clock, NewID: s.cfg.NewID, KeyTime: s.cfg.KeyTime})
	return nil
}

// OverwriteFreed is [server.OverwriteFreed] where this URL of a database of keys needs it: with PostgreSQL. Call it before anything is opened.
func OverwriteFreed(keysDatabase string) error {
	engine, err := sqldb.EngineOf(keysDatabase)
	if err != nil || engine != sqldb.Postgres {
		return err
	}
	return server.OverwriteFreed()
}

// scrubbing is the store of keys, with the other database beside it: that one has pseudonyms for a moment, in the events of this service's own
// calls, and its write-ahead log has them for longer.
type scrubbing struct {
	*keystore.Store
	index *sqldb.DB
}

// ScrubMemory implements keys.Store.
func (s scrubbing) ScrubMemory(ctx context.Context) error {
	return errors.Join(s.index.Scrub(ctx), s.Store.ScrubMemory(ctx))
}

// openDestroyer makes what destroys keys. Before anybody can read, it destroys again what a restored database of keys still has.
func (s *Service) openDestroyer(ctx context.Context) (err error) {
	s.destroyer = keys.NewDestroyer(s.keys, s.recorder, name)
	s.monitoring.replayed, err = s.destroyer.Replay(ctx, s.store)
	return err
}
