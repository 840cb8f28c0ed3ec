// Package consent holds the rules of the register of processing and of the answer to "may this be processed?".
//
// # The answer
//
// [Decide] is a pure function of a [Question] and a [Snapshot] of what is known. It tries the reasons to deny in one fixed
// order and allows only when none holds, so that the same facts always give the same answer with the same reason, and an
// answer can be explained afterwards from what was recorded.
//
// # Which consent counts
//
// A person may have given consent to one activity several times, withdrawn some of them, and be known by several
// identifiers. The latest act counts: the giving or the withdrawal that came last among the consents that were given under
// any of the identifiers asked about. The order of acts is the order of their [Revision], never that of clocks, so two
// machines with different times cannot make a withdrawal look older than what it withdraws.
//
// A consent that a child below the digital age of consent gave alone (GDPR art. 8(1)) is recorded, because it happened and
// the platform must be able to show what was done with it, but it is not sufficient: it counts only where there is no other,
// and then the answer is GUARDIAN_CONSENT_REQUIRED. A guardian's consent is not undone by it. It does not become sufficient
// when the child grows older, since the date of birth is not kept: the person then consents anew.
//
// People are never merged: identifiers belong together only where one call named them together. See [Withdrawing] for
// what that means when consent is withdrawn.
//
// # After an erasure
//
// Nothing is allowed about a person who was erased, whatever the legal basis (GDPR art. 17). A consent that is given under
// the same identifier afterwards is recorded and changes nothing about that: who may be processed again is not decided by
// the arrival of a record, which a restored backup or a late message can cause as well.
package consent
