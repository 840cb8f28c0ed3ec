// Package tlog keeps the audit log as a verifiable log on disk: an append-only Merkle tree in the tiles of C2SP
// tlog-tiles, with signed checkpoints (C2SP tlog-checkpoint), written by Tessera's POSIX storage.
//
// A [Log] owns its folder: a second process that opens it is refused, as two sequencers would add entries twice. What is
// public are the checkpoint and the hash tiles ([Log.Checkpoint], [Log.Tile]); the leaves themselves are read only through
// the audit service, which knows who may see them.
//
// Opening checks what is found: the checkpoint must be signed by the log's key and its root must follow from the tiles. A
// folder that was restored from an older copy, edited, or signed by another key is refused with [ErrTampered].
package tlog
