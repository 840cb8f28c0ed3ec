package certificate_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/libs/certificate"
)

func TestParseSigner(t *testing.T) {
	t.Parallel()
	skey, vkey, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{7}, 64)), signerName)
	if err != nil {
		t.Fatal(err)
	}
	s, err := certificate.ParseSigner(skey + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if s.VerifierKey() != vkey {
		t.Errorf("verifier key = %q, want %q", s.VerifierKey(), vkey)
	}
	secret := skey[strings.LastIndex(skey, "+"):]
	for _, bad := range []string{"", vkey, "PRIVATE+KEY+a b+00000000+AA==", "PRIVATE" + skey, skey + "A", strings.Replace(skey, signerName, "other", 1), skey[:len(skey)-4]} {
		_, err := certificate.ParseSigner(bad)
		if err == nil {
			t.Errorf("%q is accepted", bad)
		} else if strings.Contains(err.Error(), secret) {
			t.Error("the error quotes the key")
		}
	}
}

func TestNewSigner(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "with space", "with+plus"} {
		if _, err := certificate.NewSigner(name, key(1)); err == nil {
			t.Errorf("the name %q is accepted", name)
		}
	}
	if _, err := certificate.NewSigner("name", key(1)[:31]); err == nil {
		t.Error("a short key is accepted")
	}
	if _, err := certificate.Issue(statement(), certificate.Log{}, nil); err == nil {
		t.Error("a certificate is issued without a signer")
	}
	s := newSigner(t, signerName, 1)
	for format, seed := range map[string]string{"%v": "1 1 1 1", "%+v": "1 1 1 1", "%#v": "0x1, 0x1, 0x1", "%x": "01010101"} {
		if strings.Contains(fmt.Sprintf(format, key(1)), seed) && strings.Contains(fmt.Sprintf(format, *s), seed) {
			t.Errorf("%s prints the secret key", format)
		}
	}
}
