// Package certificate issues and verifies erasure certificates.
//
// A certificate confirms to a controller (GDPR art. 28(3)(g), art. 5(2)) what was erased, anonymised and kept about one person,
// in every system, on which ground, and what was still there when each system was asked again. A record that was as it
// should be already, or that two datasets of one table share and the other one dealt with, is counted apart, as unchanged:
// nobody claims an erasure that did not happen, or the same one twice. Whoever holds the file can check it later and offline, trusting neither the processor nor the controller.
//
// # The file
//
// A certificate is one JSON document in canonical form (RFC 8785) followed by one line feed, with four members:
//
//	format     always "privacyops-erasure-certificate/v1"
//	statement  what happened: systems, datasets, counts, grounds, times, verdict, and what it does not prove
//	log        the audit entry that holds the statement's SHA-256, its inclusion proof (RFC 6962) and a signed checkpoint (C2SP)
//	signature  Ed25519 over the canonical form of {format, log, statement}
//
// # What is checked
//
// [Verify] is strict. The bytes must be exactly those that the parsed content encodes to, so that no byte can change
// unseen, not even inside base64 padding or white space. Then, in this order: the signing key, the signature, the statement's
// own arithmetic, the log entry, the log's key, the checkpoint, and the inclusion proof.
//
// # Whom to trust
//
// A certificate names the keys it was made with, so that it verifies alone; that proves only that nobody changed it since. Who
// pins the keys ([Trust]) knows in addition who made it; [Report.Pinned] says which of the two was the case.
//
// No certificate holds a personal identifier: the person is a commitment, and the people who approved are pseudonymous references.
package certificate
