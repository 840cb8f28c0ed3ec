package rest

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/fault"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

// The words of protojson that messages are made from are not promised; this notices when they change.
func TestDecodeSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"aproved":1}`:                          "aproved: unknown field (line 1, column 2)",
		`{"subject":{"typ":1}}`:                  "typ: unknown field (line 1, column 13)",
		`{"activity":{}}`:                        "activity: not a valid string",
		`{"activity":7}`:                         "activity: not a valid string",
		`{"subject":{"type":"CPR"}}`:             "type: not a valid enum",
		`{"activity":"a","activity":"b"}`:        "a field comes twice (line 1, column 17)",
		"{\n \"activity\":\"a\"\n}\n{}":          "not one JSON object with the fields of this call (line 4, column 1)",
		`{"consistency":{"full":"010190-1234"}}`: "full: not a valid bool",
		`{"010190-1234":1}`:                      "not one JSON object",
	} {
		err := decode([]byte(body), &consentv1.CheckLegalBasisRequest{})
		f := fault.From(err)
		if f.Kind() != fault.Invalid || !strings.Contains(f.Message(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
		if strings.Contains(f.Message(), "010190") {
			t.Errorf("%s: a value is repeated: %s", body, f.Message())
		}
	}
}

func TestDecodeBoundsLists(t *testing.T) {
	t.Parallel()
	list := func(n int) []byte { return []byte(`{"dataCategories":["a"` + strings.Repeat(`,"a"`, n-1) + `]}`) }
	if err := decode(list(maxItems), &consentv1.CheckLegalBasisRequest{}); err != nil {
		t.Errorf("%d items: %v", maxItems, err)
	}
	if err := decode(list(maxItems+1), &consentv1.CheckLegalBasisRequest{}); err == nil {
		t.Errorf("%d items are taken", maxItems+1)
	}
	deep := []byte(`{"checks":[{"dataCategories":["a"` + strings.Repeat(`,"a"`, maxItems) + `]}]}`)
	if err := decode(deep, &consentv1.BatchCheckLegalBasisRequest{}); err == nil {
		t.Error("a list within a list is not looked at")
	}
}

func request(rt *rapid.T) *consentv1.CheckLegalBasisRequest {
	return &consentv1.CheckLegalBasisRequest{
		Activity:       rapid.String().Draw(rt, "activity"),
		DataCategories: rapid.SliceOfN(rapid.String(), 0, 5).Draw(rt, "categories"),
		Subject: &typev1.Subject{Type: typev1.Subject_Type(rapid.Int32Range(0, 6).Draw(rt, "type")),
			Value: rapid.String().Draw(rt, "value")},
	}
}

// Whatever is sent comes in as it was; with anything after it, or any field more, nothing comes in.
func TestDecodeIsStrict(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		want := request(rt)
		text, err := protojson.Marshal(want)
		if err != nil {
			rt.Skip("not valid UTF-8")
		}
		got := &consentv1.CheckLegalBasisRequest{}
		if err := decode(text, got); err != nil || !proto.Equal(want, got) {
			rt.Fatalf("%s: %v", text, err)
		}
		after := rapid.StringMatching(`[^ \t\r\n].{0,5}`).Draw(rt, "after")
		if decode([]byte(string(text)+after), &consentv1.CheckLegalBasisRequest{}) == nil {
			rt.Fatalf("taken with %q after it", after)
		}
		name := rapid.StringMatching(`[a-z]{1,9}X`).Draw(rt, "name")
		more := `{"` + name + `":null,` + strings.TrimPrefix(strings.TrimSpace(string(text)), "{")
		if string(text) == "{}" {
			more = `{"` + name + `":null}`
		}
		if decode([]byte(more), &consentv1.CheckLegalBasisRequest{}) == nil {
			rt.Fatalf("taken with the field %s", name)
		}
	})
}

// No bytes get through that encoding/json, another reader, would not call JSON; and no error repeats a value.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{}`, `{"activity":"a"}`, `{"subject":{"type":"EMAIL","value":"x"}}`, `{"a":1}{}`, "\ufeff{}", `{"activity":"\ud800"}`,
		`{"dataCategories":[1,2]}`, `{"consistency":{"full":true,"token":""}}`, `[]`, `null`, `{"activity":"a",}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err := decode(data, &consentv1.CheckLegalBasisRequest{})
		if err == nil && !json.Valid(data) {
			t.Errorf("taken, and no JSON: %q", data)
		}
		if err != nil && fault.From(err).Kind() != fault.Invalid {
			t.Errorf("%q: %v", data, err)
		}
	})
}
