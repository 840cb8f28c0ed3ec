package store

import (
	"context"
	"errors"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

// Follow makes fn hear of every erasure that has come into another state, after the commit. Fn must not wait. It is called once,
// before the store is used.
func (s *Store) Follow(fn func(erasure.Move)) { s.moved = fn }

// stateOf is the state that an erasure has in the database; empty where it is new.
func stateOf(ctx context.Context, tx sqldb.Tx, e *erasure.Erasure) (state erasure.State, err error) {
	err = tx.QueryRow(ctx, `SELECT state FROM erasure WHERE controller = $1 AND id = $2`, string(e.Controller), string(e.ID)).Scan((*string)(&state))
	if errors.Is(err, sqldb.ErrNoRows) {
		err = nil
	}
	return state, err
}

// tell numbers a move, in the order of commits: the row of the controller's number makes others wait.
func (s *Store) tell(ctx context.Context, tx sqldb.Tx, e *erasure.Erasure, before erasure.State) error {
	if before == e.State {
		return nil
	}
	m := erasure.Move{Controller: e.Controller, ID: e.ID, SubjectRef: e.SubjectRef, State: e.State, Time: e.UpdateTime}
	err := tx.QueryRow(ctx, `INSERT INTO move (controller, sequence) VALUES ($1, 1)
		ON CONFLICT (controller) DO UPDATE SET sequence = move.sequence + 1 RETURNING sequence`, string(e.Controller)).Scan(&m.Sequence)
	if err != nil {
		return err
	}
	if s.moved != nil {
		tx.AfterCommit(func() { s.moved(m) })
	}
	return nil
}
