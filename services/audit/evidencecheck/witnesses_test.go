package evidencecheck

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

// witness makes the key of a witness: its public part and who signs with it.
func witness(t testing.TB, name string, seed byte) (string, note.Signer) {
	t.Helper()
	secret, plain, err := note.GenerateKey(&reader{seed}, name)
	must(t, err)
	signer, err := cosignature.NewSignerForCosignatureV1(secret)
	must(t, err)
	key, err := cosignature.VKeyToCosignatureV1(plain)
	must(t, err)
	return key, signer
}

const witnessNames = "abc"

// witnessed is a world whose log has three witnesses, any two of whom are enough; the first `signing` of them have signed.
func witnessed(t testing.TB, signing int, cuts ...int) *world {
	t.Helper()
	w := newWorld(t, 8, cuts...)
	w.unsealed = true
	var policy strings.Builder
	fmt.Fprintln(&policy, "# of the school; call Ida before changing it")
	for i, name := range strings.Split(witnessNames, "") {
		key, signer := witness(t, name+".example", byte(40+i))
		fmt.Fprintf(&policy, "witness %s %s https://%s.example/w\n", name, key, name)
		if i < signing {
			w.cosigners = append(w.cosigners, signer)
		}
	}
	fmt.Fprintf(&policy, "group all-of-them 2 %s\nquorum all-of-them\n", strings.Join(strings.Split(witnessNames, ""), " "))
	w.policy = []byte(policy.String())
	return w
}

