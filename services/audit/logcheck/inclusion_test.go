package logcheck

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// TestInclusion mutates every field of inclusion proofs, the checkpoint and the hashes bit by bit.
func TestInclusion(t *testing.T) {
	t.Parallel()
	k, other, seed := newKey(t, origin), newKey(t, origin), seedOf(t)
	random := rand.New(rand.NewPCG(seed, 5))
	runs := 0
	for range number("PRIVACYOPS_TEST_PROOFS", 4) {
		leaves := leavesTo(2 + random.IntN(600))
		p := prove(t, k, leaves, random.IntN(len(leaves)))
		if err := p.Check(k.verifier); err != nil {
			t.Fatalf("a sound proof of %d in %d: %v", p.Index, p.TreeSize, err)
		}
		for i, bad := range mutations(p, k, other, t) {
			runs++
			if err := bad.Check(k.verifier); !errors.Is(err, ErrNotIncluded) {
				t.Errorf("index %d of %d: mutation %d passes: %v", p.Index, p.TreeSize, i, err)
			}
		}
	}
	t.Logf("seed %d: %d mutated inclusion proofs, every one refused unless reported above", seed, runs)
}

// mutations are the proof with each of its fields changed in every way that one bit, one element or another log can.
func mutations(p Inclusion, k, other logKey, t *testing.T) (out []Inclusion) {
	t.Helper()
	each := func(raw []byte, set func(*Inclusion, []byte)) {
		for bit := range len(raw) * 8 {
			changed := bytes.Clone(raw)
			changed[bit/8] ^= 1 << (bit % 8)
			bad := p
			bad.Hashes = append([][]byte(nil), p.Hashes...)
			set(&bad, changed)
			out = append(out, bad)
		}
	}
	each(p.Leaf, func(q *Inclusion, raw []byte) { q.Leaf = raw })
	each(p.Checkpoint, func(q *Inclusion, raw []byte) { q.Checkpoint = raw })
	for i := range p.Hashes {
		each(p.Hashes[i], func(q *Inclusion, raw []byte) { q.Hashes[i] = raw })
	}
	add := func(change func(*Inclusion)) {
		bad := p
		bad.Hashes = append([][]byte(nil), p.Hashes...)
		change(&bad)
		out = append(out, bad)
	}
	for _, by := range []int64{-p.TreeSize - 1, -1, 1, p.TreeSize} {
		add(func(q *Inclusion) { q.Index += by })
		add(func(q *Inclusion) { q.TreeSize += by })
	}
	add(func(q *Inclusion) { q.Leaf = nil })
	add(func(q *Inclusion) { q.Leaf = append(bytes.Clone(q.Leaf), 0) })
	add(func(q *Inclusion) { q.Hashes = q.Hashes[1:] })
	add(func(q *Inclusion) { q.Hashes = append(q.Hashes, q.Hashes[0]) })
	add(func(q *Inclusion) { q.Hashes[0] = q.Hashes[0][1:] })
	add(func(q *Inclusion) { q.Checkpoint = nil })
	add(func(q *Inclusion) { q.Checkpoint = other.checkpoint(t, 1, tlog.RecordHash(q.Leaf)) })
	add(func(q *Inclusion) { q.Checkpoint = k.checkpoint(t, uint64(q.TreeSize), tlog.RecordHash(q.Leaf)) })
	return out
}

// prove makes a proof with golang.org/x/mod alone.
func prove(t *testing.T, k logKey, leaves [][]byte, index int) Inclusion {
	t.Helper()
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for i, leaf := range leaves {
		hashes, err := tlog.StoredHashes(int64(i), leaf, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
	}
	n := int64(len(leaves))
	path, err := tlog.ProveRecord(n, int64(index), reader)
	if err != nil {
		t.Fatal(err)
	}
	root, err := tlog.TreeHash(n, reader)
	if err != nil {
		t.Fatal(err)
	}
	p := Inclusion{Leaf: leaves[index], Index: int64(index), TreeSize: n, Checkpoint: k.checkpoint(t, uint64(n), root)}
	for _, h := range path {
		p.Hashes = append(p.Hashes, h[:])
	}
	return p
}
