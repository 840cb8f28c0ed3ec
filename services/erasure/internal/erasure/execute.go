package erasure

import (
	"context"
	"fmt"
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
	event := Event{Action: "erasure.execute", Detail: map[string]string{"system": s.System, "attempt": strconv.Itoa(s.Attempts)}}
	if err != nil {
		f := fault.From(err)
		s.State, s.Message = SystemFailed, f.Message()
		event.Outcome, event.Reason = "FAILED", f.Reason()
	} else {
		s.State, s.Message = SystemErased, ""
		s.add(outcome)
		for _, o := range outcome {
			event.Detail["rows."+o.Dataset] = fmt.Sprintf("%d/%d/%d/%d", o.Located, o.Erased, o.Anonymised, o.Kept)
		}
		if len(outcome) > maxDetail {
			event.Detail = map[string]string{"system": s.System, "attempt": strconv.Itoa(s.Attempts), "datasets": strconv.Itoa(len(outcome))}
		}
	}
	w.e.UpdateTime = w.Clock.Now()
	return w.save(ctx, Change{Event: event})
}

// maxDetail bounds what one event says; a system with more datasets is summed up.
const maxDetail = 40

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
	if err != nil {
		return nil, err
	}
	return outcome, checkOutcome(order, outcome)
}

// add sums the outcome of a round up with those before it. What was located is what the first round found, and what later
// rounds found beyond it.
func (s *SystemProgress) add(outcome []DatasetOutcome) {
	if s.Round <= 1 || len(s.Datasets) == 0 {
		s.Datasets = outcome
		return
	}
	for _, o := range outcome {
		i := slices.IndexFunc(s.Datasets, func(d DatasetOutcome) bool { return d.Dataset == o.Dataset })
		if i < 0 {
			s.Datasets = append(s.Datasets, o)
			continue
		}
		d := &s.Datasets[i]
		d.Erased, d.Anonymised = d.Erased+o.Erased, d.Anonymised+o.Anonymised
		d.Located = max(d.Located, d.Erased+d.Anonymised+d.Kept+d.Unchanged)
	}
}

// concludeRun goes on to verification when every mandatory system has erased, and names what is left otherwise.
func (w *work) concludeRun(ctx context.Context) error {
	if w.missing() || w.pending() {
		return w.leave(ctx, "erasure.execute")
	}
	if err := w.e.move(Verifying, w.Clock.Now()); err != nil {
		return err
	}
	return w.save(ctx, Change{Event: Event{Action: "erasure.executed"}})
}

// pending reports whether a system still waits for its turn, and lists it.
func (w *work) pending() (any bool) {
	for _, s := range w.e.Systems {
		if s.State == SystemPending {
			any = any || s.Mandatory
			w.e.Residuals = append(w.e.Residuals, Residual{System: s.System,
				Reason: "It holds the core identity and is erased only when the other systems have been."})
		}
	}
	return any
}

// leave makes the erasure PARTIAL, with what is left named, and sets the time of the next attempt.
func (w *work) leave(ctx context.Context, action string) error {
	w.pause()
	if err := w.e.move(Partial, w.Clock.Now()); err != nil {
		return err
	}
	detail := map[string]string{"residuals": strconv.Itoa(len(w.e.Residuals))}
	for i, r := range w.e.Residuals[:min(len(w.e.Residuals), maxDetail/2)] {
		detail[fmt.Sprintf("residual.%d", i+1)] = r.System + "/" + r.Dataset + "/" + count(r.Count)
	}
	return w.save(ctx, Change{Event: Event{Action: action, Outcome: "FAILED", Reason: "PARTIAL", Detail: detail}})
}

// verify asks every system what is still there.
func (w *work) verify(ctx context.Context) error {
	w.e.Residuals = nil
	for i := range w.e.Systems {
		if err := w.verifyIn(ctx, &w.e.Systems[i]); err != nil {
			return err
		}
	}
	w.e.VerifyTime = w.Clock.Now()
	for _, s := range w.e.Systems {
		if s.Mandatory && s.State != SystemVerified {
			return w.leave(ctx, "erasure.verify")
		}
	}
	return w.announce(ctx)
}

func (w *work) verifyIn(ctx context.Context, s *SystemProgress) error {
	remaining, err := w.ask(ctx, *s)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		f := fault.From(err)
		s.State, s.Message = SystemFailed, f.Message()
		w.e.Residuals = append(w.e.Residuals, Residual{System: s.System, Reason: "It could not be asked what is left: " + f.Message()})
		return nil
	}
	s.State, s.Message = SystemVerified, ""
	for i := range s.Datasets {
		s.Datasets[i].Remaining = 0
	}
	for _, r := range remaining {
		s.State, s.Message = SystemRemaining, "Something is left that should be gone."
		w.e.Residuals = append(w.e.Residuals, Residual{System: s.System, Dataset: r.Dataset, Table: r.Table, Count: r.Count,
			Reason: "Found at verification (" + r.FoundBy + ")."})
		if i := slices.IndexFunc(s.Datasets, func(d DatasetOutcome) bool { return d.Dataset == r.Dataset }); i >= 0 {
			s.Datasets[i].Remaining = max(s.Datasets[i].Remaining, r.Count)
		}
	}
	return nil
}

func (w *work) ask(ctx context.Context, s SystemProgress) ([]Remainder, error) {
	p, err := w.Participants.Participant(s.Participant)
	if err != nil {
		return nil, err
	}
	remaining, err := p.Verify(ctx, w.e.Controller, w.request(s), w.ids)
	if err != nil {
		return nil, err
	}
	for _, r := range remaining {
		if r.Count <= 0 {
			return nil, nonsense("a remainder of no rows")
		}
	}
	return remaining, nil
}

func count(n int64) string { return strconv.FormatInt(n, 10) }
