package dossier_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	cosignature "github.com/transparency-dev/formats/note"
	reference "github.com/transparency-dev/formats/witness"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

// signing is a witness with its key.
type signing struct {
	key    string
	signer note.Signer
}

func newSigning(t interface{ Fatal(...any) }, name string) signing {
	secret, plain, err := note.GenerateKey(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := cosignature.NewSignerForCosignatureV1(secret)
	if err != nil {
		t.Fatal(err)
	}
	key, err := cosignature.VKeyToCosignatureV1(plain)
	if err != nil {
		t.Fatal(err)
	}
	return signing{key, signer}
}

// TestPolicyIsReadAsTheLogReadsIt: for any policy and any witnesses that sign, this package finds enough what the log does, which reads
// policies with another implementation.
func TestPolicyIsReadAsTheLogReadsIt(t *testing.T) {
	t.Parallel()
	var all []signing
	for i := range 5 {
		all = append(all, newSigning(t, fmt.Sprintf("w%d.example", i)))
	}
	secret, public, err := note.GenerateKey(nil, "log.example")
	if err != nil {
		t.Fatal(err)
	}
	log, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	key, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		var names []string
		signers := []note.Signer{log}
		for i, w := range all {
			names = append(names, fmt.Sprintf("w%d", i))
			fmt.Fprintf(&text, "witness w%d %s https://w%d.example # %d\n", i, w.key, i, i)
			if rapid.Bool().Draw(t, "signs") {
				signers = append(signers, w.signer)
			}
		}
		for g := range rapid.IntRange(1, 4).Draw(t, "groups") {
			of := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 4, rapid.ID).Draw(t, "of")
			n := rapid.SampledFrom([]string{"any", "all", "1", fmt.Sprint(len(of))}).Draw(t, "n")
			fmt.Fprintf(&text, "  group g%d %s %s\n", g, n, strings.Join(of, " "))
			names = append(names, fmt.Sprintf("g%d", g))
		}
		fmt.Fprintf(&text, "quorum %s\n", rapid.SampledFrom(names).Draw(t, "quorum"))
		want, err := reference.ParsePolicy([]byte(text.String()))
		if err != nil {
			t.Fatal(err)
		}
		signed, err := note.Sign(&note.Note{Text: "log.example\n1\nAAAA\n"}, signers...)
		if err != nil {
			t.Fatal(err)
		}
		got, err := dossier.ParsePolicy([]byte(text.String()))
		if err != nil {
			t.Fatal(err)
		}
		_, by, others, err := dossier.OpenCheckpoint(signed, key, got.Witnesses)
		if err != nil || others != 0 || len(by) != len(signers)-1 {
			t.Fatal(by, others, err)
		}
		c := got.Cosigned(by)
		if c.Enough != want.Satisfied(signed) || c.Known != 5 || c.Required < 1 || c.Required > 5 || (c.Enough && len(by) < c.Required) {
			t.Fatalf("%+v, and the log finds %t:\n%s", c, want.Satisfied(signed), text.String())
		}
		again, err := dossier.ParsePolicy(got.Marshal())
		if err != nil || !bytes.Equal(again.Marshal(), got.Marshal()) || again.Enough(by) != c.Enough {
			t.Fatalf("written anew it is another: %v\n%s", err, got.Marshal())
		}
	})
}

