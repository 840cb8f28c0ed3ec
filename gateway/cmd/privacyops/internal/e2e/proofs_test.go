package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// TestProofs checks the log as an auditor would who trusts nothing but its key: with other people's code.
func TestProofs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fillTile(w)
	e := w.as("platform").planned(sample.Pupil())
	w.as("dpo").approve(e)
	w.as("dpo").awaitErasure(e.GetName(), erasurev1.Erasure_COMPLETED)

	w.events(`resource = "`+e.GetName()+`" AND action = "erasure.complete"`, 1) // the last one; there are others than those of the chain
	events := w.events(`resource = "`+e.GetName()+`"`, len(chain))
	found := map[string]bool{}
	last := int64(0)
	for _, e := range events {
		last = max(last, e.GetIndex())
	}
	tree := w.checkpoint(last + 1)
	if tree.N < 256 {
		t.Fatalf("the log has %d entries: no tile of it is full", tree.N)
	}
	hashes := w.leafHashes(tree)
	if root(hashes) != tree.Hash {
		t.Errorf("the tiles do not give the root of the checkpoint over %d entries", tree.N)
	}
	if _, err := tlog.TileHashReader(tree, tiles{w}).ReadHashes([]int64{tlog.StoredHashIndex(0, 0), tlog.StoredHashIndex(0, tree.N-1), tlog.StoredHashIndex(8, 0)}); err != nil {
		t.Errorf("the tiles do not verify: %v", err)
	}
	for _, event := range events {
		found[event.GetAction()] = true
		p := &auditv1.Proof{}
		w.as("auditor").get("/v1/"+event.GetName()+"/proof", p)
		w.proofHolds(event, p, hashes)
	}
	for _, action := range chain {
		if !found[action] {
			t.Errorf("the log has no event %s of the erasure", action)
		}
	}
	t.Logf("%d events have proofs that verify, in a log of %d entries", len(events), tree.N)
}

// fillTile makes more events than a tile holds.
func fillTile(w *world) {
	w.t.Helper()
	dpo := w.as("dpo")
	for range 260 {
		dpo.get(school+"/activities/teaching", &consentv1.Activity{})
	}
	w.events(`action = "activity.get"`, 260)
}

// verifier is the log's key, as the operator hands it out.
func (w *world) verifier() note.Verifier {
	w.t.Helper()
	key, err := os.ReadFile(w.LogKey)
	must(w.t, err)
	v, err := note.NewVerifier(strings.TrimSpace(string(key)))
	must(w.t, err)
	return v
}

// checkpoint reads the newest checkpoint, without a token, checks its signature, and waits until it covers so many entries.
func (w *world) checkpoint(entries int64) tlog.Tree {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		tree := w.opened(string(w.public("/v1/audit/checkpoint")))
		if tree.N >= entries {
			return tree
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the checkpoint covers %d entries, and there are at least %d", tree.N, entries)
		}
	}
}

func (w *world) public(path string) []byte {
	w.t.Helper()
	c := client{t: w.t}
	c.Base = w.URL
	answer, err := c.Raw(w.t.Context(), http.MethodGet, path, "", nil)
	must(w.t, err)
	return answer
}

// opened reads a checkpoint (C2SP tlog-checkpoint): origin, size and root, signed by the log's key.
func (w *world) opened(text string) tlog.Tree {
	w.t.Helper()
	v := w.verifier()
	n, err := note.Open([]byte(text), note.VerifierList(v))
	must(w.t, err)
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] != v.Name() {
		w.t.Fatalf("the checkpoint says %q", n.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(w.t, err)
	hash, err := base64.StdEncoding.DecodeString(lines[2])
	must(w.t, err)
	tree := tlog.Tree{N: size}
	if copy(tree.Hash[:], hash) != len(tree.Hash) {
		w.t.Fatalf("the root has %d bytes", len(hash))
	}
	return tree
}

// tiles reads the log's tiles over REST for package tlog.
type tiles struct{ w *world }

func (tiles) Height() int                     { return 8 }
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (r tiles) ReadTiles(list []tlog.Tile) (out [][]byte, err error) {
	for _, tile := range list {
		out = append(out, r.w.public("/v1/audit/"+strings.Replace(tile.Path(), "tile/8/", "tile/", 1)))
	}
	return out, nil
}

// leafHashes reads the hashes of all entries from the tiles of level 0.
func (w *world) leafHashes(tree tlog.Tree) (out []tlog.Hash) {
	w.t.Helper()
	for n := int64(0); n*256 < tree.N; n++ {
		tile := tlog.Tile{H: 8, L: 0, N: n, W: int(min(256, tree.N-n*256))}
		content, err := tiles{w}.ReadTiles([]tlog.Tile{tile})
		must(w.t, err)
		if len(content[0]) != tile.W*tlog.HashSize {
			w.t.Fatalf("tile %s has %d bytes", tile.Path(), len(content[0]))
		}
		for i := range tile.W {
			out = append(out, tlog.Hash(content[0][i*tlog.HashSize:(i+1)*tlog.HashSize]))
		}
	}
	return out
}

// root is the Merkle tree hash of RFC 6962 section 2.1, written down from there.
func root(leaves []tlog.Hash) tlog.Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	left, right := root(leaves[:k]), root(leaves[k:])
	return sha256.Sum256(fmt.Appendf(nil, "\x01%s%s", left[:], right[:]))
}

// proofHolds checks one proof against its own checkpoint, and that checkpoint against the tiles.
func (w *world) proofHolds(event *auditv1.AuditEvent, p *auditv1.Proof, hashes []tlog.Hash) {
	w.t.Helper()
	tree := w.opened(p.GetCheckpoint())
	path := make(tlog.RecordProof, len(p.GetHashes()))
	for i, h := range p.GetHashes() {
		path[i] = tlog.Hash(h)
	}
	leaf := tlog.RecordHash(p.GetLeaf())
	if err := tlog.CheckRecord(path, tree.N, tree.Hash, p.GetIndex(), leaf); err != nil {
		w.t.Errorf("the proof of %s does not verify: %v", event.GetAction(), err)
	}
	changed := append([]byte{}, p.GetLeaf()...)
	changed[len(changed)/2] ^= 1
	if tlog.CheckRecord(path, tree.N, tree.Hash, p.GetIndex(), tlog.RecordHash(changed)) == nil {
		w.t.Errorf("the proof of %s holds for another entry too", event.GetAction())
	}
	if i := event.GetIndex(); i != p.GetIndex() || i >= int64(len(hashes)) || hashes[i] != leaf {
		w.t.Errorf("the event %s at index %d is not what the tiles hold there", event.GetAction(), i)
	}
	if n := int(tree.N); n <= len(hashes) && root(hashes[:n]) != tree.Hash {
		w.t.Errorf("the checkpoint over %d entries is of another log than the tiles", n)
	}
	if id := event.GetName()[strings.LastIndex(event.GetName(), "/")+1:]; !strings.Contains(string(p.GetLeaf()), `"`+id+`"`) ||
		!strings.Contains(string(p.GetLeaf()), `"action":"`+event.GetAction()+`"`) {
		w.t.Errorf("the entry of %s is another event's: %s", event.GetAction(), p.GetLeaf())
	}
}
