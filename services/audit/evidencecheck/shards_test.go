package evidencecheck

import (
	"errors"
	"slices"
	"testing"

	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

// TestShards makes packages of a log that is cut into shards, at every place and at several, and verifies them.
func TestShards(t *testing.T) {
	t.Parallel()
	const made = 12 // entries of each controller: those of `north` are at the odd places, the period from the 3rd to the last but one
	var cuts [][]int
	for at := 1; at < 2*made; at++ {
		cuts = append(cuts, []int{at})
	}
	for _, cut := range append(cuts, []int{3, 4}, []int{5, 6, 7, 8}, []int{1, 2}, []int{2*made - 2, 2*made - 1}, []int{8, 16}) {
		w := newWorld(t, made, cut...)
		report, err := check(w.file(), Trust{LogKeys: []string{w.key}})
		if err != nil {
			t.Errorf("cut at %v: %v", cut, err)
			continue
		}
		if report.Entries != made-2 || report.FirstNumber != 2 || report.LastNumber != made-1 || report.TreeSize != 2*made {
			t.Errorf("cut at %v: %+v", cut, report)
		}
	}
}

// TestEveryAlteredByteOfShards alters bytes of a package of three shards, as many as TestEveryAlteredByteIsFound.
func TestEveryAlteredByteOfShards(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 6, 4, 8)
	file := w.file()
	for _, i := range places(t, len(file)) {
		flip(file, i)
		if _, err := check(file, Trust{}); err == nil {
			t.Fatalf("byte %d of %d may be altered", i, len(file))
		}
		flip(file, i)
	}
}

// TestForgedShards makes packages that are whole and signed with the log's key, and say something else of its shards.
func TestForgedShards(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*dossier.Manifest){
		"a shard of another log":    func(m *dossier.Manifest) { m.Log.Shards[1].Origin = "log.example/other/2026" },
		"a shard of no year":        func(m *dossier.Manifest) { m.Log.Shards[1].Origin = "log.example/audit/26" },
		"another place":             func(m *dossier.Manifest) { m.Log.Shards[1].First++ },
		"another size":              func(m *dossier.Manifest) { m.Log.Shards[1].Size++ },
		"another root":              func(m *dossier.Manifest) { m.Log.Shards[0].Root = m.Log.Shards[1].Root },
		"another root of the whole": func(m *dossier.Manifest) { m.Log.Root = m.Log.Shards[0].Root },
		"another size of the whole": func(m *dossier.Manifest) { m.Log.Size++ },
		"a shard less":              func(m *dossier.Manifest) { m.Log.Shards = m.Log.Shards[:2] },
		"exchanged":                 func(m *dossier.Manifest) { slices.Reverse(m.Log.Shards) },
		"none":                      func(m *dossier.Manifest) { m.Log.Shards = nil },
	} {
		w := newWorld(t, 8, 5, 9)
		file := w.forged(func(_ string, raw []byte) []byte { return raw }, change)
		var failed *VerifyError
		if _, err := check(file, Trust{LogKeys: []string{w.key}}); !errors.As(err, &failed) || failed.Check != CheckCheckpoint {
			t.Errorf("%s: %v", name, err)
		} else {
			t.Log(name+":", err)
		}
	}
}
