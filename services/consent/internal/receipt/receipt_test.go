package receipt_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/legalbasis"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/receipt"
	"github.com/privacyops/privacyops/services/consent/internal/signing"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 123456000, time.UTC)

// facts of a guardian's consent that was withdrawn.
func facts() receipt.Facts {
	return receipt.Facts{
		Issuer: "privacyops.example/consent",
		Controller: consent.Controller{ID: "skolen", DisplayName: "Skolen <ved> Åen & Co", Jurisdiction: "DK", TimeZone: "Europe/Copenhagen",
			Contact: "Skolevej 1, 8000 Aarhus", DPO: consent.ContactPerson{Name: "DPO Rådgivning", Email: "dpo@skolen.example"}},
		Activity: consent.Activity{ID: "photos", Version: 3, Basis: consent.BasisConsent, Purpose: "Klassebilleder i læringsplatformen", SpecialCondition: "a",
			DataCategories: []string{"image", "health-notes"}, Recipients: []string{"klassebilleder"}, Locations: []string{"DK", "US"},
			Transfers: []consent.Transfer{{Location: "US", Ground: consent.StandardClauses, Safeguard: "https://skolen.example/scc"}},
			Retention: consent.Retention{Period: "P1Y", Event: "end of the school year"}, Systems: []consent.SystemID{"lms", "backup"}},
		Systems: []consent.System{{ID: "lms", OperatedBy: "Forlaget A/S"}, {ID: "backup", OperatedBy: "Forlaget A/S"}, {ID: "own"}},
		Consent: consent.Consent{ID: "01961f7e-0000-7000-8000-000000000001", Controller: "skolen", Activity: "photos", ActivityVersion: 3,
			Subjects: []consent.SubjectRef{"sub_aaaaaaaa", "sub_bbbbbbbb"}, Capacity: consent.Guardian, Reference: "parent-1", Sufficient: true,
			GiveTime: noon.Add(-48 * time.Hour), GiveRevision: 4, WithdrawTime: noon.Add(-time.Hour), WithdrawRevision: 9, ExpireTime: noon.Add(time.Hour),
			Text: consent.ShownText{Version: "2026-01", Language: "da", SHA256: strings.Repeat("0a", 32)}},
		Now: noon,
	}
}

