package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// begin reads who is to be asked.
func (e *Engine) begin(ctx context.Context, w *Work) error {
	snap, err := e.snapshot(ctx, w)
	if err != nil {
		return err
	}
	if len(snap.Systems) == 0 {
		return fatal{"NO_SYSTEMS", errors.New("export: the controller has no systems in the register")}
	}
	if err := w.move(Locating); err != nil {
		return err
	}
	w.Systems, w.Omissions = nil, nil
	for _, s := range snap.Systems {
		w.Systems = append(w.Systems, System{System: s.ID, DisplayName: s.DisplayName, Participant: s.Participant,
			Mandatory: s.Mandatory, State: SystemPending})
	}
	slices.SortFunc(w.Systems, func(a, b System) int { return cmp.Compare(a.System, b.System) })
	w.Next = e.Clock.Now()
	return e.save(ctx, w, nil, true)
}

func (e *Engine) snapshot(ctx context.Context, w *Work) (Snapshot, error) {
	snap, err := e.Register.Snapshot(ctx, w.Controller)
	if errors.Is(err, ErrNoController) {
		return snap, fatal{"NO_CONTROLLER", err}
	}
	if err != nil {
		return snap, fmt.Errorf("export: read the register: %w", err)
	}
	return snap, nil
}

func (e *Engine) known(w *Work) ([]Identifier, error) {
	ids, err := w.identifiers(e.Keyring)
	if err != nil {
		return nil, fatal{"IDENTIFIERS_UNREADABLE", err}
	}
	return ids, nil
}

// locate finds by which identifiers the systems know the person, and what they hold.
func (e *Engine) locate(ctx context.Context, w *Work) error {
	ids, err := e.known(w)
	if err != nil {
		return err
	}
	names := make([]SystemID, len(w.Systems))
	for i, s := range w.Systems {
		names[i] = s.System
	}
	found := resolve(ctx, names, ids, func(ctx context.Context, s SystemID, ids []Identifier) (Location, error) {
		p, err := e.Participants.Participant(w.system(s).Participant)
		if err != nil {
			return Location{}, err
		}
		return p.Locate(ctx, w.Controller, ids)
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := w.learn(e.Keyring, found.identifiers); err != nil {
		return fatal{"IDENTIFIERS_UNREADABLE", err}
	}
	for i := range w.Systems {
		s := &w.Systems[i]
		s.State, s.Message, s.Located, s.Digest = SystemPending, "", found.located[s.System].Counts, found.located[s.System].Digest
		if err := found.failed[s.System]; err != nil {
			s.fail(err)
		}
	}
	w.Omissions = found.omissions(names)
	if err := w.move(Collecting); err != nil {
		return err
	}
	w.Next = e.Clock.Now()
	return e.save(ctx, w, nil, true)
}

func (w *Work) system(id SystemID) *System {
	i := slices.IndexFunc(w.Systems, func(s System) bool { return s.System == id })
	return &w.Systems[i]
}

func (s *System) fail(err error) {
	s.State, s.Records, s.Bytes, s.Message = SystemFailed, 0, 0, Message(err)
}

// tryAgain asks the mandatory systems that were missing whether they answer now, and begins anew when they all do. Until then
// the package of what there was stays.
func (e *Engine) tryAgain(ctx context.Context, w *Work) error {
	now := e.Clock.Now()
	if !now.Before(w.RetryUntil) {
		return e.settle(ctx, w)
	}
	ids, err := e.known(w)
	if err != nil {
		return err
	}
	all := true
	for _, id := range w.Missing() {
		s := w.system(id)
		if err := e.probe(ctx, w, s, ids); err != nil {
			s.Message, all = Message(err), false
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if all {
		return e.begin(ctx, w)
	}
	w.wait(now, e.Retry)
	return e.save(ctx, w, nil, true)
}

func (e *Engine) probe(ctx context.Context, w *Work, s *System, ids []Identifier) error {
	p, err := e.Participants.Participant(s.Participant)
	if err != nil {
		return err
	}
	_, err = p.Locate(ctx, w.Controller, ids)
	return err
}
