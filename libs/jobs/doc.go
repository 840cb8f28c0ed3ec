// Package jobs does the durable work that transactions enqueue with [sqldb.Tx].
//
// # Promise
//
// A job exists if and only if its transaction committed, and is then worked at least
// once: it survives crashes, is retried with growing pauses when its handler fails and
// is given up, visibly, after [Config.MaxAttempts]. "At least" means that a handler may
// see the same job again after it has done its work (the process may end between the
// work and the note of it), so handlers are idempotent.
//
// # After a crash
//
// Jobs that were being worked when a process died are left marked as running. Where one
// process owns the database, [Config.Exclusive] makes them available again at the next
// Start. Otherwise the other runners find them [Config.Timeout] after they began, and
// the work resumes within 40 seconds more: a minute with the default timeout.
//
// # Traces
//
// The runner's span of a job is a child of the span that enqueued it, so that one trace
// shows a request and everything that came of it. [Config.Tracer] makes the spans.
//
// # Privacy
//
// Job rows outlive the erasure of the person they are about, and logs leave the system.
// Arguments therefore hold ids only, and of an error only what cannot hold personal
// data is stored and logged: its public reason or gRPC code where it has one, the text
// of an [sqldb.Error], which is free of data, else the name of its Go type.
package jobs
