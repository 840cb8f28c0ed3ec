package tlog

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys", "log.key")
	if _, err := ReadKey(file, origin); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no key: %v, want %v", err, fs.ErrNotExist)
	}
	created, err := CreateKey(rand.Reader, file, origin)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret has mode %v (%v), want 0600", info.Mode(), err)
	}
	if public, err := os.ReadFile(file + ".pub"); err != nil || string(public) != created.Public+"\n" {
		t.Errorf("the public file holds %q (%v), want %q", public, err, created.Public)
	}
	for name, open := range map[string]func() (Key, error){
		"read":         func() (Key, error) { return ReadKey(file, origin) },
		"create again": func() (Key, error) { return CreateKey(rand.Reader, file, origin) },
	} {
		if key, err := open(); err != nil || key.Public != created.Public || key.Signer.KeyHash() != created.Signer.KeyHash() {
			t.Errorf("%s: %q (%v), want %q", name, key.Public, err, created.Public)
		}
	}
	if _, err := ReadKey(file, "another.test/log"); err == nil {
		t.Error("the key of another log was read")
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKey(file, origin); err == nil {
		t.Error("a secret that others can read was read")
	}
	spoiled := filepath.Join(t.TempDir(), "spoiled.key")
	write(t, spoiled, []byte("PRIVATE+KEY+"+origin+"+00000000+AAAA"))
	if _, err := ReadKey(spoiled, origin); err == nil {
		t.Error("a file without a key was read")
	}
}
