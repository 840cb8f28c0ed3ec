package evidencecheck

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"slices"

	checkpoint "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/libs/logkey"
	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

// signature checks that the log's key, a pinned one where keys are pinned, signed the manifest.
func (v *verifier) signature() (err error) {
	key := v.manifest.Log.Key
	v.report.Pinned = slices.Contains(v.trust.LogKeys, key)
	if len(v.trust.LogKeys) > 0 && !v.report.Pinned {
		return bad(dossier.ManifestPath, "names another log's key than those that you trust")
	}
	if v.key, err = note.NewVerifier(key); err != nil || v.key.Name() != v.manifest.Log.Origin {
		return bad(dossier.ManifestPath, "names no key of its log")
	}
	raw, err := v.small(dossier.SignaturePath, maxSmall)
	if err != nil {
		return err
	}
	signed, err := note.Open(raw, note.VerifierList(v.key))
	if err != nil || len(signed.Sigs) != 1 || len(signed.UnverifiedSigs) != 0 {
		return bad(dossier.SignaturePath, "is no signature of the log's key")
	}
	if signed.Text != dossier.SignedText(v.raw) {
		return bad(dossier.ManifestPath, "is not the one that was signed")
	}
	return strict(dossier.SignaturePath, signed.Sigs)
}

// strict refuses a signature that is spelled in another way than the one right one: base64 leaves bits of its last character unused.
func strict(path string, signatures []note.Signature) error {
	for _, s := range signatures {
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
			return bad(path, "has a signature that is not in canonical form")
		}
	}
	return nil
}

// files checks that the package has the members of its manifest and no others, in the manifest's order, each with its size and hash.
func (v *verifier) files() error {
	listed := map[string]bool{}
	for i, f := range v.manifest.Files {
		if listed[f.Path] {
			return bad(f.Path, "is listed twice")
		}
		listed[f.Path] = true
		m := v.members[f.Path]
		if m == nil {
			return bad(f.Path, "is listed, but is not in the package")
		}
		if i >= len(v.container.Members) || v.container.Members[i] != m {
			return bad(f.Path, "is not at its place in the package")
		}
		if err := sameFile(m, f); err != nil {
			return err
		}
	}
	for _, path := range dossier.Required() {
		if !listed[path] {
			return bad(path, "is missing")
		}
	}
	for _, path := range []string{dossier.ManifestPath, dossier.SignaturePath} {
		if m := v.members[path]; m == nil || listed[path] || m.Packed {
			return bad(path, "is not as it is in a package")
		}
	}
	if extra := len(v.container.Members) - len(v.manifest.Files); extra != 2 {
		return bad("", "the package has %d members more than are listed", extra-2)
	}
	return nil
}

func sameFile(m *dossier.Member, f dossier.File) error {
	if !m.Packed || m.StoredSize != f.StoredSize || m.StoredSHA256 != f.StoredSHA256 || m.Size != f.Size {
		return bad(f.Path, "was altered")
	}
	r, err := m.Open()
	if err != nil {
		return bad(f.Path, "cannot be unpacked")
	}
	defer r.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, io.LimitReader(r, f.Size+1))
	if err != nil || n != f.Size || hex.EncodeToString(hash.Sum(nil)) != f.SHA256 {
		return bad(f.Path, "was altered")
	}
	return nil
}

// tree is one of the trees that the entries lead to.
type tree struct {
	first, size uint64
	root        dossier.Hash
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
	v.report.Cosignatures = -1
	for i, s := range shards {
		if err := v.shard(notes[i], s); err != nil {
			return err
		}
		if before := v.trees[:i]; i > 0 && before[i-1].first+before[i-1].size != s.First {
			return bad(dossier.ManifestPath, "names shards that do not follow each other")
		}
	}
	if last := shards[len(shards)-1]; last.First+last.Size != log.Size || last.Root != log.Root {
		return bad(dossier.ManifestPath, "names another tree than that of its last shard")
	}
	return nil
}

// shard checks one checkpoint.
func (v *verifier) shard(raw []byte, s dossier.Shard) error {
	year, ok := logkey.YearOf(v.manifest.Log.Origin, s.Origin)
	if !ok || (year == 0) != (s.First == 0) {
		return bad(dossier.ManifestPath, "names a shard of another log")
	}
	text, err := logkey.Shard(v.manifest.Log.Key, year)
	if err != nil {
		return bad(dossier.ManifestPath, "names no key of its log")
	}
	key, err := note.NewVerifier(text)
	if err != nil {
		return bad(dossier.ManifestPath, "names no key of its log")
	}
	cp, _, signed, err := checkpoint.ParseCheckpoint(raw, s.Origin, key)
	if err != nil {
		return bad(dossier.CheckpointPath, "is not signed by the log's key")
	}
	if err := strict(dossier.CheckpointPath, signed.Sigs); err != nil {
		return err
	}
	if cp.Size != s.Size || hex.EncodeToString(cp.Hash) != s.Root || len(cp.Hash) != sha256.Size {
		return bad(dossier.CheckpointPath, "is of another tree than the manifest names")
	}
	v.trees = append(v.trees, tree{s.First, s.Size, dossier.Hash(cp.Hash)})
	if n := len(signed.UnverifiedSigs); v.report.Cosignatures < 0 || n < v.report.Cosignatures {
		v.report.Cosignatures = n
	}
	return nil
}
