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
// when the child grows older, since the date of birth is not kept: the person then consents anew. Where an activity concerns children
// and the age of who consents alone is not told, the same holds: nobody can tell that they are old enough.
//
// What becomes of a guardian's consent when the child may consent alone is the controller's to say ([AgePolicy]). It is settled when the
// consent is given, because that is the one moment at which the date of birth is known.
//
// Naming several identifiers in one call means: this is known under any of them. It does not say that they are one person's for
// good, because a parent's address is named with each of the children. See [Withdrawing] for what that means when consent is
// withdrawn.
//
// # Which identifiers are one person's
//
// That is said explicitly, and only so: see [LinkTogether]. Identifiers are one person's when a chain of such namings joins them,
// none of which is shared. From then on a question about one of them is a question about all, and what is given, withdrawn,
// objected to, restricted or erased under one counts for all.
//
// Two identifiers of the controller's primary type are never one person's. An identifier that was named with those of two
// persons is shared: it links nothing any more, for good, and what it alone had joined comes apart. What is said under it still
// counts for whoever is asked about by it. A person's objections, restrictions and erasure are kept under their primary
// identifier, too (see [Links.WithPersons]), so that they stay when the identifier that was used turns out to be shared: coming apart
// never gives a permission that a person has taken away.
//
// # Objections and restrictions
//
// A restriction denies every processing it covers, whatever the basis (GDPR art. 18(2)). An objection denies the activity from
// the moment it is made until it is rejected (art. 18(1)(d), 21(1)), where the activity's newest version can be objected to; see [Object].
//
// # After an erasure
//
// Nothing is allowed about a person who was erased, whatever the legal basis (GDPR art. 17). A consent that is given under
// the same identifier afterwards is recorded and changes nothing about that: who may be processed again is not decided by
// the arrival of a record, which a restored backup or a late message can cause as well.
//
// # The past
//
// [SnapshotAt] answers for any moment that has been, from a [History] of everything on record. There are two axes, both in the
// [Moment]. As of: what held then. A consent that was withdrawn since was given then, one that has expired since had not, an
// objection that was rejected since was being weighed, a restriction that was lifted since was active, and an activity was what its
// newest version of then says; before its first version, and before its controller was registered, it was unknown. Known at: as
// far as it was known by then, which is no earlier. What is known now is what the person, or a court, should have been answered;
// what was known at the moment itself is what was answered.
//
// Most acts are known as they happen, because the act is its own record: instructions, consents, objections, restrictions. Two are
// known later than they hold. An erasure is done in the systems and noted here afterwards: it holds from when it was done, once it
// was noted. And that two identifiers are one person's was so all along: a link counts for every moment, once it was known, until
// it is known that the identifier is shared.
//
// An act at the moment itself has happened. Acts are placed by their time, and within one microsecond ordered by their [Revision].
// Where the clocks of two machines differ, a withdrawal can bear an earlier time than the consent it withdraws; that consent then
// never held as of any moment, which errs on the side of the person.
//
// So what was answered at a moment on the newest state is what is answered of it for ever, as of and known at that moment. What an
// erasure destroys, the words of objections, no answer rests on.
package consent
