// Package audit holds the rules of the suite's audit log: what an event is, which bytes of it go into the
// verifiable log, in which order, and when a reader may be given a proof.
//
// # One event, one entry
//
// The services report an [Event] for every access to personal data and for every administrative act (logging
// duties L.1 and L.3 of the Danish data processing agreement). Reports arrive at least once; the event's id, made
// by the reporter, makes them count once. [Recorder] accepts them, stamps them with this service's clock, the
// log's single time source (L.2), and numbers them without gaps per controller. An accepted event is an [Entry].
//
// # The leaf
//
// The bytes of an entry in the log are its canonical JSON (RFC 8785), made by [Entry.Leaf] and read back by
// [ParseLeaf], which takes nothing but what Leaf writes. Every string of an entry is limited to an alphabet that
// holds identifiers, hashes and numbers but neither spaces nor "@" nor letters beyond ASCII: a name or an e-mail
// address cannot get in (GDPR art. 5(1)(c)).
//
// # Decisions
//
// Decisions on a legal basis are the one kind of event that comes in thousands a second. The consent service reports many of one
// controller as one event with a [Batch]; it is one entry with one leaf, up to MaxBatchLeafBytes, in which they are packed (see
// packed.go). Nothing is lost by it: for whoever searches, each decision is an event of its own, found by person, by actor and by
// everything else ([Query.Unfold], [Event.Decision]), and a decision's proof is that of its batch. Only a trace gets no span for
// each of them.
//
// # The log comes first
//
// [Recorder] gives each new event its stamps and adds it to the log; only when the log has it is it accepted. Reports that come at
// the same time share a batch, and there is one batch at a time: what it has used of times and numbers counts when the log has it,
// so that a failure leaves no gap. [Follower] brings the entries into the index, a store that can be made anew from the log. After a
// start and after any failure the index is first brought to the log's end ([Recorder.Recover]); so what was recorded is known
// again, and no event becomes an entry twice, wherever a crash came in between.
//
// # Proof and check
//
// [Prover] waits until a signed checkpoint covers an entry and returns its inclusion proof. [Verifier] replays
// the log and compares it with the index row by row. [Reader] finds what was accepted before it was asked: it waits for the index.
package audit
