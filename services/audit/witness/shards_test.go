package witness

import (
	"crypto/rand"
	"log/slog"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/libs/logkey"
)

// TestShardsAreWatched: the key of a log stands for all its shards, and for no other log.
func TestShardsAreWatched(t *testing.T) {
	t.Parallel()
	_, public, err := note.GenerateKey(rand.Reader, "log.example/audit")
	if err != nil {
		t.Fatal(err)
	}
	key, err := OpenKey(rand.Reader, filepath.Join(t.TempDir(), "key"), "witness.example")
	if err != nil {
		t.Fatal(err)
	}
	w, err := Open(Config{Dir: t.TempDir(), Key: key, Logs: []string{public}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for origin, want := range map[string]bool{"log.example/audit": true, "log.example/audit/2027": true, "log.example/audit/27": false, "log.example/other/2027": false} {
		l, err := w.of(origin)
		if err != nil || (l != nil) != want {
			t.Fatalf("%s: %v, %v", origin, l, err)
		}
		if l == nil {
			continue
		}
		if again, _ := w.of(origin); again != l {
			t.Errorf("%s: what was seen is forgotten", origin)
		}
		if origin != l.keys[0].Name() {
			t.Errorf("%s is checked with the key of %s", origin, l.keys[0].Name())
		}
	}
	if shard, err := logkey.Shard(public, 2027); err != nil || shard == public {
		t.Errorf("the shard's key: %s, %v", shard, err)
	}
}
