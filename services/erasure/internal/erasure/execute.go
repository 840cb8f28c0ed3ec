package erasure

import (
	"context"
	"slices"
	"strconv"

	"github.com/privacyops/privacyops/libs/fault"
)

// run tells the systems to erase, lowest order first. The system with the core identity is the last in order, and its turn
// comes only when all others have erased: without it the others could no longer be asked for the person.
func (w *work) run(ctx context.Context) error {
	slices.SortStableFunc(w.e.Systems, func(a, b SystemProgress) int { return a.Order - b.Order })
	for i := range w.e.Systems {
		s := &w.e.Systems[i]
		if s.State != SystemPending || w.mustWait(*s) {
			continue
		}
		if err := w.eraseIn(ctx, s); err != nil {
			return err
		}
	}
	return w.concludeRun(ctx)
}

// mustWait reports whether a system is the last one while another is not done.
func (w *work) mustWait(s SystemProgress) bool {
	last := w.e.Systems[len(w.e.Systems)-1].Order
	return s.Order == last && slices.ContainsFunc(w.e.Systems, func(o SystemProgress) bool {
		return o.Order < last && o.Mandatory && (o.State == SystemPending || o.State == SystemFailed)
	})
}

func (w *work) eraseIn(ctx context.Context, s *SystemProgress) error {
	planned, _ := w.e.Plan.system(s.System)
	order := EraseOrder{Request: w.request(*s), FencingToken: w.e.Fence, DataMapDigest: planned.DataMapDigest,
		Datasets: w.e.Plan.approved(s.System), Identifiers: w.ids}
	outcome, err := w.tell(ctx, *s, order)
	if ctx.Err() != nil {
		return ctx.Err() // we are stopping: the system is not at fault
	}
	s.Attempts++
	event := Event{Action: "erasure.execute"}
	if err != nil {
		f := fault.From(err)
		s.State, s.Message = SystemFailed, f.Message()
		event.Outcome, event.Reason = "FAILED", f.Reason()
	} else {
		s.State, s.Message, s.Done = SystemErased, "", s.Round
		s.add(outcome)
	}
	event.Detail = w.e.Plan.outcomeDetail(*s, outcome)
	w.e.UpdateTime = w.Clock.Now()
	return w.save(ctx, Change{Event: event})
}

// request is the key under which a system erases once.
func (w *work) request(s SystemProgress) string {
	return w.e.Name() + "/rounds/" + strconv.Itoa(s.Round)
}

func (w *work) tell(ctx context.Context, s SystemProgress, order EraseOrder) ([]DatasetOutcome, error) {
	p, err := w.Participants.Participant(s.Participant)
	if err != nil {
		return nil, err
	}
	outcome, err := p.Erase(ctx, w.e.Controller, order)
	if err == nil {
		err = checkOutcome(order, w.e.Plan.datasets(s.System), outcome)
	}
	if err != nil {
		return nil, err
	}
	return outcome, nil
}

// add sums the outcome of a round up with those before it. What was located and kept is what the first round found; a later
// round finds what that one left behind.
func (s *SystemProgress) add(outcome []DatasetOutcome) {
	for _, o := range outcome {
		i := slices.IndexFunc(s.Datasets, func(d DatasetOutcome) bool { return d.Dataset == o.Dataset })
		if i < 0 {
			s.Datasets = append(s.Datasets, o)
			continue
		}
		d := &s.Datasets[i]
		d.Erased, d.Anonymised = d.Erased+o.Erased, d.Anonymised+o.Anonymised
	}
}

// concludeRun goes on to verification when every mandatory system has erased, and names what is left otherwise.
func (w *work) concludeRun(ctx context.Context) error {
	missing, pending := w.missing(), w.pending()
	if missing || pending {
		return w.leave(ctx, "erasure.execute")
	}
	if err := w.e.move(Verifying, w.Clock.Now()); err != nil {
		return err
	}
	return w.save(ctx, Change{Event: Event{Action: "erasure.executed"}})
}

// pending reports whether a system still waits for its turn, and lists it.
func (w *work) pending() (mandatory bool) {
	for _, s := range w.e.Systems {
		if s.State == SystemPending {
			mandatory = mandatory || s.Mandatory
			w.e.Residuals = append(w.e.Residuals, Residual{System: s.System,
				Reason: "It holds the core identity and is erased only when the other systems have been."})
		}
	}
	return mandatory
}

// leave makes the erasure PARTIAL, with what is left named, and sets the time of the next attempt.
func (w *work) leave(ctx context.Context, action string) error {
	w.pause()
	if err := w.e.move(Partial, w.Clock.Now()); err != nil {
		return err
	}
	return w.save(ctx, Change{Event: Event{Action: action, Outcome: "FAILED", Reason: "PARTIAL",
		Detail: w.e.Plan.residualDetail(w.e.Residuals)}})
}

// resume takes unfinished work up again.
func (w *work) resume(ctx context.Context) error {
	for i := range w.e.Systems {
		s := &w.e.Systems[i]
		switch {
		case s.State == SystemRemaining:
			s.Round++ // asked under a new request: under the old one the system has already done its work
			s.State = SystemPending
		case s.State == SystemFailed && s.Done < s.Round:
			s.State = SystemPending
		case s.State == SystemFailed:
			s.State = SystemErased // it has erased, and could not be asked afterwards
		}
	}
	if err := w.e.move(Running, w.Clock.Now()); err != nil {
		return err
	}
	return w.save(ctx, Change{Event: Event{Action: "erasure.resume", Detail: map[string]string{"attempt": count(int64(w.e.Attempts + 1))}}})
}
