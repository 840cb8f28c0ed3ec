package logcheck

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Inclusion proves that one entry is in a log: what the audit service gives for an event (`…/auditEvents/{event}/proof`).
type Inclusion struct {
	// Leaf is the entry's bytes.
	Leaf []byte
	// Index is its place, TreeSize that of the tree for which the proof was made.
	Index, TreeSize int64
	// Hashes are those from the leaf's sibling up to the root's child (RFC 6962 section 2.1.1).
	Hashes [][]byte
	// Checkpoint is the signed checkpoint of that tree.
	Checkpoint []byte
}

// ErrNotIncluded reports a proof that does not prove it.
var ErrNotIncluded = errors.New("logcheck: the proof does not show that the entry is in the log")

// Check verifies the proof with the log's key.
func (p Inclusion) Check(key note.Verifier) error {
	h, err := openCheckpoint(p.Checkpoint, key)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotIncluded, err)
	}
	if p.TreeSize < 0 || uint64(p.TreeSize) != h.size || p.Index < 0 || p.Index >= p.TreeSize {
		return fmt.Errorf("%w: its size or index is not that of the checkpoint", ErrNotIncluded)
	}
	path := make(tlog.RecordProof, len(p.Hashes))
	for i, hash := range p.Hashes {
		if len(hash) != tlog.HashSize {
			return fmt.Errorf("%w: a hash has %d bytes", ErrNotIncluded, len(hash))
		}
		path[i] = tlog.Hash(hash)
	}
	if err := tlog.CheckRecord(path, p.TreeSize, h.root, p.Index, tlog.RecordHash(p.Leaf)); err != nil {
		return fmt.Errorf("%w: its hashes do not lead to the root", ErrNotIncluded)
	}
	return nil
}
