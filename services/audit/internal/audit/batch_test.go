package audit_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gowebpki/jcs"
	"google.golang.org/protobuf/proto" //nolint:depguard // a second opinion on the wire format
	"pgregory.net/rapid"

	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1" //nolint:depguard // the published form of what is packed
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/store/storetest" //nolint:depguard // its events serve these tests too
)

// goldenBatch is an entry with decisions that fill every field, and one that fills as few as there may be.
func goldenBatch() audit.Entry {
	id := func(last byte) []byte {
		return []byte{0x01, 0x9f, 0x2c, 0x1e, 0x7b, 0x60, 0x7c, 0x4d, 0x9a, 0x31, 0x5d, 0x8e, 0x21, 0xf0, 0xaa, last}
	}
	return audit.Entry{
		Event: audit.Event{
			ID: "019f2c1e-7b60-7c4d-9a31-5d8e21f0aa09", Controller: "lindevangskolen", Service: "consent",
			Actor:  audit.Actor{Kind: audit.ActorService, Ref: "consent"},
			Action: audit.DecisionAction, Kind: audit.KindDecision, Outcome: audit.OutcomeOK,
			OccurredTime: time.Date(2026, 3, 29, 1, 0, 0, 123456000, time.UTC),
			Detail:       map[string]string{"count": "2"},
			Batch: &audit.Batch{
				Actors: []audit.Actor{
					{Kind: audit.ActorService, Ref: "export"},
					{Kind: audit.ActorCaller, Ref: "usr_6d0f1c9b", Roles: []string{"platform", "dpo"}},
				},
				Texts: []string{"absence", "CONSENT_GIVEN", "municipality", "NO_LEGAL_BASIS"},
				Decisions: []audit.Decision{
					{ID: id(1), Reason: 3},
					{
						ID: id(2), Actor: 1, Offset: -1500, SubjectRefs: []audit.SubjectRef{"sub_b1946ac9", "sub_2cd6ee2c"}, Activity: 0,
						Trace:   []byte{0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36},
						Version: 300, Allowed: true, Reason: 1, Recipient: 3, Consent: id(3),
					},
				},
			},
		},
		ReceivedTime: time.Date(2026, 3, 29, 1, 0, 0, 500000000, time.UTC), ControllerSequence: 43,
	}
}

func TestDecisionIsAnEvent(t *testing.T) {
	t.Parallel()
	want := audit.Event{
		ID: "019f2c1e-7b60-7c4d-9a31-5d8e21f0aa02", Controller: "lindevangskolen", Service: "consent",
		Actor:  audit.Actor{Kind: audit.ActorCaller, Ref: "usr_6d0f1c9b", Roles: []string{"platform", "dpo"}},
		Action: "legal_basis.check", Kind: audit.KindDecision, Resource: "controllers/lindevangskolen/activities/absence",
		SubjectRefs: []audit.SubjectRef{"sub_b1946ac9", "sub_2cd6ee2c"}, Outcome: audit.OutcomeOK,
		TraceParent:  "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-00",
		OccurredTime: time.Date(2026, 3, 29, 1, 0, 0, 121956000, time.UTC),
		Detail: map[string]string{
			"decision": "ALLOW", "reason": "CONSENT_GIVEN", "activity": "absence", "version": "300", "recipient": "municipality",
			"consent": "019f2c1e-7b60-7c4d-9a31-5d8e21f0aa03",
		},
	}
	got := goldenBatch().Decision(1)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the decision (-want +got):\n%s", diff)
	}
	if err := got.Validate(); err != nil {
		t.Errorf("it could not have been reported alone: %v", err)
	}
	least := goldenBatch().Decision(0)
	wantDetail := map[string]string{"decision": "DENY", "reason": "NO_LEGAL_BASIS", "activity": "absence", "version": "0"}
	if diff := cmp.Diff(wantDetail, least.Detail); diff != "" || least.TraceID() != "" || least.Actor.Ref != "export" {
		t.Errorf("the least decision is %+v (-want +got):\n%s", least, diff)
	}
}

