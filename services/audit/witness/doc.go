// Package witness cosigns the checkpoints of logs, as the C2SP specifications tlog-witness and tlog-cosignature say.
//
// A log's signature shows who made a checkpoint, not that everybody is shown the same log. A witness closes that gap: it remembers the
// last checkpoint of each log that it watches and cosigns a newer one only with a proof (RFC 6962 section 2.1.2) that the newer log
// begins with the older. An operator who takes entries back, or shows two people two logs, finds no witness that signs both. It is worth
// something when another than the log's operator runs it: a controller, a municipality's IT centre, a supervisory authority. It sees sizes
// and hashes, no entry, and no data about people.
//
// # The protocol
//
// `POST /add-checkpoint` takes `old <size>`, the proof's hashes in base64, one a line, an empty line, and the checkpoint. It answers:
//
//	200  the witness's cosignature, a line of a signed note, timestamped
//	400  the request is malformed, or old is larger than the checkpoint's size
//	403  no trusted key of the log has signed the checkpoint
//	404  the witness does not watch that log
//	409  old is not the size that the witness knows; the body is that size (text/x.tlog.size). Or sizes are equal and roots are not: a fork
//	422  the proof does not show that the log only grew
//
// `GET /` says who the witness is, its key, and what it has seen.
//
// # What it keeps
//
// One file for each log, the last checkpoint it cosigned. It is on the disk, synced, before the answer goes out, and it only ever moves
// forward. Losing the files means that the witness starts anew and would accept a fork: they are worth a disk and a backup of their own,
// and must never be restored to an older state than the last that was answered.
package witness
