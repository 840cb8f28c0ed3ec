package erasure

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/privacyops/privacyops/libs/fault"
)

// plan asks the systems and makes the plan. While a mandatory system does not answer there is no plan: nobody should approve
// what leaves out a system that must be in it.
func (w *work) plan(ctx context.Context) error {
	register, err := w.Registers.Register(ctx, w.e.Controller)
	if err != nil {
		return w.putOff(ctx, "erasure.plan", err)
	}
	r, err := Resolve(ctx, w.Participants, w.e.Controller, register.Systems, w.ids)
	if err != nil {
		return w.fail(ctx, err)
	}
	w.noteFailures(register, r)
	if w.missing() {
		return w.later(ctx, "erasure.plan", "SYSTEM_MISSING")
	}
	plan := w.build(register, r.Findings, r.Failures)
	w.adopt(plan, r)
	now := w.Clock.Now()
	w.e.NextAttempt, w.e.Residuals = time.Time{}, nil
	if plan.Found() == 0 && len(w.e.Doubts) == 0 {
		// Attempts go on counting until the verification has confirmed it.
		err = w.e.move(Verifying, now)
	} else {
		w.e.Attempts, w.e.ApprovalExpires = 0, now.Add(ApprovalLife)
		err = w.e.move(AwaitingApproval, now)
	}
	if err != nil {
		return err
	}
	return w.save(ctx, Change{Identifiers: w.ids, Event: Event{Action: "erasure.plan",
		Detail: map[string]string{"planHash": plan.Hash, "rows": count(plan.Total()), "found": count(plan.Found())}}})
}

func (w *work) build(register Register, findings []Finding, failures map[string]*fault.Error) Plan {
	return BuildPlan(PlanInput{Controller: w.e.Controller, SubjectRef: w.e.SubjectRef, Ground: w.e.Ground,
		Register: register, Findings: findings, Failures: failures, Doubts: w.e.Doubts, Now: w.Clock.Now()})
}

// adopt takes over a plan and the identifiers it was made with.
func (w *work) adopt(plan Plan, r Resolution) {
	w.e.Plan = &plan
	w.know(r.Identifiers)
	w.e.Systems = nil
	for _, s := range plan.Systems {
		w.e.Systems = append(w.e.Systems, SystemProgress{System: s.System, Participant: s.Participant,
			Mandatory: s.Mandatory, Order: s.Order, State: SystemPending, Round: 1})
	}
}

// know takes over identifiers of the person, and their pseudonyms.
func (w *work) know(ids []Identifier) {
	w.ids, w.e.SubjectRefs = ids, nil
	for _, id := range ids {
		w.e.SubjectRefs = append(w.e.SubjectRefs, w.Pseudonyms.Subject(string(w.e.Controller), id.Type, id.Value))
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
	register, err := w.Registers.Register(ctx, w.e.Controller)
	if err != nil {
		return w.putOff(ctx, "erasure.start", err)
	}
	r, err := Resolve(ctx, w.Participants, w.e.Controller, register.Systems, w.ids)
	if err != nil {
		w.e.Reason = fault.From(err).Message()
		return w.putOff(ctx, "erasure.start", err)
	}
	fresh := w.again(register, r)
	reason := Drift(*w.e.Plan, fresh)
	if reason == "" && !w.e.approved() {
		reason = "APPROVALS_MISSING"
	}
	if reason != "" {
		return w.back(ctx, register, fresh, r, reason)
	}
	now := w.Clock.Now()
	w.know(r.Identifiers)
	w.e.StartTime, w.e.Attempts, w.e.NextAttempt, w.e.Reason = now, 0, time.Time{}, ""
	if err := w.e.move(Running, now); err != nil {
		return err
	}
	return w.save(ctx, Change{Identifiers: w.ids, Event: Event{Action: "erasure.start", Detail: map[string]string{"planHash": w.e.Plan.Hash}}})
}

// again makes the plan anew. A system that does not answer now counts as it was planned, under the register's present rules:
// what the controller has put under protection since then must not be erased once the system is back.
func (w *work) again(register Register, r Resolution) Plan {
	findings, failures := r.Findings, maps.Clone(r.Failures)
	for id := range r.Failures {
		if f, planned := w.e.Plan.remembered(id); planned {
			findings = append(findings, f)
			delete(failures, id)
		}
	}
	return w.build(register, findings, failures)
}

// back gives an erasure whose plan no longer fits to the people who decide. While a mandatory system does not answer it waits:
// nobody should approve what is not known.
func (w *work) back(ctx context.Context, register Register, fresh Plan, r Resolution, reason string) error {
	for _, s := range register.Systems {
		if s.Mandatory && r.Failures[s.ID] != nil {
			w.e.Reason = "The plan no longer fits (" + reason + "), and system " + s.ID + " cannot be asked for a new one: " + r.Failures[s.ID].Message()
			return w.later(ctx, "erasure.start", reason)
		}
	}
	now := w.Clock.Now()
	w.adopt(fresh, r)
	w.e.Approvals, w.e.GraceEnd, w.e.ApprovalExpires = nil, time.Time{}, now.Add(ApprovalLife)
	w.e.Attempts, w.e.NextAttempt = 0, time.Time{}
	w.e.Reason = "The plan no longer fits what the systems hold (" + reason + "). Read and approve the new plan."
	if err := w.e.move(AwaitingApproval, now); err != nil {
		return err
	}
	return w.save(ctx, Change{Identifiers: w.ids, Event: Event{Action: "erasure.replan", Reason: reason,
		Detail: map[string]string{"planHash": fresh.Hash}}})
}

// unplanned goes back to planning because the verification of a plan that found nothing did not confirm it. Nobody has approved
// anything, so nothing may be erased; what was found is put before the people who decide.
func (w *work) unplanned(ctx context.Context) error {
	for _, r := range w.e.Residuals {
		if r.Count > 0 {
			w.e.Doubts = append(w.e.Doubts, r)
		}
	}
	w.pause()
	if err := w.e.move(Planning, w.Clock.Now()); err != nil {
		return err
	}
	return w.save(ctx, Change{Event: Event{Action: "erasure.verify", Outcome: "FAILED", Reason: "NOT_CONFIRMED",
		Detail: w.e.Plan.residualDetail(w.e.Residuals)}})
}

// doubtText says what a verification found that no system had counted.
func doubtText(r Residual) string {
	return fmt.Sprintf("Verification found %d rows in system %s, dataset %q, which the system had not counted.", r.Count, r.System, r.Dataset)
}