func TestValidateBatch(t *testing.T) {
	t.Parallel()
	if err := goldenBatch().Validate(); err != nil {
		t.Fatalf("the golden batch: %v", err)
	}
	type batch = audit.Batch
	on := func(change func(b *batch)) func(*audit.Event) { return func(e *audit.Event) { change(e.Batch) } }
	for i, test := range []struct {
		field  string
		change func(*audit.Event)
	}{
		{"controller", func(e *audit.Event) { e.Controller = "" }},
		{"action", func(e *audit.Event) { e.Action = "legal_basis.watch" }},
		{"kind", func(e *audit.Event) { e.Kind = audit.KindView }},
		{"outcome", func(e *audit.Event) { e.Outcome = audit.OutcomeDenied }},
		{"outcome", func(e *audit.Event) { e.Reason = "SOMETHING" }},
		{"actor", func(e *audit.Event) { e.Actor.Kind = audit.ActorCaller }},
		{"actor", func(e *audit.Event) { e.Actor.Ref = "export" }},
		{"subject_refs", func(e *audit.Event) { e.SubjectRefs = []audit.SubjectRef{"sub_1"} }},
		{"detail", func(e *audit.Event) { e.Detail = map[string]string{"count": "3"} }},
		{"detail", func(e *audit.Event) { e.Detail = map[string]string{"total": "2"} }},
		{"detail", func(e *audit.Event) { e.Detail["reason"] = "X" }},
		{"decisions.decisions", func(e *audit.Event) { e.Detail, e.Batch.Decisions = nil, nil }},
		{"decisions.decisions", func(e *audit.Event) { e.Detail, e.Batch.Decisions = nil, make([]audit.Decision, audit.MaxDecisions+1) }},
		{"decisions.actors[1]", on(func(b *batch) { b.Actors[1].Ref = "Ane Holm" })},
		{"decisions.actors[0]", on(func(b *batch) { b.Actors[0].Kind = "" })},
		{"decisions.actors[1]", on(func(b *batch) { b.Actors[1].Roles = []string{"DPO"} })},
		{"decisions.texts[2]", on(func(b *batch) { b.Texts[2] = "Region Midt" })},
		{"decisions.texts[2]", on(func(b *batch) { b.Texts[2] = "ane@skole.dk" })},
		{"decisions.texts[2]", on(func(b *batch) { b.Texts[2] = "Søren" })},
		{"decisions.texts[2]", on(func(b *batch) { b.Texts[2] = "010199-1234" })},
		{"decisions.texts[2]", on(func(b *batch) { b.Texts[2] = `a"b` })},
		{"decisions.texts[2]", on(func(b *batch) { b.Texts[2] = strings.Repeat("a", 513) })},
		{"decisions.texts[4]", on(func(b *batch) { b.Texts = append(b.Texts, "not\nused") })},
		{"decisions.decisions[1].id", on(func(b *batch) { b.Decisions[1].ID = nil })},
		{"decisions.decisions[1].id", on(func(b *batch) { b.Decisions[1].ID = b.Decisions[1].ID[:15] })},
		{"decisions.decisions[1].id", on(func(b *batch) { b.Decisions[1].ID = append(b.Decisions[1].ID, 0) })},
		{"decisions.decisions[1].id", on(func(b *batch) { b.Decisions[1].ID[6] = 0x0c })},
		{"decisions.decisions[1].id", on(func(b *batch) { b.Decisions[1].ID[6] = 0x9c })},
		{"decisions.decisions[1].id", on(func(b *batch) { b.Decisions[1].ID[8] = 0x1a })},
		{"decisions.decisions[1].id", on(func(b *batch) { b.Decisions[1].ID = b.Decisions[0].ID })},
		{"decisions.decisions[0].actor", on(func(b *batch) { b.Decisions[0].Actor = 2 })},
		{"decisions.decisions[0].actor", on(func(b *batch) { b.Actors = nil })},
		{"decisions.decisions[0].actor", on(func(b *batch) { b.Decisions[0].Actor = 1<<32 - 1 })},
		{"decisions.decisions[0].offset_micros", on(func(b *batch) { b.Decisions[0].Offset = 3600_000_001 })},
		{"decisions.decisions[0].offset_micros", on(func(b *batch) { b.Decisions[0].Offset = -3600_000_001 })},
		{"decisions.decisions[0].offset_micros", on(func(b *batch) { b.Decisions[0].Offset = -1 << 63 })},
		{"decisions.decisions[0].trace_id", on(func(b *batch) { b.Decisions[0].Trace = make([]byte, 16) })},
		{"decisions.decisions[0].trace_id", on(func(b *batch) { b.Decisions[0].Trace = []byte{1} })},
		{"decisions.decisions[0].subject_refs", on(func(b *batch) { b.Decisions[0].SubjectRefs = []audit.SubjectRef{""} })},
		{"decisions.decisions[0].subject_refs", on(func(b *batch) { b.Decisions[0].SubjectRefs = []audit.SubjectRef{"ok", "elev@skole.dk"} })},
		{"decisions.decisions[0].subject_refs", on(func(b *batch) { b.Decisions[0].SubjectRefs = []audit.SubjectRef{"Ane Holm"} })},
		{"decisions.decisions[0].subject_refs", on(func(b *batch) {
			b.Decisions[0].SubjectRefs = []audit.SubjectRef{audit.SubjectRef(strings.Repeat("s", 129))}
		})},
		{"decisions.decisions[0].subject_refs", on(func(b *batch) {
			b.Decisions[0].SubjectRefs = many(201, func(i int) audit.SubjectRef { return audit.SubjectRef(fmt.Sprint(i)) })
		})},
		{"decisions.decisions[0].activity", on(func(b *batch) { b.Decisions[0].Activity = 4 })},
		{"decisions.decisions[0].activity", on(func(b *batch) { b.Texts[0] = "" })},
		{"decisions.decisions[0].activity", on(func(b *batch) { b.Texts[0] = "a/b" })},
		{"decisions.decisions[0].activity", on(func(b *batch) { b.Texts[0] = strings.Repeat("a", 201) })},
		{"decisions.decisions[0].version", on(func(b *batch) { b.Decisions[0].Version = -1 })},
		{"decisions.decisions[0].reason", on(func(b *batch) { b.Decisions[0].Reason = 4 })},
		{"decisions.decisions[0].reason", on(func(b *batch) { b.Texts[3] = "" })},
		{"decisions.decisions[1].recipient", on(func(b *batch) { b.Decisions[1].Recipient = 5 })},
		{"decisions.decisions[1].recipient", on(func(b *batch) { b.Decisions[1].Recipient = 1<<32 - 1 })},
		{"decisions.decisions[1].recipient", on(func(b *batch) { b.Texts[2] = "" })},
		{"decisions.decisions[1].consent", on(func(b *batch) { b.Decisions[1].Consent = b.Decisions[1].Consent[:8] })},
		{"decisions.decisions[1].consent", on(func(b *batch) { b.Decisions[1].Consent = make([]byte, 16) })},
	} {
		e := goldenBatch().Event
		test.change(&e)
		var field *audit.FieldError
		if err := e.Validate(); !errors.As(err, &field) || field.Field != test.field {
			t.Errorf("case %d: %v, want a complaint about %s", i, err, test.field)
		} else if strings.Contains(err.Error(), "@") || strings.Contains(err.Error(), "Ane") {
			t.Errorf("the complaint repeats the value: %v", err)
		}
	}
}