func signer(t testing.TB) *signing.Signer {
	t.Helper()
	ring, err := keyring.New(bytes.Repeat([]byte{7}, keyring.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	s, err := signing.New(ring, []int{2, 1})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func file(t testing.TB, f receipt.Facts) ([]byte, legalbasis.Keys) {
	t.Helper()
	s := signer(t)
	raw, err := receipt.Make(f).File(func(payload []byte) (string, error) { return s.SignDetached(legalbasis.ReceiptType, payload) })
	if err != nil {
		t.Fatal(err)
	}
	keys, err := legalbasis.ParseKeys(s.KeySet())
	if err != nil {
		t.Fatal(err)
	}
	return raw, keys
}

// TestGolden holds receipts to the bytes that were given out before. Update them with `UPDATE_GOLDEN=1 go test ./services/consent/internal/receipt`.
func TestGolden(t *testing.T) {
	t.Parallel()
	got, _ := file(t, facts())
	path := filepath.Join("testdata", "receipt.json")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(pretty(t, want), pretty(t, got)); d != "" {
		t.Error(d)
	}
	if !bytes.Equal(want, got) {
		t.Error("the bytes differ from the golden file's")
	}
}

func pretty(t *testing.T, raw []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestEveryByteCounts changes each byte of a receipt file in each of its bits.
func TestEveryByteCounts(t *testing.T) {
	t.Parallel()
	f := facts()
	f.Activity, f.Systems = consent.Activity{ID: "photos", Version: 3}, nil // what is short is read as the long is
	raw, keys := file(t, f)
	if got, err := legalbasis.VerifyReceipt(raw, keys); err != nil || !bytes.Contains(raw, got) || !json.Valid(got) {
		t.Fatalf("as it was made: %v", err)
	}
	for i := range raw {
		for bit := range 8 {
			altered := bytes.Clone(raw)
			altered[i] ^= 1 << bit
			if _, err := legalbasis.VerifyReceipt(altered, keys); err == nil {
				t.Fatalf("verifies with byte %d changed from %q to %q", i, raw[i], altered[i])
			}
		}
	}
	for name, altered := range map[string][]byte{
		"empty": nil, "cut": raw[:len(raw)-1], "longer": append(bytes.Clone(raw), '\n'),
		"one more member": bytes.Replace(raw, []byte(`{"jws"`), []byte(`{"a":1,"jws"`), 1),
		"twice":           append(bytes.Clone(raw), raw...),
	} {
		if _, err := legalbasis.VerifyReceipt(altered, keys); err == nil {
			t.Errorf("verifies: %s", name)
		}
	}
}

// TestEvents tells each history.
func TestEvents(t *testing.T) {
	t.Parallel()
	const given, withdrawn, expired = "dpv:ConsentGiven", "dpv:ConsentWithdrawn", "dpv:ConsentExpired"
	early, late := noon.Add(-time.Hour), noon.Add(-time.Minute)
	for name, test := range map[string]struct {
		withdrawn, expires time.Time
		want               string
	}{
		"given":                      {time.Time{}, time.Time{}, given},
		"given, ends later":          {time.Time{}, noon.Add(1), given},
		"ends now":                   {time.Time{}, noon, given + " " + expired},
		"withdrawn":                  {early, time.Time{}, given + " " + withdrawn},
		"withdrawn before its end":   {early, late, given + " " + withdrawn},
		"withdrawn after its end":    {late, early, given + " " + expired + " " + withdrawn},
		"withdrawn at its very end":  {early, early, given + " " + expired + " " + withdrawn},
		"withdrawn, would end later": {early, noon.Add(1), given + " " + withdrawn},
	} {
		f := facts()
		f.Consent.WithdrawTime, f.Consent.ExpireTime, f.Consent.WithdrawRevision = test.withdrawn, test.expires, 0
		if !test.withdrawn.IsZero() {
			f.Consent.WithdrawRevision = 9
		}
		r := receipt.Make(f)
		var got []string
		for i, e := range r.Record.Events {
			got = append(got, e.Type)
			if i > 0 && e.Time < r.Record.Events[i-1].Time {
				t.Errorf("%s: %s before %s", name, e.Type, got[i-1])
			}
		}
		if strings.Join(got, " ") != test.want || r.State != got[len(got)-1] {
			t.Errorf("%s: %v, is %s; want %s", name, got, r.State, test.want)
		}
	}
}

// TestSaysWhatIsSo changes one fact after the other.
func TestSaysWhatIsSo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*receipt.Facts)
		has    string
		hasNot string
	}{
		"a guardian":            {func(*receipt.Facts) {}, `"dpv:isIndicatedBy":"dpv:GuardianOfDataSubject"`, "tooyoung"},
		"the person":            {func(f *receipt.Facts) { f.Consent.Capacity = consent.Self }, `"dpv:isIndicatedBy":"dpv:DataSubject"`, "Guardian"},
		"a child alone":         {func(f *receipt.Facts) { f.Consent.Sufficient = false }, "too young to consent alone", "nothing"},
		"outside the EEA":       {func(f *receipt.Facts) { f.Controller.Jurisdiction = "US" }, `"loc:US"`, "hasApplicableLaw"},
		"no text":               {func(f *receipt.Facts) { f.Consent.Text = consent.ShownText{} }, `"receipt"`, "ConsentNotice"},
		"automated decisions":   {func(f *receipt.Facts) { f.Activity.AutomatedDecisions = true }, "eu-gdpr:A22", "nothing"},
		"no officer":            {func(f *receipt.Facts) { f.Controller.DPO = consent.ContactPerson{} }, `"receipt"`, "DataProtectionOfficer"},
		"no special categories": {func(f *receipt.Facts) { f.Activity.SpecialCondition = "" }, "eu-gdpr:A6-1-a", "A9-2"},
		"nothing kept for long": {func(f *receipt.Facts) { f.Activity.Retention = consent.Retention{} }, `"dpv:hasStorageCondition":[]`, "P1Y"},
	} {
		f := facts()
		test.change(&f)
		raw, _ := file(t, f)
		if test.hasNot == "nothing" {
			test.hasNot = "\x00"
		}
		if !bytes.Contains(raw, []byte(test.has)) || bytes.Contains(raw, []byte(test.hasNot)) || bytes.Contains(raw, []byte("parent-1")) {
			t.Errorf("%s: %s", name, raw)
		}
	}
}
