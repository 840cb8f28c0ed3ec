package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gowebpki/jcs"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden is an entry that fills every field.
func golden() audit.Entry {
	return audit.Entry{
		Event: audit.Event{
			ID:          "019f2c1e-7b60-7c4d-9a31-5d8e21f0aa07",
			Controller:  "lindevangskolen",
			Service:     "erasure",
			Actor:       audit.Actor{Kind: audit.ActorCaller, Ref: "usr_6d0f1c9b", Roles: []string{"dpo", "auditor"}},
			Action:      "erasure.certify",
			Kind:        audit.KindDelete,
			Resource:    "controllers/lindevangskolen/erasures/019f2c1e-0000-7000-8000-000000000001",
			SubjectRefs: []audit.SubjectRef{"sub_b1946ac9", "sub_2cd6ee2c"},
			Outcome:     audit.OutcomeFailed,
			Reason:      "PARTICIPANT_UNREACHABLE",
			TraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
			// Summer time began within this hour; the log knows no zones.
			OccurredTime: time.Date(2026, 3, 29, 3, 0, 0, 123456789, time.FixedZone("CEST", 7200)),
			Detail: map[string]string{
				"statementSha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
				"located":         "12",
			},
		}.Canonical(),
		ReceivedTime:       time.Date(2026, 3, 29, 1, 0, 0, 500000000, time.UTC),
		ControllerSequence: 42,
	}
}

func TestLeafGolden(t *testing.T) {
	t.Parallel()
	small := audit.Entry{
		Event: audit.Event{
			ID: "019f2c1e-7b60-7c4d-9a31-5d8e21f0aa08", Service: "gateway", Actor: audit.Actor{Kind: audit.ActorAnonymous},
			Action: "suite.start", Kind: audit.KindAdmin, Outcome: audit.OutcomeOK,
			OccurredTime: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		},
		ReceivedTime: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), ControllerSequence: 1,
	}
	for file, entry := range map[string]audit.Entry{"testdata/full.json": golden(), "testdata/small.json": small, "testdata/batch.json": goldenBatch()} {
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
		if !bytes.Equal(got, want) {
			t.Errorf("%s: the leaf is\n%s\nwant\n%s", file, got, want)
		}
		parsed, err := audit.ParseLeaf(want)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if diff := cmp.Diff(entry, parsed); diff != "" {
			t.Errorf("%s read back (-want +got):\n%s", file, diff)
		}
	}
}

// TestLeafKeepsDetail pins what a certificate rests on: the digest stands in the leaf under "detail" and its own key.
func TestLeafKeepsDetail(t *testing.T) {
	t.Parallel()
	raw, err := golden().Leaf()
	if err != nil {
		t.Fatal(err)
	}
	var leaf struct {
		Detail map[string]string `json:"detail"`
	}
	if err := json.Unmarshal(raw, &leaf); err != nil || leaf.Detail["statementSha256"] != golden().Detail["statementSha256"] {
		t.Errorf("detail = %v (%v)", leaf.Detail, err)
	}
}

// TestParseLeafIsStrict writes the golden leaf in ways that JSON allows and the log does not.
func TestParseLeafIsStrict(t *testing.T) {
	t.Parallel()
	raw, err := golden().Leaf()
	if err != nil {
		t.Fatal(err)
	}
	leaf := string(raw)
	for name, altered := range map[string]string{
		"empty":             "",
		"null":              "null",
		"array":             "[" + leaf + "]",
		"space":             strings.Replace(leaf, `":"`, `": "`, 1),
		"leading space":     " " + leaf,
		"line end":          leaf + "\n",
		"two of them":       leaf + leaf,
		"unknown member":    strings.Replace(leaf, `{"action"`, `{"Zz":1,"action"`, 1),
		"repeated member":   strings.Replace(leaf, `{"action"`, `{"action":"erasure.certify","action"`, 1),
		"another case":      strings.Replace(leaf, `"action"`, `"Action"`, 1),
		"another order":     strings.Replace(leaf, `"ref":"usr_6d0f1c9b","roles":["dpo","auditor"]`, `"roles":["dpo","auditor"],"ref":"usr_6d0f1c9b"`, 1),
		"escape":            strings.Replace(leaf, `erasure.certify`, `erasure\u002ecertify`, 1),
		"empty member":      strings.Replace(leaf, `"reason":"PARTICIPANT_UNREACHABLE"`, `"reason":""`, 1),
		"null member":       strings.Replace(leaf, `"reason":"PARTICIPANT_UNREACHABLE"`, `"reason":null`, 1),
		"float":             strings.Replace(leaf, `"controllerSequence":42`, `"controllerSequence":42.0`, 1),
		"no number":         strings.Replace(leaf, `"controllerSequence":42,`, ``, 1),
		"number zero":       strings.Replace(leaf, `"controllerSequence":42`, `"controllerSequence":0`, 1),
		"beyond 2^53":       strings.Replace(leaf, `"controllerSequence":42`, `"controllerSequence":9007199254740992`, 1),
		"another schema":    strings.Replace(leaf, `entry.v1`, `entry.v2`, 1),
		"time with zone":    strings.Replace(leaf, `123456Z`, `123456+00:00`, 1),
		"shorter time":      strings.Replace(leaf, `.500000Z`, `.5Z`, 1),
		"comma in the time": strings.Replace(leaf, `.500000Z`, `,500000Z`, 1),
		"no receipt":        strings.Replace(leaf, `"receivedTime":"2026-03-29T01:00:00.500000Z",`, ``, 1),
		"unknown kind":      strings.Replace(leaf, `"DELETE"`, `"ERASE"`, 1),
		"an address":        strings.Replace(leaf, `usr_6d0f1c9b`, `a@b.dk`, 1),
		"too long":          leaf + strings.Repeat(" ", audit.MaxLeafBytes),
	} {
		if altered == leaf {
			t.Errorf("%s: the case changes nothing", name)
		}
		if _, err := audit.ParseLeaf([]byte(altered)); !errors.Is(err, audit.ErrLeaf) {
			t.Errorf("%s: %v, want %v", name, err, audit.ErrLeaf)
		}
	}
}