// TestBoundsOfBatchesHold: what is just within the bounds is accepted.
func TestBoundsOfBatchesHold(t *testing.T) {
	t.Parallel()
	e := goldenBatch().Event
	e.Detail = nil
	e.Batch.Texts[0] = strings.Repeat("a", 200)
	e.Batch.Texts[2] = strings.Repeat("~", 512)
	e.Batch.Decisions[0].Offset, e.Batch.Decisions[1].Offset = 3600_000_000, -3600_000_000
	e.Batch.Decisions[0].SubjectRefs = many(200, func(int) audit.SubjectRef { return "s" })
	e.Batch.Decisions[0].SubjectRefs[0] = audit.SubjectRef(strings.Repeat("s", 128))
	if err := e.Validate(); err != nil {
		t.Error(err)
	}
	if err := e.Decision(0).Validate(); err != nil {
		t.Errorf("its decision could not have been reported alone: %v", err)
	}
}

// TestLargestBatchFits finds how many ordinary decisions fit into a leaf, and that one more is refused as a whole.
func TestLargestBatchFits(t *testing.T) {
	t.Parallel()
	entry := func(n int) audit.Entry {
		e := audit.Entry{Event: storetest.Decisions("lindevangskolen", 1, n), ReceivedTime: storetest.Base, ControllerSequence: 1 << 52}
		for i := range e.Batch.Decisions {
			d := &e.Batch.Decisions[i]
			d.SubjectRefs = []audit.SubjectRef{audit.SubjectRef(fmt.Sprintf("sub_%040x", i))}
			d.Trace, d.Consent = d.ID, d.ID
		}
		return e
	}
	n := 1
	for ; n < audit.MaxDecisions; n++ {
		raw, err := entry(n).Leaf()
		if err != nil {
			break
		}
		if len(raw) > audit.MaxBatchLeafBytes {
			t.Fatalf("a leaf of %d bytes", len(raw))
		}
		n += n / 100
	}
	var field *audit.FieldError
	if _, err := entry(n).Leaf(); !errors.As(err, &field) || field.Field != "decisions" {
		t.Errorf("%d decisions: %v, want a complaint about the decisions", n, err)
	}
	if n < 350 {
		t.Errorf("only %d decisions fit into a leaf", n)
	}
	t.Logf("about %d decisions fit into a leaf", n)
}

