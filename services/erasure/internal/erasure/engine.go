package erasure

import (
	"context"
	"errors"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
)

// Engine does the work of erasures.
type Engine struct {
	Store        Store
	Registers    Registers
	Participants Participants
	Proofs       Proofs
	Erased       Erased
	Pseudonyms   Pseudonyms
	Signer       Signer
	Clock        clock.Clock
	NewID        func() string
	// Backoff is the pause after the n-th attempt in a row that left something undone, from 1.
	Backoff func(attempt int) time.Duration
}

// Backoff is the default pause: a second, growing by the factor 3 to at most an hour. Work is never given up: a system that is
// back after a week is erased then.
func Backoff(attempt int) time.Duration {
	d := time.Second
	for range min(attempt-1, 10) {
		d = min(3*d, time.Hour)
	}
	return d
}

// work is one worker's hold on one erasure.
type work struct {
	*Engine
	e   *Erasure
	ids []Identifier
}

// Advance does what can be done for an erasure now, and returns when there is nothing more to do at once: it waits for people,
// for its time, or has ended. It may be interrupted anywhere and called again.
func (g *Engine) Advance(ctx context.Context, c ControllerID, id ID) error {
	e, ids, err := g.Store.Take(ctx, c, id, g.Clock.Now())
	if errors.Is(err, ErrNoWork) {
		return nil
	}
	if err != nil {
		return err
	}
	w := &work{Engine: g, e: e, ids: ids}
	for {
		at, ok := e.NextWork()
		if !ok || at.After(g.Clock.Now()) {
			return nil
		}
		if err := w.step(ctx); err != nil {
			if errors.Is(err, ErrFenced) {
				return nil // whoever overtook us goes on
			}
			return err
		}
	}
}

func (w *work) step(ctx context.Context) error {
	switch w.e.State {
	case Planning:
		return w.plan(ctx)
	case AwaitingApproval:
		return w.lapse(ctx)
	case Grace:
		return w.begin(ctx)
	case Running:
		return w.run(ctx)
	case Verifying:
		if w.e.Statement != "" {
			return w.certify(ctx)
		}
		return w.verify(ctx)
	case Partial:
		return w.resume(ctx)
	default:
		return ErrNoWork
	}
}

// plan asks the systems and makes the plan. While a mandatory system does not answer there is no plan: nobody should approve
// what leaves out a system that must be in it.
func (w *work) plan(ctx context.Context) error {
	register, err := w.Registers.Register(ctx, w.e.Controller)
	if err != nil {
		return err
	}
	r, err := Resolve(ctx, w.Participants, w.e.Controller, register.Systems, w.ids)
	if err != nil {
		return w.fail(ctx, err)
	}
	w.noteFailures(register, r)
	if w.missing() {
		return w.later(ctx, "erasure.plan", "SYSTEM_MISSING")
	}
	plan := w.build(register, r)
	w.adopt(plan, r)
	now := w.Clock.Now()
	w.e.Attempts, w.e.NextAttempt, w.e.Residuals = 0, time.Time{}, nil
	next := AwaitingApproval
	w.e.ApprovalExpires = now.Add(ApprovalLife)
	if plan.Found() == 0 {
		next = Verifying
	}
	if err := w.e.move(next, now); err != nil {
		return err
	}
	return w.save(ctx, Change{Identifiers: w.ids, Event: Event{Action: "erasure.plan",
		Detail: map[string]string{"planHash": plan.Hash, "rows": count(plan.Total()), "found": count(plan.Found())}}})
}

func (w *work) build(register Register, r Resolution) Plan {
	return BuildPlan(PlanInput{Controller: w.e.Controller, SubjectRef: w.e.SubjectRef, Ground: w.e.Ground,
		Register: register, Findings: r.Findings, Now: w.Clock.Now()})
}

// adopt takes over a plan and the identifiers it was made with.
func (w *work) adopt(plan Plan, r Resolution) {
	w.e.Plan, w.ids = &plan, r.Identifiers
	w.e.SubjectRefs = nil
	for _, id := range w.ids {
		w.e.SubjectRefs = append(w.e.SubjectRefs, w.Pseudonyms.Subject(string(w.e.Controller), id.Type, id.Value))
	}
	w.e.Systems = nil
	for _, s := range plan.Systems {
		w.e.Systems = append(w.e.Systems, SystemProgress{System: s.System, Participant: s.Participant,
			Mandatory: s.Mandatory, Order: s.Order, State: SystemPending, Round: 1})
	}
}

// noteFailures shows which systems gave no answer.
func (w *work) noteFailures(register Register, r Resolution) {
	w.e.Systems = nil
	for _, s := range register.Systems {
		p := SystemProgress{System: s.ID, Participant: s.Participant, Mandatory: s.Mandatory, Order: s.Order, State: SystemPending}
		if f := r.Failures[s.ID]; f != nil {
			p.State, p.Message = SystemFailed, f.Message()
		}
		w.e.Systems = append(w.e.Systems, p)
	}
}