func TestWitnessesAreReported(t *testing.T) {
	t.Parallel()
	for signing, enough := range map[int]bool{0: false, 1: false, 2: true, 3: true} {
		w := witnessed(t, signing)
		key, _ := witness(t, "a.example", 40)
		trust := Trust{LogKeys: []string{w.key}}
		if signing > 0 {
			trust.WitnessKeys = []string{key}
		}
		file := w.file()
		report, err := check(file, trust)
		must(t, err)
		got := report.Witnesses
		if got.Known != 3 || got.Required != 2 || got.Enough != enough || len(got.By) != signing || got.PolicyPinned {
			t.Errorf("%d signed: %+v", signing, got)
		}
		for i, by := range got.By {
			if by.Pinned != (i == 0) || by.Name != witnessNames[i:i+1] || by.Time.IsZero() {
				t.Errorf("%d signed: %+v", signing, by)
			}
		}
		trust.WitnessPolicy = w.policy
		report, err = check(file, trust)
		if enough != (err == nil) || enough != report.Witnesses.PolicyPinned {
			t.Errorf("%d signed, by the caller's own policy: %v, %+v", signing, err, report.Witnesses)
		}
		if bytes.Contains(file, []byte("Ida")) {
			t.Error("the package has the comments of the policy")
		}
	}
	w := witnessed(t, 2)
	for name, trust := range map[string]Trust{"no key": {WitnessKeys: []string{"x"}}, "no policy": {WitnessPolicy: []byte("quorum x")}} {
		if _, err := check(w.file(), trust); !errors.Is(err, ErrTrust) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestForgedWitnesses: what the log's own operator can do with the signatures of witnesses, and sign himself.
func TestForgedWitnesses(t *testing.T) {
	t.Parallel()
	line := regexp.MustCompile("\u2014 b\\.example [^\n]*\n")
	checkpoint := func(change func([]byte) []byte) func(string, []byte) []byte {
		return func(path string, raw []byte) []byte {
			if path == dossier.CheckpointPath {
				return change(raw)
			}
			return raw
		}
	}
	same := func(_ string, raw []byte) []byte { return raw }
	without := func(raw []byte) []byte { return line.ReplaceAll(raw, nil) }
	admitted := func(m *dossier.Manifest) { m.Witnesses.By, m.Witnesses.Enough = m.Witnesses.By[:1], false }
	key, _ := witness(t, "b.example", 41)
	own, ownSigner := witness(t, "b.example", 99)
	otherKey, other := witness(t, "z.example", 77)
	text := func(raw []byte) string { return string(raw[:bytes.Index(raw, []byte("\n\n"))+1]) }
	signedBy := func(raw []byte, signer note.Signer) []byte { return (&world{TB: t}).signedBy(text(raw), signer) }
	for _, c := range []struct {
		name     string
		change   func(string, []byte) []byte
		manifest func(*dossier.Manifest)
		trust    Trust
		check    Check // "": it verifies
	}{
		{name: "as it is", change: same, trust: Trust{WitnessKeys: []string{key}}},
		{name: "a signature removed", change: checkpoint(without), check: CheckWitnesses},
		{name: "a signature removed, and admitted", change: checkpoint(without), manifest: admitted},
		{name: "a signature removed and admitted, of one who is trusted", change: checkpoint(without), manifest: admitted, trust: Trust{WitnessKeys: []string{key}}, check: CheckWitnesses},
		{name: "a signature removed and admitted, for one's own policy", change: checkpoint(without), manifest: admitted, trust: Trust{WitnessPolicy: witnessed(t, 0).policy}, check: CheckWitnesses},
		{name: "a signature forged", change: checkpoint(func(raw []byte) []byte {
			at := line.FindIndex(raw)
			letter := &raw[at[1]-20] // stays base64
			if *letter != 'A' {
				*letter = 'A'
			} else {
				*letter = 'B'
			}
			return raw
		}), check: CheckWitnesses},
		{name: "a signature twice", change: checkpoint(func(raw []byte) []byte { return append(raw, line.Find(raw)...) }), check: CheckCheckpoint},
		{name: "a signature of nobody", change: checkpoint(func(raw []byte) []byte { return append(raw, signedBy(raw, other)...) }), check: CheckWitnesses},
		{name: "a witness of one's own", change: func(path string, raw []byte) []byte {
			switch path {
			case dossier.CheckpointPath:
				return append(without(raw), signedBy(raw, ownSigner)...)
			case dossier.WitnessesPath:
				return bytes.Replace(raw, []byte(key), []byte(own), 1)
			}
			return raw
		}, manifest: func(m *dossier.Manifest) { m.Witnesses.By[1].Key = own }, trust: Trust{WitnessKeys: []string{key}}, check: CheckWitnesses},
		{name: "fewer are enough", change: replaced(dossier.WitnessesPath, "group all-of-them 2", "group all-of-them 1"), check: CheckWitnesses},
		{name: "a comment in the policy", change: replaced(dossier.WitnessesPath, "quorum", "# x\nquorum"), check: CheckWitnesses},
		{name: "no policy", change: func(path string, raw []byte) []byte {
			if path == dossier.WitnessesPath {
				return nil
			}
			return raw
		}, check: CheckWitnesses},
		{name: "more are said to be enough", change: same, manifest: func(m *dossier.Manifest) { m.Witnesses.Required = 1 }, check: CheckWitnesses},
		{name: "another time", change: same, manifest: func(m *dossier.Manifest) { m.Witnesses.By[0].Time = begin }, check: CheckWitnesses},
		{name: "one whom nobody knows is asked for", change: same, trust: Trust{WitnessKeys: []string{otherKey}}, check: CheckWitnesses},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := witnessed(t, 2)
			c.trust.LogKeys = []string{w.key}
			_, err := check(w.forged(c.change, c.manifest), c.trust)
			var failed *VerifyError
			switch {
			case c.check == "" && err != nil:
				t.Error(err)
			case c.check != "" && (!errors.As(err, &failed) || failed.Check != c.check):
				t.Errorf("got %v, want %s", err, c.check)
			}
		})
	}
}

// TestStrangersAreLeftOut: a signature of somebody whom the policy does not name any more is no part of a package.
func TestStrangersAreLeftOut(t *testing.T) {
	t.Parallel()
	w := witnessed(t, 2)
	_, stranger := witness(t, "z.example", 77)
	w.cosigners = append(w.cosigners, stranger)
	if report, err := check(w.file(), Trust{}); err != nil || len(report.Witnesses.By) != 2 {
		t.Errorf("%+v, %v", report.Witnesses, err)
	}
}
