// Package sqldb is the one door to a service's database: a small transaction
// interface that every store is written against once, whatever the engine.
//
// # Transactions
//
// [DB.Write] runs a function in one write transaction and [DB.Read] runs one on
// one consistent snapshot. A store never begins, commits or rolls back by itself,
// so a state change, the jobs it needs ([Tx].Enqueue) and its audit events commit
// together or not at all. What must happen only once the change is durable (waking
// a stream, invalidating a cache) is registered with [Tx].AfterCommit.
//
// # Portable SQL
//
// Queries use $1…$n parameters, ON CONFLICT, RETURNING, BIGINT and TEXT. Times are
// BIGINT microseconds since 1970 UTC ([Micros], [Time]), booleans are BIGINT 0 or 1
// ([Bool], [Truth]), JSON is TEXT. Arguments of type [time.Time] or bool are refused,
// because each engine stores them in a way of its own.
//
// # SQLite
//
// WAL mode with synchronous=FULL: a commit that returned survives power loss. One
// connection writes (BEGIN IMMEDIATE, so that a transaction never fails half way for
// want of the lock), a small pool reads. Deleted content is overwritten
// (secure_delete), because an erased identifier must not linger in a free page
// (GDPR article 17), and [DB.Scrub] empties the write-ahead log, which would otherwise
// hold the earlier version of a page until it is reused. Files have mode 0600.
// What it moves to another page when it divides or joins pages it does not overwrite where it stood: a secret belongs in rows that are added at the end and
// overwritten where they stand, as the audit service's keys are.
// [DB.ScrubMemory] does what [DB.Scrub] does to this process's memory, with both engines.
// Several processes may work on one file: SQLite's own file locks order the writers,
// and [DB.Lock] keeps what must happen once (migrations, an exclusive job runner) apart.
//
// # PostgreSQL
//
// Version 14 or later, by native pgx and always with the extended protocol. One database
// may hold a schema for each service: the parameter schema of [Config].URL names it, Migrate
// makes it if it is missing and the role may, and the job table lives there too. [DB.Write]
// is READ COMMITTED and may run its function again (see there), [DB.Read] is one REPEATABLE
// READ snapshot. The first error of a statement spoils the transaction: a store that expects
// a row to be there says ON CONFLICT instead of trying. Every transaction begins by setting
// privacyops.controller for row-level security policies, see [WithController].
//
// The role that works needs to own nothing: on a schema that another role has migrated, Migrate and Ensure only look. What
// wants an owner is left to one; so the job table's indexes are not rebuilt at night (REINDEX, where they have grown).
//
// PostgreSQL keeps an erased row, as a dead tuple, until VACUUM has visited its table,
// and in the write-ahead log until the segment is recycled or, where it is archived, for as
// long as the archive is kept. Nobody can read either by SQL, and the service cannot hasten it
// without rights it should not have: the operator keeps autovacuum on and long transactions
// short (autovacuum_naptime and idle_in_transaction_session_timeout bound the delay), and
// gives archives and backups an end (GDPR article 17; restored backups meet the tombstones).
//
// # Errors
//
// Error texts hold the kind of failure and, where the engine names them, tables,
// columns and constraints; they never hold an argument or a stored value. Callers
// classify with [ErrNoRows], [ErrUnavailable], [IsUniqueViolation] and the context's
// own errors.
package sqldb