// missing reports whether a mandatory system failed, and lists the failed ones as residuals.
func (w *work) missing() (mandatory bool) {
	w.e.Residuals = nil
	for _, s := range w.e.Systems {
		if s.State == SystemFailed {
			mandatory = mandatory || s.Mandatory
			w.e.Residuals = append(w.e.Residuals, Residual{System: s.System, Reason: s.Message})
		}
	}
	return mandatory
}

// lapse ends an erasure that nobody approved in time.
func (w *work) lapse(ctx context.Context) error {
	w.e.Reason = "Nobody approved the plan in time."
	if err := w.e.move(Expired, w.Clock.Now()); err != nil {
		return err
	}
	return w.save(ctx, Change{DestroyIdentifiers: true, Event: Event{Action: "erasure.expire"}})
}

// begin starts the work when the grace period is over. What was approved is looked at once more: the approvals must hold, and
// the systems must still hold about what they held (a plan that has become another one goes back to the people).
func (w *work) begin(ctx context.Context) error {
	now := w.Clock.Now()
	register, err := w.Registers.Register(ctx, w.e.Controller)
	if err != nil {
		return err
	}
	r, err := Resolve(ctx, w.Participants, w.e.Controller, register.Systems, w.ids)
	if err != nil {
		return w.later(ctx, "erasure.start", fault.From(err).Reason())
	}
	fresh := w.build(register, r)
	reason := Drift(*w.e.Plan, fresh)
	if reason == "" && !w.e.approved() {
		reason = "APPROVALS_MISSING"
	}
	if reason != "" {
		return w.back(ctx, fresh, r, reason)
	}
	w.ids = r.Identifiers
	w.e.StartTime = now
	if err := w.e.move(Running, now); err != nil {
		return err
	}
	return w.save(ctx, Change{Identifiers: w.ids, Event: Event{Action: "erasure.start", Detail: map[string]string{"planHash": w.e.Plan.Hash}}})
}

// back gives an erasure whose plan no longer fits to the people who decide. What no system answered for stays as it was planned.
func (w *work) back(ctx context.Context, fresh Plan, r Resolution, reason string) error {
	if len(r.Failures) > 0 {
		return w.later(ctx, "erasure.start", reason)
	}
	now := w.Clock.Now()
	w.adopt(fresh, r)
	w.e.Approvals, w.e.GraceEnd, w.e.ApprovalExpires = nil, time.Time{}, now.Add(ApprovalLife)
	w.e.Reason = "The plan no longer fits what the systems hold (" + reason + "). Read and approve the new plan."
	if err := w.e.move(AwaitingApproval, now); err != nil {
		return err
	}
	return w.save(ctx, Change{Identifiers: w.ids, Event: Event{Action: "erasure.replan", Reason: reason,
		Detail: map[string]string{"planHash": fresh.Hash}}})
}

// resume takes unfinished work up again.
func (w *work) resume(ctx context.Context) error {
	for i := range w.e.Systems {
		s := &w.e.Systems[i]
		switch {
		case s.State == SystemRemaining:
			s.Round++ // asked under a new request: under the old one the system has already done its work
			s.State = SystemPending
		case s.State == SystemFailed && len(s.Datasets) == 0:
			s.State = SystemPending
		case s.State == SystemFailed:
			s.State = SystemErased
		}
	}
	if err := w.e.move(Running, w.Clock.Now()); err != nil {
		return err
	}
	return w.save(ctx, Change{Event: Event{Action: "erasure.resume", Detail: map[string]string{"attempt": count(int64(w.e.Attempts + 1))}}})
}

// later leaves the state as it is and tries again after a pause.
func (w *work) later(ctx context.Context, action, reason string) error {
	w.pause()
	return w.save(ctx, Change{Event: Event{Action: action, Outcome: "FAILED", Reason: reason}})
}

// pause sets the time of the next attempt.
func (w *work) pause() {
	w.e.Attempts++
	now := w.Clock.Now()
	w.e.NextAttempt, w.e.UpdateTime = now.Add(w.Backoff(w.e.Attempts)), now
	if w.e.State == Grace {
		w.e.GraceEnd = w.e.NextAttempt
	}
}

// fail ends an erasure that cannot be planned.
func (w *work) fail(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f := fault.From(cause)
	w.e.Reason = f.Message()
	if err := w.e.move(Failed, w.Clock.Now()); err != nil {
		return err
	}
	return w.save(ctx, Change{DestroyIdentifiers: true, Event: Event{Action: "erasure.fail", Outcome: "FAILED", Reason: f.Reason()}})
}

func (w *work) save(ctx context.Context, change Change) error {
	change.Erasure = w.e
	return w.Store.Save(ctx, change)
}