func TestPoliciesThatAreNone(t *testing.T) {
	t.Parallel()
	a, b := newSigning(t, "a.example").key, newSigning(t, "b.example").key
	for name, text := range map[string]string{
		"nothing":               "",
		"no quorum":             "witness a " + a,
		"a quorum of nobody":    "witness a " + a + "\nquorum b",
		"none":                  "quorum none",
		"two quorums":           "witness a " + a + "\nquorum a\nquorum a",
		"a log's key":           "witness a log.example+0123abcd+AbCd\nquorum a",
		"a name twice":          "witness a " + a + "\nwitness a " + b + "\nquorum a",
		"a key twice":           "witness a " + a + "\nwitness b " + a + "\nquorum a",
		"a group of none":       "group g any\nquorum g",
		"a group of itself":     "group g any g\nquorum g",
		"a group of what comes": "group g any a\nwitness a " + a + "\nquorum g",
		"more than there are":   "witness a " + a + "\ngroup g 2 a\nquorum g",
		"not one":               "witness a " + a + "\ngroup g 0 a\nquorum g",
		"a word":                "witness a " + a + "\nquorum a\nsomething else",
		"a keyword":             "witness any " + a + "\nquorum any",
		"too long":              "witness a " + a + "\nquorum a\n" + strings.Repeat("#", 70_000),
	} {
		if _, err := dossier.ParsePolicy([]byte(text)); !errors.Is(err, dossier.ErrPolicy) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPolicyThatDoubles: groups of groups that would be asked again and again are asked once.
func TestPolicyThatDoubles(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	fmt.Fprintf(&text, "witness g0 %s\n", newSigning(t, "a.example").key)
	for i := range 500 {
		fmt.Fprintf(&text, "group g%d all g%d g%d g%d\n", i+1, i, i, i)
	}
	text.WriteString("quorum g500\n")
	began := time.Now()
	p, err := dossier.ParsePolicy([]byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	if c := p.Cosigned(nil); c.Enough || c.Required != 1 || time.Since(began) > 5*time.Second {
		t.Errorf("%+v after %v", c, time.Since(began))
	}
}

// TestLeastSigned: of several checkpoints the one counts that not enough witnesses signed, before the one that fewer signed.
func TestLeastSigned(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	var by []dossier.Cosignature
	for _, name := range []string{"a", "b", "c"} {
		key := newSigning(t, name+".example").key
		fmt.Fprintf(&text, "witness %s %s\n", name, key)
		by = append(by, dossier.Cosignature{Name: name, Key: key})
	}
	p, err := dossier.ParsePolicy([]byte(text.String() + "quorum a\n"))
	if err != nil {
		t.Fatal(err)
	}
	a, ab, bc := by[:1], by[:2], by[1:]
	for name, c := range map[string]struct {
		signers [][]dossier.Cosignature
		want    []dossier.Cosignature
	}{
		"one":                     {[][]dossier.Cosignature{ab}, ab},
		"fewer":                   {[][]dossier.Cosignature{ab, a, by}, a},
		"more that is not enough": {[][]dossier.Cosignature{a, bc, by}, bc},
		"the last of equal ones":  {[][]dossier.Cosignature{{by[0], by[2]}, ab}, ab},
	} {
		if got := p.Least(c.signers); !reflect.DeepEqual(got, p.Cosigned(c.want)) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestRequired: a witness that several parts of a policy ask for signs once for all of them.
func TestRequired(t *testing.T) {
	t.Parallel()
	var witnesses strings.Builder
	for _, name := range []string{"a", "b", "c", "d"} {
		fmt.Fprintf(&witnesses, "witness %s %s\n", name, newSigning(t, name+".example").key)
	}
	for text, want := range map[string]int{
		"quorum a":                                 1,
		"group g 3 a b c d\nquorum g":              3,
		"group g any a\ngroup h all a g\nquorum h": 1,
		"group g any a b\ngroup h any b c\ngroup i all g h\nquorum i": 1,
		"group g all a b\ngroup h all a g\nquorum h":                  2,
		"group g 1 a b\ngroup h all c d\ngroup i all g h\nquorum i":   3,
		"group g 1 a b\ngroup h all c d\ngroup i any g h\nquorum i":   1,
		"group g 2 a b c\ngroup h all d g\ngroup i any h\nquorum i":   3,
	} {
		p, err := dossier.ParsePolicy([]byte(witnesses.String() + text))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Cosigned(nil).Required; got != want {
			t.Errorf("%d are required, and not %d, by\n%s", got, want, text)
		}
	}
}
