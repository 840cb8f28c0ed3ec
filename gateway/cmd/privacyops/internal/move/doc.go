// Package move carries an embedded installation to PostgreSQL.
//
// An embedded installation keeps a SQLite file for each service in its data folder. [Run] copies each of them into a schema of
// its own, the one that `privacyops serve --database` uses, and then compares what both engines hold. The log, the packages,
// the keys and the ledger stay files: so the audit log keeps its identity, and what was proved by it stays proved.
//
// # What it promises
//
//   - The files are only read, and no installation runs on them meanwhile (the data folder's lock).
//   - Nothing is written over: a schema that holds rows of somebody else is refused before anything in it is changed.
//   - Each batch of rows commits together with its line in a journal (schema privacyops_move of the target), so a move that was
//     cut off at any point goes on where it stood, and no row is copied twice. A source that has changed since is refused.
//   - It has succeeded only if every table has the same rows on both sides, read again from both after the copy.
//   - What it says, logs and keeps are names of tables, numbers, and hashes of whole tables; never a value.
//
// # How rows are carried
//
// Tables are found in the catalogs of both engines, which must agree, and are copied in the order of their foreign keys, each in
// the order of its primary key. BIGINT, TEXT and BLOB are the same on both sides. The job table is River's own, and the two
// engines store its columns in ways of their own (times, JSON, arrays, states): each type has a [kind], which says how it is
// read, written and compared. A job that was at work when the last process ended waits again.
//
// The tables of schema versions are not copied: they must be the same on both sides.
package move
