package logcheck

import (
	"bytes"
	"context"
	"testing"
)

// FuzzFolder feeds arbitrary bytes as bundle and tile: whatever they are, the check ends, and only the log's own bytes are sound.
func FuzzFolder(f *testing.F) {
	k := newKey(f, origin)
	sound := build(f, k, leavesTo(3))
	const bundle, tile = "tile/entries/000.p/3", "tile/0/000.p/3"
	f.Add(sound[bundle], sound[tile])
	f.Add(sound[bundle][:50], sound[tile][:32])
	f.Add([]byte{0, 0, 0, 0, 0, 0}, bytes.Repeat([]byte{7}, 96))
	f.Fuzz(func(t *testing.T, b, h []byte) {
		log := sound.with(bundle, b).with(tile, h)
		r, err := Verify(context.Background(), Folder(log), Options{Key: k.verifier})
		if err != nil {
			t.Fatal(err)
		}
		if same := bytes.Equal(b, sound[bundle]) && bytes.Equal(h, sound[tile]); same != r.Sound() {
			t.Errorf("the log's own bytes: %t, sound: %t", same, r.Sound())
		}
	})
}

// FuzzCheckpoint alters a signed checkpoint in any way: none that passes says anything else.
func FuzzCheckpoint(f *testing.F) {
	k := newKey(f, origin)
	raw := build(f, k, leavesTo(3))["checkpoint"]
	f.Add(raw)
	f.Add(bytes.Replace(raw, []byte("\n3\n"), []byte("\n03\n"), 1))
	want, err := openCheckpoint(raw, k.verifier)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, altered []byte) {
		if got, err := openCheckpoint(altered, k.verifier); err == nil && got != want {
			t.Errorf("%q passes, and says something else than was signed", altered)
		}
	})
}