// drawBatch draws any valid event with decisions.
func drawBatch(t *rapid.T) audit.Event {
	e := drawEvent(t)
	word := rapid.StringMatching(`[A-Za-z0-9._~:-]{1,20}`)
	e.Controller, e.Service, e.Actor = "school-a", "consent", audit.Actor{Kind: audit.ActorService, Ref: "consent"}
	e.Action, e.Kind, e.Outcome, e.Reason, e.SubjectRefs, e.Detail = audit.DecisionAction, audit.KindDecision, audit.OutcomeOK, "", nil, nil
	e.Batch = &audit.Batch{
		Actors: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) audit.Actor {
			return audit.Actor{Kind: audit.ActorCaller, Ref: word.Draw(t, "ref"), Roles: rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,9}`), 0, 3).Draw(t, "roles")}
		}), 1, 4).Draw(t, "actors"),
		Texts: rapid.SliceOfN(word, 1, 6).Draw(t, "texts"),
	}
	text := rapid.Uint32Range(0, uint32(len(e.Batch.Texts)-1))
	sixteen := func(t *rapid.T, name string) []byte {
		id := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name)
		id[6], id[8] = 0x70|id[6]&0xf, 0x80|id[8]&0x3f
		return id
	}
	e.Batch.Decisions = rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) audit.Decision {
		d := audit.Decision{
			ID: sixteen(t, "id"), Actor: rapid.Uint32Range(0, uint32(len(e.Batch.Actors)-1)).Draw(t, "actor"),
			Offset:   rapid.Int64Range(-3600_000_000, 3600_000_000).Draw(t, "offset"),
			Activity: text.Draw(t, "activity"), Version: rapid.Int64Min(0).Draw(t, "version"), Allowed: rapid.Bool().Draw(t, "allowed"),
			Reason: text.Draw(t, "reason"), Recipient: rapid.Uint32Range(0, uint32(len(e.Batch.Texts))).Draw(t, "recipient"),
		}
		for _, ref := range rapid.SliceOfN(word, 0, 3).Draw(t, "subjects") {
			d.SubjectRefs = append(d.SubjectRefs, audit.SubjectRef(ref))
		}
		if rapid.Bool().Draw(t, "traced") {
			d.Trace = sixteen(t, "trace")
		}
		if rapid.Bool().Draw(t, "consented") {
			d.Consent = sixteen(t, "consent")
		}
		return d
	}), 1, 30, func(d audit.Decision) string { return string(d.ID) }).Draw(t, "decisions")
	return e
}

// TestBatchRoundTrip: every valid batch has a leaf in canonical form, from which the published message definition reads the same
// decisions; and it comes back from this leaf only.
func TestBatchRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := audit.Entry{Event: drawBatch(t), ReceivedTime: storetest.Base, ControllerSequence: rapid.Uint64Range(1, 1<<53-1).Draw(t, "sequence")}
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
		comparePacked(t, raw, want.Batch.Decisions)
		at := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
		raw[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if other, err := audit.ParseLeaf(raw); err == nil && cmp.Equal(want, other, cmpopts.EquateEmpty()) {
			t.Fatalf("another spelling of the same entry was read: %s", raw)
		}
	})
}

// packed returns the packed decisions of a leaf.
func packed(leaf []byte) []byte {
	_, rest, _ := bytes.Cut(leaf, []byte(`"packed":"`))
	text, _, _ := bytes.Cut(rest, []byte(`"`))
	raw, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		panic(err)
	}
	return raw
}

