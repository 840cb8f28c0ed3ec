package evidencecheck

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/privacyops/privacyops/libs/logkey"
	"github.com/privacyops/privacyops/services/audit/internal/dossier"
	"github.com/privacyops/privacyops/services/audit/internal/evidence"
)

// TestWitnessesOfShards: what a package says of witnesses holds for each shard, and each is asked for those that the caller trusts.
func TestWitnessesOfShards(t *testing.T) {
	t.Parallel()
	second, _ := witness(t, "b.example", 41)
	for name, c := range map[string]struct {
		fewer  map[int]int // witnesses of 3 that sign a shard's checkpoint, any two of whom are enough
		by     int
		enough bool
		cut    int // where the second shard begins
	}{
		"all of all":            {nil, 3, true, 5},
		"enough of each":        {map[int]int{0: 2}, 2, true, 5},
		"too few of the first":  {map[int]int{0: 1}, 1, false, 5},
		"too few of the middle": {map[int]int{1: 1, 2: 2}, 1, false, 5},
		"too few of the last":   {map[int]int{2: 0}, 0, false, 5},
		"none of one without entries of the controller": {map[int]int{0: 0}, 3, true, 1},
	} {
		w := witnessed(t, 3, c.cut, 9)
		w.fewer = c.fewer
		if got := w.log.size + w.later[0].size + w.later[1].size; got != 16 || len(w.later) != 2 {
			t.Fatalf("%s: the log is %d entries in %d shards", name, got, 1+len(w.later))
		}
		file := w.file()
		report, err := check(file, Trust{LogKeys: []string{w.key}})
		if got := report.Witnesses; err != nil || len(got.By) != c.by || got.Known != 3 || got.Required != 2 || got.Enough != c.enough {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		for what, trust := range map[string]Trust{"policy": {WitnessPolicy: w.policy}, "key": {WitnessKeys: []string{second}}} {
			report, err := check(file, trust)
			var failed *VerifyError
			if c.enough != (err == nil) || err != nil && (!errors.As(err, &failed) || failed.Check != CheckWitnesses) {
				t.Errorf("%s, by the caller's own %s: %v", name, what, err)
			}
			if report.Witnesses.PolicyPinned != (c.enough && what == "policy") {
				t.Errorf("%s, by the caller's own %s: %+v", name, what, report.Witnesses)
			}
		}
		err = w.sources().Gather(t.Context(), w.request(), io.Discard, w.request().Created, func(int64) error { return nil })
		if c.enough != (err == nil) || err != nil && !errors.Is(err, evidence.ErrNotYet) {
			t.Errorf("%s: gathering at once: %v", name, err)
		}
	}
}

// TestEveryAlteredByteOfWitnessedShards alters bytes of a package of three shards that witnesses have signed, as many as
// TestEveryAlteredByteIsFound.
func TestEveryAlteredByteOfWitnessedShards(t *testing.T) {
	t.Parallel()
	w := witnessed(t, 2, 5, 9)
	file := w.file()
	if report, err := check(file, Trust{}); err != nil || len(report.Witnesses.By) != 2 {
		t.Fatalf("%+v, %v", report.Witnesses, err)
	}
	for _, i := range places(t, len(file)) {
		flip(file, i)
		if _, err := check(file, Trust{}); err == nil {
			t.Fatalf("byte %d of %d may be altered", i, len(file))
		}
		flip(file, i)
	}
}

// TestForgedWitnessesOfShards: each shard's own checkpoint is signed, or it counts for none.
func TestForgedWitnessesOfShards(t *testing.T) {
	t.Parallel()
	_, stranger := witness(t, "z.example", 77)
	for name, change := range map[string]func(w *world, notes [][]byte){
		"the signatures of another shard": func(_ *world, notes [][]byte) {
			at := func(n []byte) int { return bytes.Index(n, []byte("\u2014 a.example")) }
			notes[1] = append(bytes.Clone(notes[1][:at(notes[1])]), notes[2][at(notes[2]):]...)
		},
		"none of the first": func(_ *world, notes [][]byte) {
			notes[0] = notes[0][:bytes.Index(notes[0], []byte("\u2014 a.example"))]
		},
		"one less of another": func(_ *world, notes [][]byte) {
			notes[2] = notes[2][:bytes.Index(notes[2], []byte("\u2014 b.example"))]
		},
		"a stranger's": func(w *world, notes [][]byte) {
			text, _, _ := bytes.Cut(notes[1], []byte("\n\n"))
			notes[1] = append(bytes.Clone(notes[1]), w.signedBy(string(text)+"\n", stranger)...)
		},
	} {
		w := witnessed(t, 2, 5, 9)
		file := w.forged(func(path string, raw []byte) []byte {
			if path != dossier.CheckpointPath {
				return raw
			}
			notes := logkey.SplitNotes(raw)
			if len(notes) != 3 {
				t.Fatalf("%d checkpoints", len(notes))
			}
			change(w, notes)
			return logkey.JoinNotes(notes)
		}, nil)
		var failed *VerifyError
		if _, err := check(file, Trust{LogKeys: []string{w.key}}); !errors.As(err, &failed) || failed.Check != CheckWitnesses {
			t.Errorf("%s: %v", name, err)
		}
	}
}
