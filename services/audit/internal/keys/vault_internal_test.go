package keys

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"pgregory.net/rapid"
)

// TestDeriveIsHKDF compares the derivation, which is written out here to leave nothing in memory, with the standard library's.
func TestDeriveIsHKDF(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var keys []*secret
		var joined []byte
		for range rapid.IntRange(1, 200).Draw(t, "people") {
			k := new(secret)
			_, _ = rand.Read(k[:])
			keys, joined = append(keys, k), append(joined, k[:]...)
		}
		salt := rapid.SliceOfN(rapid.Byte(), saltSize, saltSize).Draw(t, "salt")
		var v vault
		v.derive(salt, keys)
		want, err := hkdf.Key(sha256.New, joined, salt, purpose, secretSize)
		if err != nil || !bytes.Equal(v.key[:], want) {
			t.Fatalf("not HKDF (%v)", err)
		}
	})
}

// TestSealed alters what is sealed, its salt, its tag and what it is bound to: it opens as it was or not at all.
func TestSealed(t *testing.T) {
	t.Parallel()
	var v vault
	one, two := &secret{1}, &secret{2}
	plain, binding := []byte(`{"subjectRefs":["sub_1"]}`), []byte("event and people")
	both := v.seal([]message{{[]*secret{one}, []byte("another"), nil}, {[]*secret{one, two}, plain, binding}})
	if got, err := v.open([]*secret{one}, both[0], nil); err != nil || string(got) != "another" {
		t.Fatalf("the message before: %q, %v", got, err)
	}
	sealed := both[1]
	if bytes.Contains(sealed, []byte("sub_1")) {
		t.Fatalf("%q", sealed)
	}
	if got, err := v.open([]*secret{one, two}, sealed, binding); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("%q, %v", got, err)
	}
	for name, keys := range map[string][]*secret{"one of two": {one}, "the other": {two}, "another order": {two, one}, "a foreign one": {one, {3}}} {
		if _, err := v.open(keys, sealed, binding); err == nil {
			t.Errorf("opens with %s", name)
		}
	}
	if _, err := v.open([]*secret{one, two}, sealed, []byte("another event")); err == nil {
		t.Error("opens in another event")
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := v.open([]*secret{one, two}, bad, binding); err == nil {
			t.Errorf("opens with byte %d altered", i)
		}
		if _, err := v.open([]*secret{one, two}, sealed[:i], binding); err == nil {
			t.Errorf("opens cut to %d bytes", i)
		}
	}
	if v.key != (secret{}) || v.prk != (secret{}) || !bytes.Equal(v.message[:], make([]byte, len(v.message))) {
		t.Error("the vault keeps what it worked with")
	}
}
