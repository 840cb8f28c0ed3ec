package evidencecheck

import (
	"archive/zip"
	"bytes"
	"slices"
	"testing"

	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

// FuzzVerify feeds any file: none but the package itself verifies.
func FuzzVerify(f *testing.F) {
	w := newWorld(f, 4)
	w.unsealed = true
	sound := w.file()
	f.Add(sound)
	f.Add(sound[:len(sound)-30])
	f.Add(zipped(f, nil, dossier.ManifestPath, dossier.LeavesPath))
	f.Add(zipped(f, func(h *zip.FileHeader) { h.UncompressedSize64 = 1 << 40 }, dossier.ManifestPath))
	f.Add(zipped(f, nil, dossier.ManifestPath, "../x", dossier.ManifestPath))
	f.Add(crowded(300, true))
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if _, err := check(file, Trust{}); err == nil && !bytes.Equal(file, sound) {
			t.Error("another file verifies")
		}
	})
}

// proven are the members in which every byte follows from the log.
func proven() []string {
	return []string{dossier.LeavesPath, dossier.ProofPath, dossier.CheckpointPath, dossier.EventsPath, dossier.FiguresPath, dossier.WitnessesPath}
}

// FuzzSigned puts any bytes in a member's place and has the log's own key sign the package: whatever is proven by the log cannot say
// anything else, and nothing makes the verifier stumble.
func FuzzSigned(f *testing.F) {
	w := witnessed(f, 2)
	sound := map[string][]byte{}
	members, manifest := w.unpacked()
	for _, m := range members {
		sound[m.path] = m.raw
		f.Add(m.path, m.raw)
		f.Add(m.path, m.raw[:len(m.raw)/2])
	}
	f.Add(dossier.CheckpointPath, bytes.Replace(sound[dossier.CheckpointPath], []byte("\n8\n"), []byte("\n08\n"), 1))
	f.Add(dossier.LeavesPath, bytes.Repeat([]byte{0xff}, 12))
	f.Add(dossier.EventsPath, []byte("{}\n[]\nnull\n"))
	f.Fuzz(func(t *testing.T, path string, content []byte) {
		if sound[path] == nil {
			t.Skip("no member of a package")
		}
		file := w.within(t).packed(members, manifest, func(name string, raw []byte) []byte {
			if name == path {
				return append([]byte{}, content...)
			}
			return raw
		})
		_, err := check(file, Trust{LogKeys: []string{w.key}})
		if err == nil && slices.Contains(proven(), path) && !bytes.Equal(content, sound[path]) {
			t.Errorf("%s may be %q", path, content)
		}
	})
}

// FuzzManifest has the log's own key sign any manifest.
func FuzzManifest(f *testing.F) {
	w := newWorld(f, 4)
	file := w.file()
	var sound []byte
	w.resigned(file, func(raw []byte) []byte { sound = bytes.Clone(raw); return raw })
	f.Add(sound)
	f.Add(bytes.Replace(sound, []byte(`"size": 8`), []byte(`"size": 9`), 1))
	f.Add(bytes.Replace(sound, []byte(`"files": [`), []byte(`"files": [{},`), 1))
	f.Add([]byte(`{"format":"privacyops-evidence/v1","log":null,"files":[{"path":"x","size":-1}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		report, err := check(w.within(t).resigned(file, func([]byte) []byte { return raw }), Trust{LogKeys: []string{w.key}})
		if err == nil && (report.Entries != 2 || report.FirstNumber != 2 || report.Controller != "north") {
			t.Errorf("%q says that there is %+v", raw, report)
		}
	})
}
