// Package erasure holds the rules of erasing one person: what goes and what stays, who must agree, in which order it happens,
// and when it may be called complete (GDPR art. 17, 19, 28(3)(g)).
//
// # The way of an erasure
//
//	PLANNING → AWAITING_APPROVAL → GRACE → RUNNING → VERIFYING → COMPLETED
//	                                          ↑  ↓         ↓
//	                                          PARTIAL ←────┘
//
// Planning asks every system what it holds ([Resolve]) and decides dataset by dataset ([BuildPlan]). The controller approves the
// plan's hash ([Approve]). Until work starts it can be called back. [Engine.Advance] does the work: it may die at any point and
// is simply called again, because every step is either recorded or can be repeated without a second effect.
//
// COMPLETED means that every mandatory system has erased and was asked again, by another path, and nothing was found that should
// be gone. Anything else is PARTIAL, with each leftover named, and is tried again. A plan that finds nothing at all destroys
// nothing and needs nobody's approval: it is verified and certified as NOTHING_FOUND. Where the verification does not confirm it,
// the erasure goes back to PLANNING, and what was found is put before people: without their approval nothing is ever erased.
//
// A system that is not mandatory does not hold an erasure up. What it did not do is a warning of the plan, a leftover of the
// erasure and a residual of the certificate, whose verdict is then PARTIAL.
//
// # Fencing
//
// Whoever works on an erasure takes it first, which raises its fence. Every write carries the fence, and participants get it as
// their fencing token: a worker that was overtaken can change nothing any more.
//
// The package knows no database, no transport and no clock of its own.
package erasure
