package logcheck

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/transparency-dev/formats/witness"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// head is what a checkpoint says.
type head struct {
	size uint64
	root tlog.Hash
}

// maxEntries is more than any log has; larger sizes do not fit the arithmetic of tiles.
const maxEntries = 1 << 48

// openCheckpoint reads a checkpoint that the key has signed. Its text must be the one that says what it says: no leading zero, no unused
// bits of base64, no further lines.
func openCheckpoint(raw []byte, key note.Verifier) (head, error) {
	n, err := note.Open(raw, note.VerifierList(key))
	if err != nil {
		return head{}, errors.New("the checkpoint is not signed by the log's key")
	}
	for _, sig := range append(n.Sigs, n.UnverifiedSigs...) {
		if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
			return head{}, errors.New("a signature of the checkpoint is not in canonical form")
		}
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != key.Name() || lines[3] != "" {
		return head{}, errors.New("the checkpoint is none of this log")
	}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] || size > maxEntries {
		return head{}, errors.New("the checkpoint's size is no size")
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return head{}, errors.New("the checkpoint's root is no hash")
	}
	return head{size: size, root: tlog.Hash(root)}, nil
}

// ErrKnown reports an earlier checkpoint that the pinned key has not signed: it says nothing about this log.
var ErrKnown = errors.New("logcheck: the earlier checkpoint is not one of this log")

// openKnown reads the earlier checkpoint.
func openKnown(raw []byte, key note.Verifier) (head, error) {
	if raw == nil {
		return head{}, nil
	}
	h, err := openCheckpoint(raw, key)
	if err != nil {
		return head{}, fmt.Errorf("%w: %w", ErrKnown, err)
	}
	return h, nil
}

// ParsePolicy reads a witness policy: `witness`, `group` and `quorum` lines, as Sigsum and Tessera have them, with keys of type 4
// (cosignature/v1).
func ParsePolicy(text []byte) (Policy, error) {
	group, err := witness.ParsePolicy(text)
	if err != nil {
		return nil, fmt.Errorf("logcheck: the witness policy: %w", err)
	}
	if group.N <= 0 {
		return nil, errors.New("logcheck: the witness policy asks for nobody's cosignature")
	}
	return group, nil
}