// comparePacked reads and writes the packed decisions of a leaf with the protocol's own code.
func comparePacked(t *rapid.T, leaf []byte, want []audit.Decision) {
	raw := packed(leaf)
	var message auditv1.DecisionBatch
	if err := proto.Unmarshal(raw, &message); err != nil {
		t.Fatal(err)
	}
	var got []audit.Decision
	for _, d := range message.GetDecisions() {
		one := audit.Decision{
			ID: d.GetId(), Actor: d.GetActor(), Offset: d.GetOffsetMicros(), Trace: d.GetTraceId(), Activity: d.GetActivity(),
			Version: d.GetVersion(), Allowed: d.GetAllowed(), Reason: d.GetReason(), Recipient: d.GetRecipient(), Consent: d.GetConsent(),
		}
		for _, ref := range d.GetSubjectRefs() {
			one.SubjectRefs = append(one.SubjectRefs, audit.SubjectRef(ref))
		}
		got = append(got, one)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("read by the definition (-want +got):\n%s", diff)
	}
	if again, err := (proto.MarshalOptions{Deterministic: true}).Marshal(&message); err != nil || !bytes.Equal(again, raw) {
		t.Fatalf("packed as\n%x\nbut the protocol's code writes\n%x (%v)", raw, again, err)
	}
}

