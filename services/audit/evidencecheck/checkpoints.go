package evidencecheck

import (
	"crypto/sha256"
	"encoding/hex"

	checkpoint "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/libs/logkey"
	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

// tree is one of the trees that the entries lead to.
type tree struct {
	first, size uint64
	root        dossier.Hash
	checkpoint  []byte
	key         note.Verifier // the log's, under the shard's name
}

// checkpoint checks the log's signature on the checkpoint of each shard, and that the manifest names the trees that they sign.
func (v *verifier) checkpoint() error {
	raw, err := v.small(dossier.CheckpointPath, maxSmall)
	if err != nil {
		return err
	}
	log := v.manifest.Log
	shards := log.Shards
	if len(shards) == 0 {
		shards = []dossier.Shard{{Origin: log.Origin, Size: log.Size, Root: log.Root}}
	}
	notes := logkey.SplitNotes(raw)
	if len(notes) != len(shards) {
		return bad(dossier.CheckpointPath, "has another number of checkpoints than the manifest names shards")
	}
	for i, s := range shards {
		t, err := v.shard(notes[i], s)
		if err != nil {
			return err
		}
		if i > 0 && v.trees[i-1].first+v.trees[i-1].size != s.First {
			return bad(dossier.ManifestPath, "names shards that do not follow each other")
		}
		v.trees = append(v.trees, t)
	}
	if last := shards[len(shards)-1]; last.First+last.Size != log.Size || last.Root != log.Root {
		return bad(dossier.ManifestPath, "names another tree than that of its last shard")
	}
	return nil
}

// shard checks one checkpoint.
func (v *verifier) shard(raw []byte, s dossier.Shard) (t tree, err error) {
	year, ok := logkey.YearOf(v.manifest.Log.Origin, s.Origin)
	if !ok || (year == 0) != (s.First == 0) {
		return t, bad(dossier.ManifestPath, "names a shard of another log")
	}
	text, err := logkey.Shard(v.manifest.Log.Key, year)
	if err != nil {
		return t, bad(dossier.ManifestPath, "names no key of its log")
	}
	key, err := note.NewVerifier(text)
	if err != nil {
		return t, bad(dossier.ManifestPath, "names no key of its log")
	}
	cp, _, signed, err := checkpoint.ParseCheckpoint(raw, s.Origin, key)
	if err != nil {
		return t, bad(dossier.CheckpointPath, "is not signed by the log's key")
	}
	if !dossier.Canonical(raw, len(signed.Sigs)+len(signed.UnverifiedSigs)) {
		return t, bad(dossier.CheckpointPath, "has a signature that is not in canonical form")
	}
	if cp.Size != s.Size || hex.EncodeToString(cp.Hash) != s.Root || len(cp.Hash) != sha256.Size {
		return t, bad(dossier.CheckpointPath, "is of another tree than the manifest names")
	}
	return tree{s.First, s.Size, dossier.Hash(cp.Hash), raw, key}, nil
}
