// Package audit is the audit service: the append-only, verifiable log of every access and every administrative act.
//
// It is what cmd/auditd and the all-in-one build on: [New] opens the service on a database and a folder, [Service.Register]
// puts its methods on a gRPC server, [Service.Run] does its work until it is told to stop, [Service.Close] ends it.
//
// One process at a time is the sequencer of a log: New takes a lock in the database and one in the folder, and refuses to
// start a second one.
package audit
