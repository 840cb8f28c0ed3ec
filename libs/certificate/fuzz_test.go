package certificate_test

import (
	"bytes"
	"testing"

	"github.com/privacyops/privacyops/libs/certificate"
)

// FuzzVerify expects that only the certificate itself verifies under its keys, and that nothing makes Verify panic.
func FuzzVerify(f *testing.F) {
	good := newFixture(f)
	f.Add(good.file)
	f.Add([]byte(`{"format":"privacyops-erasure-certificate/v1"}`))
	f.Add([]byte(`{"format":"privacyops-erasure-certificate/v1","log":{"hashes":[""],"index":1},"signature":{},"statement":{"systems":[{"datasets":[{}]}]}}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		_, err := certificate.Verify(file, good.trust())
		if err == nil && !bytes.Equal(file, good.file) {
			t.Error("another file verifies under the same keys")
		}
		if report, err := certificate.Verify(file, certificate.Trust{}); err == nil && report.Pinned {
			t.Error("pinned without pins")
		}
	})
}
