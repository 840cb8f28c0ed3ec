package evidencecheck

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"

	"golang.org/x/mod/sumdb/note"

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
	if !dossier.Canonical(raw, 1) {
		return bad(dossier.SignaturePath, "has a signature that is not in canonical form")
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
	if extra := len(v.container.Members) - len(v.manifest.Files); extra != 2 {
		return bad("", "the package has %d members more than are listed", extra-2)
	}
	for i, path := range []string{dossier.ManifestPath, dossier.SignaturePath} { // behind all others, and as they are
		if m := v.container.Members[len(v.manifest.Files)+i]; m.Path != path || listed[path] || m.Packed {
			return bad(path, "is not as it is in a package")
		}
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
