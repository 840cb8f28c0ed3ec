// Package server is how a service of the suite listens and how it calls others: one builder for all of them.
//
// Every RPC passes the same interceptors, in this order: recovery, tracing, translation of faults, authentication,
// authorisation by the method rule, deadline, validation, the handler, and the call's audit event. Authentication comes
// before anything looks at the request, and no request or answer is ever logged.
//
// Processes speak TLS 1.3 with client certificates: the name in a certificate says which service calls. The embedded default
// makes its own certificates ([Authority]); elsewhere they come from files and are read again when they change.
//
// A call makes exactly one audit event. A handler that changes something writes it in the change's transaction; for all
// others (reads, refusals, invalid requests) it is written here, and an answer whose event cannot be written is not given.
package server