func TestDigestIsOfTheReport(t *testing.T) {
	t.Parallel()
	a := golden()
	b := a
	b.ReceivedTime, b.ControllerSequence = a.ReceivedTime.Add(time.Hour), 7
	if a.Digest() != b.Digest() {
		t.Error("what the audit service adds changes the digest")
	}
	c := a.Event
	c.OccurredTime = c.OccurredTime.In(time.FixedZone("CET", 3600)).Add(999)
	if a.Digest() != c.Digest() {
		t.Error("another zone or less than a microsecond changes the digest")
	}
	c.Detail = map[string]string{}
	if a.Digest() == c.Digest() {
		t.Error("another detail leaves the digest as it was")
	}
}

// drawEvent draws any valid event.
func drawEvent(t *rapid.T) audit.Event {
	word := rapid.StringMatching(`[A-Za-z0-9._:~+/=-]{1,20}`)
	actor := audit.Actor{Kind: audit.ActorAnonymous}
	if rapid.Bool().Draw(t, "known") {
		actor = audit.Actor{
			Kind:  rapid.SampledFrom([]audit.ActorKind{audit.ActorCaller, audit.ActorService}).Draw(t, "actor"),
			Ref:   word.Draw(t, "ref"),
			Roles: rapid.SliceOfN(rapid.StringMatching(`[a-z][a-z0-9_-]{0,9}`), 0, 4).Draw(t, "roles"),
		}
	}
	return audit.Event{
		ID:         audit.EventID(rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`).Draw(t, "id")),
		Controller: audit.ControllerID(rapid.StringMatching(`([a-z0-9][a-z0-9-]{0,9})?`).Draw(t, "controller")),
		Service:    rapid.StringMatching(`[a-z][a-z0-9-]{0,9}`).Draw(t, "service"),
		Actor:      actor,
		Action:     rapid.StringMatching(`[a-z_]{1,9}\.[a-z_]{1,9}`).Draw(t, "action"),
		Kind:       rapid.SampledFrom([]audit.Kind{audit.KindView, audit.KindExport, audit.KindAuditRead}).Draw(t, "kind"),
		Resource:   rapid.StringMatching(`[A-Za-z0-9._~:/-]{0,30}`).Draw(t, "resource"),
		SubjectRefs: rapid.Map(rapid.SliceOfN(word, 0, 4), func(in []string) []audit.SubjectRef {
			var out []audit.SubjectRef
			for _, s := range in {
				out = append(out, audit.SubjectRef(s))
			}
			return out
		}).Draw(t, "subjects"),
		Outcome:      rapid.SampledFrom([]audit.Outcome{audit.OutcomeOK, audit.OutcomeInvalid}).Draw(t, "outcome"),
		Reason:       rapid.StringMatching(`([A-Z][A-Z0-9_]{0,9})?`).Draw(t, "reason"),
		TraceParent:  rapid.StringMatching(`(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})?`).Draw(t, "trace"),
		OccurredTime: time.UnixMicro(rapid.Int64Range(946684800e6, 253402300799e6).Draw(t, "occurred")).UTC(),
		Detail:       rapid.MapOfN(rapid.StringMatching(`[a-z][A-Za-z0-9]{0,9}`), rapid.StringMatching(`[A-Za-z._:~/+=,-]{0,20}`), 0, 4).Draw(t, "detail"),
	}
}

// TestLeafRoundTrip: every valid entry has a leaf in canonical form and comes back from it, and only from it.
func TestLeafRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := audit.Entry{
			Event:              drawEvent(t),
			ReceivedTime:       time.UnixMicro(rapid.Int64Range(946684800e6, 253402300799e6).Draw(t, "received")).UTC(),
			ControllerSequence: rapid.Uint64Range(1, 1<<53-1).Draw(t, "sequence"),
		}
		raw, err := want.Leaf()
		if err != nil {
			t.Fatal(err)
		}
		if canonical, err := jcs.Transform(raw); err != nil || !bytes.Equal(canonical, raw) {
			t.Fatalf("the leaf is\n%s\nbut RFC 8785 wants\n%s (%v)", raw, canonical, err)
		}
		got, err := audit.ParseLeaf(raw)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("read back (-want +got):\n%s", diff)
		}
		at := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
		raw[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if other, err := audit.ParseLeaf(raw); err == nil && cmp.Equal(want, other, cmpopts.EquateEmpty()) {
			t.Fatalf("another spelling of the same entry was read: %s", raw)
		}
	})
}

func FuzzParseLeaf(f *testing.F) {
	for _, file := range []string{"testdata/full.json", "testdata/small.json", "testdata/batch.json"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"schema":"privacyops.audit.entry.v1"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		entry, err := audit.ParseLeaf(raw)
		if err != nil {
			if !errors.Is(err, audit.ErrLeaf) {
				t.Errorf("the error is %v", err)
			}
			return
		}
		if again, err := entry.Leaf(); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("read %q, which writes as %q (%v)", raw, again, err)
		}
	})
}

func BenchmarkParseLeaf(b *testing.B) {
	raw, err := golden().Leaf()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := audit.ParseLeaf(raw); err != nil {
			b.Fatal(err)
		}
	}
}
