package erasure

import (
	"slices"
	"time"

	"github.com/privacyops/privacyops/libs/fault"
)

// ApprovalLife is how long a plan waits for approval before it lapses: counts grow old.
const ApprovalLife = 72 * time.Hour

// Approve adds one person's approval of exactly the plan with this hash, and starts the grace period with the last one.
//
// Where the controller asks for two people, the one who asked for the erasure is neither of them.
func (e *Erasure) Approve(person, planHash string, now time.Time) error {
	if e.hasApproved(person) {
		return fault.New(fault.Exists, "ALREADY_APPROVED", "You have approved this plan already.")
	}
	if err := e.awaiting(now); err != nil {
		return err
	}
	switch {
	case e.RequiredApprovals > 1 && person == e.Requester:
		return fault.New(fault.Denied, "OWN_REQUEST",
			"This controller has erasures approved by two people other than the one who asked. Ask a colleague to approve.")
	case planHash != e.Plan.Hash:
		return fault.New(fault.Precondition, "PLAN_HASH_MISMATCH",
			"This is not the hash of the erasure's present plan. Read the plan again and approve what it says now.")
	}
	e.Approvals = append(e.Approvals, Approval{Person: person, Time: now, PlanHash: planHash})
	e.UpdateTime = now
	if len(e.Approvals) < e.RequiredApprovals {
		return nil
	}
	e.GraceEnd = now.Add(e.GracePeriod)
	return e.move(Grace, now)
}

func (e *Erasure) hasApproved(person string) bool {
	return slices.ContainsFunc(e.Approvals, func(a Approval) bool { return a.Person == person })
}

func (e *Erasure) awaiting(now time.Time) error {
	switch {
	case e.State == Planning:
		return fault.New(fault.Precondition, "NOT_PLANNED", "The plan is not ready yet; wait for the state AWAITING_APPROVAL.")
	case e.State == Expired, e.State == AwaitingApproval && now.After(e.ApprovalExpires):
		return fault.New(fault.Precondition, "APPROVAL_EXPIRED", "Nobody approved in time. Ask for the erasure again.")
	case e.State != AwaitingApproval:
		return fault.Newf(fault.Precondition, "NOT_AWAITING_APPROVAL", "The erasure does not await approval; it is %s.", e.State)
	}
	return nil
}

// approved reports whether the plan has its approvals: so many distinct people, each for this very plan. It is asked again at
// the moment the work starts.
func (e *Erasure) approved() bool {
	people := map[string]bool{}
	for _, a := range e.Approvals {
		if a.PlanHash == e.Plan.Hash && (e.RequiredApprovals < 2 || a.Person != e.Requester) {
			people[a.Person] = true
		}
	}
	return len(people) >= e.RequiredApprovals
}

// Reject declines an erasure that awaits approval. Rejecting it again changes nothing; changed says which it was.
func (e *Erasure) Reject(reason string, now time.Time) (changed bool, err error) {
	if e.State == Rejected {
		return false, nil
	}
	if err := e.awaiting(now); err != nil {
		return false, err
	}
	e.Reason = reason
	return true, e.move(Rejected, now)
}

// Cancel calls an erasure back, as long as nothing was erased. Calling it back again changes nothing.
func (e *Erasure) Cancel(reason string, now time.Time) (changed bool, err error) {
	switch {
	case e.State == Cancelled:
		return false, nil
	case e.State.Started():
		return false, fault.New(fault.Precondition, "ALREADY_STARTED", "The erasure has begun; it can no longer be called back.")
	case e.State.Final():
		return false, fault.Newf(fault.Precondition, "ALREADY_ENDED", "The erasure has ended; it is %s.", e.State)
	}
	e.Reason = reason
	return true, e.move(Cancelled, now)
}
