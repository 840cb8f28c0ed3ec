package logkey_test

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/libs/logkey"
)

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestShardKeys(t *testing.T) {
	t.Parallel()
	_, public, err := note.GenerateKey(zeros{}, "log.example/audit")
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := note.GenerateKey(strings.NewReader(strings.Repeat("x", 64)), "log.example/audit")
	if err != nil {
		t.Fatal(err)
	}
	shard, err := logkey.Shard(public, 2027)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(shard)
	if err != nil || v.Name() != "log.example/audit/2027" {
		t.Fatalf("%s: %v", shard, err)
	}
	foreign, err := logkey.Shard(other, 2027)
	if err != nil {
		t.Fatal(err)
	}
	again, err := logkey.Shard(shard, 2028)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]bool{public: true, shard: true, other: false, foreign: false, again: false, "": false, "x": false,
		strings.Replace(shard, "/2027", "/1999", 1): false, strings.Replace(shard, "/2027", "", 1): false} {
		if logkey.Covers(public, key) != want {
			t.Errorf("the key %q: want %v", key, want)
		}
	}
	if first, err := logkey.Shard(public, 0); err != nil || first != public {
		t.Errorf("the first shard's key is %s: %v", first, err)
	}
	if _, err := logkey.Shard("no key", 2027); err == nil {
		t.Error("no key has shards")
	}
}

func TestYears(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]int{"a/b": 0, "a/b/2026": 2026, "a/b/9999": 9999, "a/b/1999": -1, "a/b/02026": -1, "a/b/+202": -1, "a/b/2026/2027": -1, "a": -1, "a/b/": -1, "a/c/2026": -1} {
		year, ok := logkey.YearOf("a/b", origin)
		if ok != (want >= 0) || ok && year != want {
			t.Errorf("%s: %d %v", origin, year, ok)
		}
		if ok && logkey.Origin("a/b", year) != origin {
			t.Errorf("%s: read as %s", origin, logkey.Origin("a/b", year))
		}
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	a, b := []byte("a\n1\nx\n\n— a sig\n— w sig\n"), []byte("b\n2\ny\n\n— b sig\n")
	for _, notes := range [][][]byte{{a}, {a, b}, {b, a, b}} {
		if got := logkey.SplitNotes(logkey.JoinNotes(notes)); len(got) != len(notes) || !bytes.Equal(bytes.Join(got, nil), bytes.Join(notes, nil)) {
			t.Errorf("%q", got)
		}
	}
	if logkey.SplitNotes(nil) != nil {
		t.Error("nothing holds no notes")
	}
}
