package evidencecheck

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

func TestPackageVerifies(t *testing.T) {
	t.Parallel()
	for name, unsealed := range map[string]bool{"with keys": true, "keys destroyed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 40)
			w.unsealed = unsealed
			report, err := check(w.file(), Trust{LogKeys: []string{w.key}})
			if err != nil {
				t.Fatal(err)
			}
			unreadable := int64(4)
			if unsealed {
				unreadable = 0
			}
			if !report.Pinned || report.Entries != 38 || report.Events != 38 || report.FirstNumber != 2 || report.LastNumber != 39 ||
				report.Unreadable != unreadable || report.Certificates != 1 || len(report.Passed) != 13 {
				t.Errorf("%+v", report)
			}
		})
	}
}

// TestSameContentGivesTheSameBytes: a package is made anew byte for byte.
func TestSameContentGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 20)
	if !bytes.Equal(w.file(), w.file()) {
		t.Error("two packages of the same evidence differ")
	}
}

// places are where a file of a size is altered: at every 11th byte from any one on, or at all of them with PRIVACYOPS_TEST_FLIPS=all.
func places(t *testing.T, size int) (out []int) {
	t.Helper()
	first, step := rand.IntN(11), 11
	if os.Getenv("PRIVACYOPS_TEST_FLIPS") == "all" {
		first, step = 0, 1
	}
	t.Logf("of %d bytes every %dth, from %d on", size, step, first)
	for i := first; i < size; i += step {
		out = append(out, i)
	}
	return out
}

// flip changes one bit of a byte.
func flip(file []byte, i int) { file[i] ^= 1 << (i % 8) }

// TestEveryAlteredByteIsFound alters bytes of a small package that has everything, one at a time, and cuts it off at some: entries, proofs,
// checkpoint with cosignatures, policy, certificate, register, reports, and every header of the ZIP. In full:
//
//	PRIVACYOPS_TEST_FLIPS=all go test -timeout 10m -run Altered ./services/audit/evidencecheck
func TestEveryAlteredByteIsFound(t *testing.T) {
	t.Parallel()
	w := witnessed(t, 2)
	sound := w.file()
	if _, err := check(sound, Trust{}); err != nil {
		t.Fatal(err)
	}
	all := places(t, len(sound))
	for half := range slices.Chunk(all, (len(all)+1)/2) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			file := bytes.Clone(sound)
			for n, i := range half {
				flip(file, i)
				if _, err := check(file, Trust{}); err == nil {
					t.Fatalf("byte %d of %d may be altered", i, len(file))
				}
				flip(file, i)
				if n%97 > 0 {
					continue
				}
				if _, err := check(file[:i], Trust{}); err == nil {
					t.Fatalf("a package of %d bytes may be cut off at %d", len(file), i)
				}
			}
		})
	}
}

// TestMembersMoved: each file of a package, removed, renamed, put elsewhere, or exchanged for each other one, and one added, is found.
func TestMembersMoved(t *testing.T) {
	t.Parallel()
	file := witnessed(t, 2).file()
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	must(t, err)
	if len(z.File) != len(dossier.Required())+4 { // the policy, a certificate, the manifest and its signature
		t.Errorf("%d members", len(z.File))
	}
	refused := func(what string, members []*zip.File, names ...string) {
		t.Helper()
		var out bytes.Buffer
		to := zip.NewWriter(&out)
		for i, m := range members {
			h := m.FileHeader
			if i < len(names) {
				h.Name = names[i]
			}
			raw, err := m.OpenRaw()
			must(t, err)
			w, err := to.CreateRaw(&h)
			must(t, err)
			_, err = io.Copy(w, raw)
			must(t, err)
		}
		must(t, to.Close())
		_, err := check(out.Bytes(), Trust{})
		if same := what == ""; same != (err == nil) {
			t.Errorf("%q: %v", what, err)
		}
	}
	names := func() (out []string) {
		for _, m := range z.File {
			out = append(out, m.Name)
		}
		return out
	}
	refused("", z.File) // as it is
	for i, m := range z.File {
		refused("removed: "+m.Name, slices.Delete(slices.Clone(z.File), i, i+1))
		refused("twice: "+m.Name, append(slices.Clone(z.File), m))
		renamed := names()
		renamed[i] = dossier.CertificateFolder + "other.json"
		refused("renamed: "+m.Name, z.File, renamed...)
		refused("added: a copy of "+m.Name, append(slices.Clone(z.File), m), append(names(), dossier.CertificateFolder+"other.json")...)
		for j := range i {
			moved := slices.Clone(z.File)
			moved[i], moved[j] = moved[j], moved[i]
			refused("in the place of another: "+m.Name, moved)
			refused("under the name of another: "+m.Name, moved, names()...)
		}
	}
}

func TestTrust(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 8)
	file := w.file()
	_, other, err := note.GenerateKey(&reader{77}, "log.example/audit")
	must(t, err)
	var failed *VerifyError
	if _, err := check(file, Trust{LogKeys: []string{other}}); !errors.As(err, &failed) || failed.Check != CheckSignature {
		t.Errorf("another log's key: %v", err)
	}
	if _, err := check(file, Trust{CertificateKeys: []string{other}}); !errors.As(err, &failed) || failed.Check != CheckCertificates {
		t.Errorf("another certificate key: %v", err)
	}
	if _, err := check(file, Trust{LogKeys: []string{"no key"}}); !errors.Is(err, ErrTrust) {
		t.Errorf("no key: %v", err)
	}
	if report, err := check(file, Trust{}); err != nil || report.Pinned {
		t.Errorf("without a key: %v, pinned %v", err, report.Pinned)
	}
	for name, junk := range map[string][]byte{"empty": nil, "text": []byte("no package at all, but some text that is long enough"), "zeros": make([]byte, 5000)} {
		if _, err := check(junk, Trust{}); !errors.Is(err, ErrUnusable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPassedIsInOrder(t *testing.T) {
	t.Parallel()
	report, err := check(newWorld(t, 4).file(), Trust{})
	must(t, err)
	want := []Check{CheckContainer, CheckManifest, CheckSignature, CheckFiles, CheckCheckpoint, CheckWitnesses, CheckProof, CheckEvents, CheckCompleteness,
		CheckCertificates, CheckFigures, CheckRegister, CheckReport}
	if !slices.Equal(report.Passed, want) {
		t.Errorf("%v", report.Passed)
	}
}
