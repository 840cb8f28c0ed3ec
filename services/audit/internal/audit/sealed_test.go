package audit_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gowebpki/jcs"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

func keyID(n byte) audit.KeyID { return audit.KeyID(bytes.Repeat([]byte{n}, 16)) }

// goldenSealed and goldenSealedBatch are the golden entries as they are recorded now.
func goldenSealed() audit.Entry {
	e := golden()
	e.Event = e.Sealing([]audit.KeyID{keyID(0x0a), keyID(0xb0)}, bytes.Repeat([]byte{0xfb}, 48))
	return e
}

func goldenSealedBatch() audit.Entry {
	e := goldenBatch()
	d := &e.Batch.Decisions[1]
	d.SubjectRefs, d.People = nil, []audit.KeyID{keyID(0x0a), keyID(0xb0)}
	return e
}

func TestSealedLeafGolden(t *testing.T) {
	t.Parallel()
	for file, entry := range map[string]audit.Entry{"testdata/sealed.json": goldenSealed(), "testdata/sealed_batch.json": goldenSealedBatch()} {
		got, err := entry.Leaf()
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(file, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) || !bytes.Contains(got, []byte(`"schema":"privacyops.audit.entry.v2"`)) || bytes.Contains(got, []byte("sub_")) {
			t.Errorf("%s: the leaf is\n%s\nwant\n%s", file, got, want)
		}
		if canonical, err := jcs.Transform(got); err != nil || !bytes.Equal(canonical, got) {
			t.Errorf("%s is not canonical (%v)", file, err)
		}
		parsed, err := audit.ParseLeaf(want)
		if diff := cmp.Diff(entry, parsed, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%s read back (-want +got, %v):\n%s", file, err, diff)
		}
	}
}

// TestParseSealedLeafIsStrict: a schema stands for one way to name people, and ids and what is sealed are written in one way.
func TestParseSealedLeafIsStrict(t *testing.T) {
	t.Parallel()
	raw, err := goldenSealed().Leaf()
	if err != nil {
		t.Fatal(err)
	}
	leaf, id, open := string(raw), keyID(0x0a).String(), string(must(golden().Leaf()))
	for name, altered := range map[string]string{
		"the schema before":     strings.Replace(leaf, "entry.v2", "entry.v1", 1),
		"the schema of sealed":  strings.Replace(open, "entry.v1", "entry.v2", 1),
		"an id in capitals":     strings.Replace(leaf, id, strings.ToUpper(id), 1),
		"an id that is short":   strings.Replace(leaf, id, id[2:], 1),
		"an id that is long":    strings.Replace(leaf, id, id+"00", 1),
		"another order of ids":  strings.Replace(leaf, `"`+id+`","`+keyID(0xb0).String()+`"`, `"`+keyID(0xb0).String()+`","`+id+`"`, 1),
		"an id twice":           strings.Replace(leaf, keyID(0xb0).String(), id, 1),
		"nobody":                strings.Replace(leaf, `"people":["`+id+`","`+keyID(0xb0).String()+`"],`, "", 1),
		"nothing sealed":        leaf[:strings.Index(leaf, `"sealed"`)] + leaf[strings.Index(leaf, `"service"`):],
		"base64 without an end": strings.Replace(leaf, `+/v7"`, `+/v7="`, 1),
		"a resource as well":    strings.Replace(leaf, `"schema"`, `"resource":"controllers/x","schema"`, 1),
		"a person as well":      strings.Replace(leaf, `"traceParent"`, `"subjectRefs":["sub_1"],"traceParent"`, 1),
		"a detail as well":      strings.Replace(leaf, `"id"`, `"detail":{"located":"1"},"id"`, 1),
	} {
		if altered == leaf || altered == open {
			t.Errorf("%s: nothing is altered", name)
		}
		if _, err := audit.ParseLeaf([]byte(altered)); !errors.Is(err, audit.ErrLeaf) {
			t.Errorf("%s: %v, want ErrLeaf", name, err)
		}
	}
}

// TestSecretsComeBack: what Secret takes out and Sealing leaves out is what Opened puts back.
func TestSecretsComeBack(t *testing.T) {
	t.Parallel()
	want := golden().Event
	want.BeforeDigest, want.AfterDigest = strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	raw := want.Secret()
	sealed := want.Sealing([]audit.KeyID{keyID(1)}, bytes.Repeat([]byte{1}, 60))
	got, err := sealed.Opened(raw)
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v\n%s", err, cmp.Diff(want, got))
	}
	for _, bad := range []string{"", "null-", `{"detail":{"name":"Anne Hansen"}}`, `{"resource":"a b"}`} {
		if _, err := sealed.Opened([]byte(bad)); err == nil {
			t.Errorf("%q is taken for an event's secret", bad)
		}
	}
}

// TestDigestOfSealedEvents: one that is sealed anew is known again, whatever its keys are now; one with another open part is not.
func TestDigestOfSealedEvents(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]audit.Event{"single": goldenSealed().Event, "batch": goldenSealedBatch().Event} {
		want := e.Digest()
		again := e
		if e.Batch == nil {
			again = e.Sealing([]audit.KeyID{keyID(7)}, bytes.Repeat([]byte{7}, 90))
		} else {
			b := *e.Batch
			b.Decisions = append([]audit.Decision(nil), b.Decisions...)
			b.Decisions[1].People = []audit.KeyID{keyID(7)}
			again.Batch = &b
		}
		if got := again.Digest(); got != want {
			t.Errorf("%s: sealed under other keys it is another event", name)
		}
		again.OccurredTime = again.OccurredTime.Add(1000)
		if got := again.Digest(); got == want {
			t.Errorf("%s: at another time it is the same event", name)
		}
		if len(e.People) == 0 && len(e.Batch.Decisions[1].People) != 2 {
			t.Error("the digest has changed its event")
		}
	}
}

func TestKeysOfSealedEvents(t *testing.T) {
	t.Parallel()
	if got := audit.KeysOf(goldenSealed()); !cmp.Equal(got.People, []audit.KeyID{keyID(0x0a), keyID(0xb0)}) || got.Resource != goldenSealed().Resource {
		t.Errorf("single: %+v", got)
	}
	if got := audit.KeysOf(goldenSealedBatch()); !bytes.Equal(got.Marks, []byte{10, 10, 10, 10, 0xb0, 0xb0, 0xb0, 0xb0}) {
		t.Errorf("batch: %+v", got)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
