// Package tlog keeps the audit log as a verifiable log: an append-only Merkle tree in the tiles of C2SP tlog-tiles, with
// signed checkpoints (C2SP tlog-checkpoint), written by Tessera: in a folder by its POSIX storage, or on servers, a database
// and a bucket, by the one for Amazon's ([Shared]). What differs is behind one interface, in storage.go.
//
// A [Log] is the one writer: a second process that opens it is refused, as two sequencers would add entries twice. On servers
// it may take over when the first one shows no sign of life, and the database refuses what that one still adds. What is
// public are the checkpoint and the hash tiles ([Log.Checkpoint], [Log.Tile]); the leaves themselves are read only through
// the audit service, which knows who may see them.
//
// Opening checks what is found: the checkpoint must be signed by the log's key and its root must follow from the tiles. A
// log that was restored from an older copy, edited, or signed by another key is refused with [ErrTampered].
package tlog
