// Package legalbasis is for partners: it asks privacyops whether data about a person may be processed, keeps answers for as
// long as that is honest, and verifies signed answers offline. It needs the contract (module proto), gRPC's types and no service
// of the suite.
//
// # Asking
//
// A [Client] asks for one controller. Give it the suite's gRPC client, or [REST] where the suite is reached over HTTP, and let
// [Client.Run] follow the controller's changes in the background. Without Run it works too, and asks every time.
//
// # When a kept answer is honest
//
// An answer is true when it is given. A minute later the person may have withdrawn consent, and withdrawing must be as easy as
// giving (GDPR art. 7(3)): whoever keeps answers needs to learn of it. The watch (`GET /v1/controllers/{c}/legalBasis:watch`)
// tells. A Client answers from memory only while all of this holds, and otherwise asks:
//
//  1. The watch runs, and has proven not longer than [Config.Bound] ago that nothing is missing. The service says so every 10
//     seconds and after each change, with the time at which it looked. That time is what counts, not the time at which the
//     message arrived: one that lay in a buffer while this process was stopped, or in a proxy, proves nothing about now. When
//     the watch breaks, nothing is answered from memory until another has told all that happened in between.
//  2. The question was asked with the watch's own token (`consistency.token`), so that the answer is at least as new as the
//     watch. A replica that had not seen a withdrawal yet could otherwise give an answer that the watch, which told of it
//     already, never revokes.
//  3. No change came since that touches the activity or one of the person's pseudonyms (`subjectRefs`), also none while the
//     answer was on its way.
//  4. The answer has not ended by itself. A consent that expires, or a child that reaches an age, makes no change: the decision
//     says when that is (`expireTime`). What counts is how long after the decision.
//  5. The answer is younger than [Config.MaxAge], whatever else is true of it.
//
// So a kept ALLOW is given at most Bound after a withdrawal was acknowledged, mostly a few milliseconds after, and not after a
// consent has ended by itself. One clock is relied on beyond its own machine: the service's must not jump forward while a watch
// runs.
//
// Denials are kept by the same rules. They harm nobody by being kept, a consent that is given ends them at once, and whoever
// asks in a loop asks this memory. Three kinds of answers are never kept: those to questions about the past (`asOf`) or with a
// consistency of their own, signed ones, which have an end of their own, and FRESHNESS_UNPROVABLE, which is no answer about the
// person.
//
// # What the log shows
//
// The service records each decision that it gives: who asked about whom, when, and what was said. It cannot see an answer that
// is given from memory. Keep [Answer.DecisionId] with what you do, so that the two logs can be laid side by side; within MaxAge
// of the decision's time, the entry in the controller's log stands for all uses.
//
// What is kept is bounded by [Config.MaxEntries], and holds no identifier of a person: questions are kept as a keyed digest,
// people as the pseudonyms that the service uses.
//
// # Other ways to the same
//
// Platforms that run beside the suite can read the changes from Redis as well: stream "consent" of the controller, whose key is
// described at redis.SharedEvents, with the same kinds, pseudonyms and ids. An entry's id is the revision. It is a fast way and
// not the only one: what is missing in it shows as a gap and is read again, by this watch or from the database.
//
// An answer that must be shown to others, or used where no watch can run, is asked for with `signed`: see [VerifyDecision].
package legalbasis
