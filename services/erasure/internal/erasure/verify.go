package erasure

import (
	"context"
	"slices"

	"github.com/privacyops/privacyops/libs/fault"
)

// verify asks every system what is still there.
func (w *work) verify(ctx context.Context) error {
	w.e.Residuals = nil
	for _, u := range w.e.Plan.Unasked {
		w.e.Residuals = append(w.e.Residuals, Residual{System: u.System,
			Reason: "It did not answer when the plan was made, and was left out: " + u.Message})
	}
	for i := range w.e.Systems {
		if err := w.verifyIn(ctx, &w.e.Systems[i]); err != nil {
			return err
		}
	}
	w.e.VerifyTime = w.Clock.Now()
	switch started := !w.e.StartTime.IsZero(); {
	case !started && w.anySystem(func(s SystemProgress) bool {
		return s.State == SystemRemaining || s.Mandatory && s.State != SystemVerified
	}):
		return w.unplanned(ctx)
	case started && w.anySystem(func(s SystemProgress) bool { return s.Mandatory && s.State != SystemVerified }):
		return w.leave(ctx, "erasure.verify")
	}
	return w.announce(ctx)
}

func (w *work) anySystem(is func(SystemProgress) bool) bool {
	return slices.ContainsFunc(w.e.Systems, is)
}

func (w *work) verifyIn(ctx context.Context, s *SystemProgress) error {
	remaining, err := w.ask(ctx, *s)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for i := range s.Datasets {
		s.Datasets[i].Remaining = 0
	}
	unconfirmed := !w.e.StartTime.IsZero() && s.Done < s.Round
	switch {
	case err != nil:
		s.State, s.Message = SystemFailed, fault.From(err).Message()
		w.remains(Residual{System: s.System, Reason: "It could not be asked what is left: " + s.Message})
	case len(remaining) > 0:
		s.State, s.Message = SystemRemaining, "Something is left that should be gone."
		for _, r := range remaining {
			w.remains(Residual{System: s.System, Dataset: r.Dataset, Table: r.Table, Count: r.Count, Reason: "Found at verification (" + r.FoundBy + ")."})
			if i := slices.IndexFunc(s.Datasets, func(d DatasetOutcome) bool { return d.Dataset == r.Dataset }); i >= 0 {
				s.Datasets[i].Remaining = max(s.Datasets[i].Remaining, r.Count)
			}
		}
	case unconfirmed: // a system that is not mandatory
		s.State = SystemFailed
		w.remains(Residual{System: s.System, Reason: "Nothing was found at verification, but it did not confirm the erasure: " + s.Message})
	default:
		s.State, s.Message = SystemVerified, ""
	}
	return nil
}

func (w *work) remains(r Residual) { w.e.Residuals = append(w.e.Residuals, r) }

func (w *work) ask(ctx context.Context, s SystemProgress) ([]Remainder, error) {
	p, err := w.Participants.Participant(s.Participant)
	if err != nil {
		return nil, err
	}
	remaining, err := p.Verify(ctx, w.e.Controller, w.request(s), w.ids)
	if err == nil {
		err = checkRemainders(w.e.Plan.datasets(s.System), remaining)
	}
	if err != nil {
		return nil, err
	}
	return remaining, nil
}