// TestParseLeafIsStrictAboutDecisions packs the golden decisions in ways that the wire format allows and the log does not.
func TestParseLeafIsStrictAboutDecisions(t *testing.T) {
	t.Parallel()
	leaf, err := goldenBatch().Leaf()
	if err != nil {
		t.Fatal(err)
	}
	honest := packed(leaf)
	first := honest[2 : 2+honest[1]]
	withFirst := func(one ...byte) []byte {
		return slices.Concat([]byte{honest[0], byte(len(one))}, one, honest[2+len(first):])
	}
	for name, altered := range map[string][]byte{
		"nothing":               {},
		"a zero written out":    withFirst(slices.Concat(first[:18], []byte{2 << 3, 0}, first[18:])...),
		"a long number":         withFirst(slices.Concat(first[:18], []byte{9 << 3, 0x83, 0})...),
		"another order":         withFirst(slices.Concat(first[18:], first[:18])...),
		"a field twice":         withFirst(slices.Concat(first, first[18:])...),
		"an unknown field":      withFirst(slices.Concat(first, []byte{12 << 3, 1})...),
		"another wire type":     withFirst(slices.Concat(first[:18], []byte{9<<3 | 2, 1, 3})...),
		"an empty id":           withFirst(slices.Concat(first, []byte{4<<3 | 2, 0})...),
		"a truth of 2":          withFirst(slices.Concat(first[:18], []byte{8 << 3, 2}, first[18:])...),
		"a place beyond 2^32":   withFirst(slices.Concat(first[:18], []byte{9 << 3, 0x83, 0x80, 0x80, 0x80, 0x10})...),
		"cut short":             honest[:len(honest)-1],
		"a byte more":           append(slices.Clone(honest), 0),
		"a length beyond":       {3<<3 | 2, 0x7f},
		"a length of 2^64-1":    {3<<3 | 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"an endless number":     bytes.Repeat([]byte{0xff}, 12),
		"actors among them":     slices.Concat([]byte{1<<3 | 2, 0}, honest),
		"a decision without id": withFirst(first[18:]...),
	} {
		if bytes.Equal(altered, honest) {
			t.Errorf("%s: the case changes nothing", name)
		}
		if _, err := audit.ParseLeaf(repack(leaf, base64.StdEncoding.EncodeToString(altered))); !errors.Is(err, audit.ErrLeaf) {
			t.Errorf("%s: %v, want %v", name, err, audit.ErrLeaf)
		}
	}
	if entry, err := audit.ParseLeaf(repack(leaf, base64.StdEncoding.EncodeToString(honest))); err != nil || len(entry.Batch.Decisions) != 2 {
		t.Errorf("the honest one: %v", err)
	}
	text := base64.StdEncoding.EncodeToString(honest)
	for name, altered := range map[string]string{
		"no padding": strings.TrimRight(text, "="), "line break": text[:4] + `\n` + text[4:], "an escape": `\u0047` + text[1:],
		"unused bits": text[:len(text)-2] + "N=", "none": "",
	} {
		if altered == text {
			t.Errorf("%s: the case changes nothing", name)
		}
		if _, err := audit.ParseLeaf(repack(leaf, altered)); !errors.Is(err, audit.ErrLeaf) {
			t.Errorf("%s: %v, want %v", name, err, audit.ErrLeaf)
		}
	}
	for name, altered := range map[string]string{
		"null":          `"decisions":null,"detail"`,
		"empty":         `"decisions":{},"detail"`,
		"no actors":     `"decisions":{"actors":null,"packed":"` + text + `","texts":["absence","CONSENT_GIVEN","municipality","NO_LEGAL_BASIS"]},"detail"`,
		"a third field": `"decisions":{"actors":[],"more":1,"packed":"","texts":[]},"detail"`,
	} {
		start, end := bytes.Index(leaf, []byte(`"decisions"`)), bytes.Index(leaf, []byte(`"detail"`))+len(`"detail"`)
		if _, err := audit.ParseLeaf(slices.Concat(leaf[:start], []byte(altered), leaf[end:])); !errors.Is(err, audit.ErrLeaf) {
			t.Errorf("%s: %v, want %v", name, err, audit.ErrLeaf)
		}
	}
}

// repack puts another text in the place of a leaf's packed decisions.
func repack(leaf []byte, text string) []byte {
	head, rest, _ := bytes.Cut(leaf, []byte(`"packed":"`))
	_, tail, _ := bytes.Cut(rest, []byte(`"`))
	return slices.Concat(head, []byte(`"packed":"`+text+`"`), tail)
}

// FuzzDecisions reads any bytes as the packed decisions of a leaf: they are refused, or are the only way to write what was read.
func FuzzDecisions(f *testing.F) {
	leaf, err := goldenBatch().Leaf()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed(leaf))
	f.Add([]byte{3<<3 | 2, 2, 1<<3 | 2, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		altered := repack(leaf, base64.StdEncoding.EncodeToString(raw))
		entry, err := audit.ParseLeaf(altered)
		if err != nil {
			if !errors.Is(err, audit.ErrLeaf) {
				t.Errorf("the error is %v", err)
			}
			return
		}
		if again, err := entry.Leaf(); err != nil || !bytes.Equal(again, altered) {
			t.Errorf("read %x, which is written as %q (%v)", raw, again, err)
		}
		for place := range entry.Batch.Decisions {
			if err := entry.Decision(place).Validate(); err != nil {
				t.Errorf("decision %d could not have been reported alone: %v", place, err)
			}
		}
	})
}

func BenchmarkParseBatch(b *testing.B) {
	raw, err := audit.Entry{Event: storetest.Decisions("school-a", 1, 256), ReceivedTime: storetest.Base, ControllerSequence: 1}.Leaf()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := audit.ParseLeaf(raw); err != nil {
			b.Fatal(err)
		}
	}
}
