// Package sqlmap is a participant for any system whose data lie in SQLite or
// PostgreSQL: it carries out the participant protocol from a data map
// (package datamap) over the live database.
//
// # Identifiers and values
//
// Table and column names come from the data map only after they were found, letter
// by letter, in the database's catalogue; they are always quoted. Values travel as
// parameters only. What the map names and the catalogue does not have is an error of
// [Open], with the line and column of the map, never a skip.
//
// # The ledger
//
// The adapter keeps a small SQLite file of its own, the ledger: per request the
// highest fencing token, the state, the targets (row keys) and the counts. It is
// what makes an erasure resumable: all targets of all datasets are recorded before
// the first destructive statement, so that neither a crash nor the loss of the
// person's row loses the rest. Of the identifiers it
// has salted hashes only. Row keys and link values are personal data all the same (a
// table that repeats the user name is linked by it): the file has mode 0600, deleted
// content is overwritten, and after a clean Verify only counts remain.
//
// # An erasure
//
//  1. Record: in one snapshot of the database, the keys of the rows of every dataset.
//     A row that several datasets reach is settled here: keep outranks delete, delete
//     outranks columns, and of two deletes the first counts it.
//  2. Carry out, one transaction per dataset, children before what they hang on. A row
//     is touched only while it still has the recorded key and the recorded link, so
//     that a key that the database gave to somebody else's new row is left alone.
//  3. Look again for rows that arrived meanwhile, until a look finds nothing.
//  4. The person's own row, last.
//
// Every step can be cut off anywhere and done again. The fencing token is read again
// before each commit.
//
// # Verification
//
// [Adapter.Verify] does not trust the path that the erasure took. It matches the key
// and the identifiers on the link columns, and on every foreign key of the live
// catalogue that points at the person, also in tables the map does not know; it reads
// the recorded rows again, and children of recorded parents; and it searches all text
// columns of the mapped tables for the identifiers as whole words.
//
// # Errors
//
// Driver errors may quote cell values. They are replaced by a fixed text and the
// engine's code ([DatabaseError]).
package sqlmap
