package tlog

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"

	checkpoint "github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Public returns the key by which readers check the log's checkpoints, in the text form of signed notes.
func (l *Log) Public() string { return l.key.Public }

// Size implements audit.Log.
func (l *Log) Size(ctx context.Context) (uint64, error) {
	size, err := l.reader.End(ctx)
	if err != nil {
		return 0, fmt.Errorf("tlog: reading the size: %w", err)
	}
	return size, nil
}

// Leaves implements audit.Log. It reads one bundle of at most 256 leaves a call.
func (l *Log) Leaves(ctx context.Context, from uint64, limit int) ([][]byte, error) {
	size, err := l.reader.IntegratedSize(ctx)
	if err != nil {
		return nil, fmt.Errorf("tlog: reading the size: %w", err)
	}
	if from >= size || limit <= 0 {
		return nil, nil
	}
	bundle, err := client.GetEntryBundle(ctx, l.reader.ReadEntryBundle, from/layout.EntryBundleWidth, size)
	if err != nil {
		return nil, fmt.Errorf("tlog: reading leaves: %w", err)
	}
	first := from % layout.EntryBundleWidth
	have := min(uint64(len(bundle.Entries)), size-(from-first))
	if have <= first {
		return nil, fmt.Errorf("%w: a bundle ends before index %d", ErrTampered, from)
	}
	return bundle.Entries[first:min(have, first+uint64(limit))], nil
}

// Head implements audit.Published.
func (l *Log) Head(ctx context.Context) (audit.Head, error) {
	raw, err := l.reader.ReadCheckpoint(ctx)
	if err != nil {
		return audit.Head{}, fmt.Errorf("tlog: reading the checkpoint: %w", err)
	}
	return parseHead(raw, l.key)
}

// parseHead reads a checkpoint and checks its signature, and that the signature is spelled in the one right way: base64 leaves
// bits of its last character unused, and a log in which any bit was changed must not pass.
func parseHead(raw []byte, key Key) (audit.Head, error) {
	cp, _, signed, err := checkpoint.ParseCheckpoint(raw, key.Verifier.Name(), key.Verifier)
	if err != nil {
		return audit.Head{}, fmt.Errorf("%w: the checkpoint is not signed by the log's key: %w", ErrTampered, err)
	}
	for _, signature := range signed.Sigs {
		if _, err := base64.StdEncoding.Strict().DecodeString(signature.Base64); err != nil {
			return audit.Head{}, fmt.Errorf("%w: the checkpoint's signature is not in canonical form", ErrTampered)
		}
	}
	return audit.Head{Size: cp.Size, Root: cp.Hash, Checkpoint: raw}, nil
}

// Checkpoint returns the latest signed checkpoint. It is public.
func (l *Log) Checkpoint(ctx context.Context) ([]byte, error) {
	head, err := l.Head(ctx)
	return head.Checkpoint, err
}

// Inclusion implements audit.Published.
func (l *Log) Inclusion(ctx context.Context, index uint64) (audit.Inclusion, error) {
	head, err := l.Head(ctx)
	if err != nil {
		return audit.Inclusion{}, err
	}
	if index >= head.Size {
		return audit.Inclusion{}, audit.ErrNotFound
	}
	builder, err := client.NewProofBuilder(ctx, head.Size, l.reader.ReadTile)
	if err != nil {
		return audit.Inclusion{}, fmt.Errorf("tlog: building a proof: %w", err)
	}
	hashes, err := builder.InclusionProof(ctx, index)
	if err != nil {
		return audit.Inclusion{}, fmt.Errorf("tlog: building a proof: %w", err)
	}
	return audit.Inclusion{Index: index, TreeSize: head.Size, Hashes: hashes, Checkpoint: head.Checkpoint}, nil
}

// check compares the checkpoint with the key and its root with the tiles.
func (l *Log) check(ctx context.Context) error {
	head, err := l.Head(ctx)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return err
	}
	size, err := l.Size(ctx)
	if err != nil {
		return err
	}
	if missing {
		return unpublished(size)
	}
	return covers(ctx, l.reader, head, size)
}

// unpublished accepts a log without a checkpoint only if it is empty.
func unpublished(size uint64) error {
	if size > 0 {
		return fmt.Errorf("%w: there are %d leaves and no checkpoint", ErrTampered, size)
	}
	return nil
}

// covers compares a checkpoint with the tree of a size and with the tiles.
func covers(ctx context.Context, r tiles, head audit.Head, size uint64) error {
	if size < head.Size {
		return fmt.Errorf("%w: the checkpoint covers %d leaves, the tree has %d", ErrTampered, head.Size, size)
	}
	root, err := rootAt(ctx, r, head.Size)
	if err != nil {
		return fmt.Errorf("%w: the tiles of size %d cannot be read: %w", ErrTampered, head.Size, err)
	}
	if !bytes.Equal(root, head.Root) {
		return fmt.Errorf("%w: the tiles do not give the root that was signed at size %d", ErrTampered, head.Size)
	}
	return nil
}

// tiles are what a root follows from.
type tiles interface {
	ReadTile(ctx context.Context, level, index uint64, p uint8) ([]byte, error)
}

// rootAt computes the root of the tree of the first size leaves from the tiles.
func rootAt(ctx context.Context, r tiles, size uint64) ([]byte, error) {
	if size == 0 {
		return rfc6962.DefaultHasher.EmptyRoot(), nil
	}
	nodes, err := client.FetchRangeNodes(ctx, size, r.ReadTile)
	if err != nil {
		return nil, err
	}
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	all, err := factory.NewRange(0, size, nodes)
	if err != nil {
		return nil, err
	}
	return all.GetRootHash(nil)
}
