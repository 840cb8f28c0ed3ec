package rpc_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/legalbasis"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typepb "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/consent/internal/receipt"
	"github.com/privacyops/privacyops/services/consent/internal/signing"
)

// keys are the published ones.
func (s *suite) keys() ([]byte, legalbasis.Keys) {
	s.t.Helper()
	body := must[*httpbody.HttpBody](s.t)(s.Basis.GetDecisionKeys(s.t.Context(), &pb.GetDecisionKeysRequest{}))
	keys, err := legalbasis.ParseKeys(body.GetData())
	if err != nil || body.GetContentType() != "application/jwk-set+json" || strings.Contains(string(body.GetData()), `"d"`) {
		s.t.Fatalf("%s: %v", body.GetContentType(), err)
	}
	return body.GetData(), keys
}

func (s *suite) signed(activity string, values ...string) *pb.Decision {
	s.t.Helper()
	return must[*pb.Decision](s.t)(s.Basis.CheckLegalBasis(s.t.Context(), &pb.CheckLegalBasisRequest{Parent: "controllers/a",
		Subjects: pupil(values...), Activity: activity, Recipient: "publisher", DataCategories: []string{"identity"}, Location: "DK", Signed: true}))
}

func (s *suite) receipt(name string) []byte {
	s.t.Helper()
	body := must[*httpbody.HttpBody](s.t)(s.Consents.GetReceipt(s.t.Context(), &pb.GetReceiptRequest{Name: name}))
	if body.GetContentType() != "application/json" {
		s.t.Errorf("content type %s", body.GetContentType())
	}
	return body.GetData()
}

func TestSignedDecisions(t *testing.T) {
	t.Parallel()
	s := ready(t)
	given := s.give("u1", "e1")
	_, keys := s.keys()
	yes := s.signed("photos", "e1", "u1", "e1")
	refs := []string{s.ref("e1"), s.ref("u1")}
	want := legalbasis.SignedDecision{
		Issuer: issuer, Controller: "a", Activity: "photos", Version: 1, SubjectRefs: refs, Recipient: "publisher", DataCategories: []string{"identity"},
		Location: "DK", Decision: "ALLOW", Reason: "CONSENT_HOLDS", LegalBasis: "CONSENT", ID: yes.GetDecisionId(),
		IssuedAt: noon.Unix(), ExpiresAt: noon.Unix() + 60, RevocationBound: 62, ConsistencyToken: yes.GetConsistencyToken(),
	}
	got, err := legalbasis.VerifyDecision(yes.GetSignature(), keys, noon)
	if d := cmp.Diff(want, got); err != nil || d != "" || !slices.Equal(yes.GetSubjectRefs(), refs) || yes.GetConsent() != given.GetName() {
		t.Errorf("%v %s %v", err, d, yes)
	}
	ending := s.giving("u2")
	ending.ExpireTime = timestamppb.New(noon.Add(20 * time.Second))
	must[*pb.Consent](t)(s.Consents.GiveConsent(t.Context(), ending))
	short := s.signed("photos", "u2")
	until, err := legalbasis.VerifyDecision(short.GetSignature(), keys, noon)
	if err != nil || until.ExpiresAt != noon.Unix()+20 || !short.GetExpireTime().AsTime().Equal(noon.Add(20*time.Second).Truncate(time.Microsecond)) || yes.GetExpireTime() != nil {
		t.Errorf("a consent that ends in 20 s: %+v, %v; %v and %v", until, err, short.GetExpireTime(), yes.GetExpireTime())
	}
	s.withdrawOf("u1")
	for activity, reason := range map[string]string{"photos": "CONSENT_WITHDRAWN", "other": "UNKNOWN_ACTIVITY"} {
		no, err := legalbasis.VerifyDecision(s.signed(activity, "u1").GetSignature(), keys, noon)
		if err != nil || no.Allowed() || no.Reason != reason {
			t.Errorf("%s: %+v, %v", activity, no, err)
		}
	}
	s.away.Store(true)
	s.clock.Advance(time.Minute)
	unprovable, err := legalbasis.VerifyDecision(s.signed("photos", "u1").GetSignature(), keys, s.clock.Now())
	if err != nil || unprovable.Allowed() || unprovable.Reason != "FRESHNESS_UNPROVABLE" || unprovable.ConsistencyToken != "" {
		t.Errorf("without the database: %+v, %v", unprovable, err)
	}
}

// Only who asks for a signature pays for one.
func TestOnlySomeOfABatchAreSigned(t *testing.T) {
	t.Parallel()
	s := ready(t)
	ask := func(signed bool) *pb.CheckLegalBasisRequest {
		return &pb.CheckLegalBasisRequest{Subjects: pupil("u1"), Activity: "learning", Signed: signed}
	}
	got := must[*pb.BatchCheckLegalBasisResponse](t)(s.Basis.BatchCheckLegalBasis(t.Context(), &pb.BatchCheckLegalBasisRequest{
		Parent: "controllers/a", Checks: []*pb.CheckLegalBasisRequest{ask(false), ask(true), ask(false)}})).GetDecisions()
	_, keys := s.keys()
	signed, err := legalbasis.VerifyDecision(got[1].GetSignature(), keys, noon)
	if err != nil || signed.ID != got[1].GetDecisionId() || got[0].GetSignature() != "" || got[2].GetSignature() != "" {
		t.Errorf("%+v, %v", signed, err)
	}
	for _, d := range got {
		if !slices.Equal(d.GetSubjectRefs(), []string{s.ref("u1")}) {
			t.Errorf("%v", d.GetSubjectRefs())
		}
	}
}

func TestReceipt(t *testing.T) {
	t.Parallel()
	s := ready(t)
	_, keys := s.keys()
	req := s.giving("u1", "e1")
	req.Text = &pb.ConsentText{Version: "2026-01", Language: "da", Sha256: strings.Repeat("0a", 32)}
	given := must[*pb.Consent](t)(s.Consents.GiveConsent(t.Context(), req))
	if given.GetText().GetSha256() != req.GetText().GetSha256() || given.GetText().GetVersion() != "2026-01" || given.GetText().GetLanguage() != "da" {
		t.Errorf("the text that was shown: %v", given.GetText())
	}
	must[*pb.Activity](t)(s.Register.UpdateActivity(t.Context(), &pb.UpdateActivityRequest{
		Activity: &pb.Activity{Name: "controllers/a/activities/photos", Purpose: "Something else"}}))
	s.clock.Advance(time.Hour)
	s.withdrawOf("u1")
	raw, err := legalbasis.VerifyReceipt(s.receipt(given.GetName()), keys)
	var r receipt.Receipt
	if err != nil || json.Unmarshal(raw, &r) != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	rec := r.Record
	if r.Identifier != given.GetName() || r.Publisher != issuer || r.State != "dpv:ConsentWithdrawn" || len(rec.Events) != 2 ||
		rec.Process.Purpose.Description != "Something" || rec.Process.Version != 1 || // as it was consented to
		rec.Notice.SHA256 != req.GetText().GetSha256() || !slices.Equal(rec.Subject.Identifiers, []string{s.ref("u1"), s.ref("e1")}) {
		t.Errorf("%+v", r)
	}
	if text := string(raw); strings.Contains(text, "u1\"") || strings.Contains(text, "parent-1") {
		t.Errorf("names somebody: %s", text)
	}
	if e := s.lastEvent("consent.receipt"); e.GetResource() != given.GetName() || len(e.GetSubjectRefs()) != 2 {
		t.Errorf("%v", e)
	}
	s.school("b")
	for _, name := range []string{"controllers/a/consents/" + uuid.NewString(), strings.Replace(given.GetName(), "/a/", "/b/", 1)} {
		refused[*httpbody.HttpBody](t, fault.NotFound, "NOT_FOUND")(s.Consents.GetReceipt(t.Context(), &pb.GetReceiptRequest{Name: name}))
	}
}

// A guardian's consent under RENEW ends on the birthday, and is refused where that day is not known.
func TestConsentIsRenewedByTheYoungPerson(t *testing.T) {
	t.Parallel()
	s := ready(t)
	must[*pb.Controller](t)(s.Register.UpdateController(t.Context(), &pb.UpdateControllerRequest{
		Controller: &pb.Controller{Name: "controllers/a", AgePolicy: pb.Controller_RENEW}}))
	refused[*pb.Consent](t, fault.Invalid, "BIRTH_DATE_REQUIRED")(s.Consents.GiveConsent(t.Context(), s.giving("u1")))
	req := s.giving("u1")
	req.SubjectBirthDate = "2012-05-01"
	given := must[*pb.Consent](t)(s.Consents.GiveConsent(t.Context(), req))
	reached := time.Date(2027, 4, 30, 22, 0, 0, 0, time.UTC)
	if !given.GetExpireTime().AsTime().Equal(reached) {
		t.Errorf("ends %s, want %s", given.GetExpireTime().AsTime(), reached)
	}
	s.clock.Set(reached.Add(-time.Microsecond))
	s.wantReason(pb.Decision_CONSENT_HOLDS, "u1")
	s.clock.Set(reached)
	s.wantReason(pb.Decision_CONSENT_EXPIRED, "u1")
	refused[*pb.Consent](t, fault.Precondition, "OF_AGE")(s.Consents.GiveConsent(t.Context(), req))
	req.GivenBy.Capacity = pb.GivenBy_SELF
	must[*pb.Consent](t)(s.Consents.GiveConsent(t.Context(), req))
	s.wantReason(pb.Decision_CONSENT_HOLDS, "u1")
}

// Where an activity concerns children, a consent given alone by somebody of unknown age allows nothing.
func TestUnknownAge(t *testing.T) {
	t.Parallel()
	s := ready(t)
	must[*pb.Activity](t)(s.Register.CreateActivity(t.Context(), &pb.CreateActivityRequest{Parent: "controllers/a", ActivityId: "trips",
		Activity: &pb.Activity{Purpose: "Trips", LegalBasis: typepb.LegalBasis_CONSENT, SubjectCategories: []string{"pupils", "teachers"}}}))
	req := s.giving("u1")
	req.Activity, req.GivenBy.Capacity = "trips", pb.GivenBy_SELF
	must[*pb.Consent](t)(s.Consents.GiveConsent(t.Context(), req))
	if d := s.check("trips", "u1"); d.GetReason() != pb.Decision_GUARDIAN_CONSENT_REQUIRED {
		t.Errorf("of unknown age: %s", d.GetReason())
	}
	req.SubjectBirthDate = "1990-01-01"
	must[*pb.Consent](t)(s.Consents.GiveConsent(t.Context(), req))
	if d := s.check("trips", "u1"); d.GetReason() != pb.Decision_CONSENT_HOLDS {
		t.Errorf("of age: %s", d.GetReason())
	}
}

// TestIndependentJOSE has what was signed verified by node and by openssl, and what was altered refused.
func TestIndependentJOSE(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "node", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is not installed; CI verifies signatures with an independent implementation", tool)
			}
			t.Skipf("%s is not installed: signatures are verified by our own code alone here", tool)
		}
	}
	s := ready(t)
	jwks, _ := s.keys()
	given := s.give("u1")
	receipt, decision, denial := s.receipt(given.GetName()), []byte(s.signed("photos", "u1").GetSignature()), []byte(s.signed("other", "u1").GetSignature())
	other, err := signing.New(s.keyring, []int{2})
	if err != nil {
		t.Fatal(err)
	}
	foreign := altered(jwks, keyOf(t, jwks), keyOf(t, other.KeySet())) // under the id of the right one
	for name, test := range map[string]struct {
		keys []byte
		kind string
		file []byte
		ok   bool
	}{
		"a receipt":                    {jwks, "receipt", receipt, true},
		"a yes":                        {jwks, "decision", decision, true},
		"a no":                         {jwks, "decision", denial, true},
		"a receipt as decision":        {jwks, "decision", receipt, false},
		"a decision as receipt":        {jwks, "receipt", decision, false},
		"another purpose":              {jwks, "receipt", altered(receipt, "Something", "Somethinc"), false},
		"another state":                {jwks, "receipt", altered(receipt, "dpv:ConsentGiven", "dpv:ConsentTaken"), false},
		"a member more":                {jwks, "receipt", altered(receipt, `"receipt":{`, `"receipt":{"a":1,`), false},
		"a space more":                 {jwks, "receipt", altered(receipt, `"receipt":{`, `"receipt":{ `), false},
		"a line more":                  {jwks, "receipt", append(slices.Clone(receipt), '\n'), false},
		"a signature of another key":   {foreign, "receipt", receipt, false},
		"a key that is not published":  {other.KeySet(), "decision", decision, false},
		"a decision's signature":       {jwks, "decision", flipLast(decision), false},
		"a decision's last loose bits": {jwks, "decision", loosen(decision), false},
		"a receipt without signature":  {jwks, "receipt", []byte(`{"jws":"..","receipt":{}}` + "\n"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, both, node := checkJOSE(t, test.keys, test.kind, test.file)
			if (both == nil) != test.ok || (node == nil) != test.ok {
				t.Errorf("openssl and node: %v: %s; node: %v", both, out, node)
			}
			if !test.ok && !strings.Contains(string(out), "openssl: ") {
				t.Errorf("openssl let it pass: %s", out)
			}
			if test.ok && !json.Valid(out) {
				t.Errorf("printed no JSON: %s", out)
			}
		})
	}
}

// checkJOSE runs scripts/check-jose, which asks openssl and then node, and its node part alone: both must refuse by themselves.
func checkJOSE(t *testing.T, keys []byte, kind string, file []byte) (out []byte, both error, node error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string][]byte{"keys": keys, "file": file} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	scripts := filepath.Join("..", "..", "..", "..", "scripts")
	args := []string{filepath.Join(dir, "keys"), kind, filepath.Join(dir, "file")}
	out, both = exec.CommandContext(t.Context(), filepath.Join(scripts, "check-jose"), args...).CombinedOutput()
	alone := exec.CommandContext(t.Context(), "node", append([]string{filepath.Join(scripts, "jose", "verify.mjs")}, args...)...)
	return out, both, alone.Run()
}

func altered(file []byte, from, to string) []byte {
	return []byte(strings.Replace(string(file), from, to, 1))
}

func flipLast(signed []byte) []byte {
	out := slices.Clone(signed)
	if i := len(out) - 10; out[i] == 'A' {
		out[i] = 'B'
	} else {
		out[i] = 'A'
	}
	return out
}

// loosen changes the last character of a signature in the bits that no byte of it has: 64 bytes are 86 characters and leave four.
func loosen(signed []byte) []byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	out := slices.Clone(signed)
	last := len(out) - 1
	out[last] = alphabet[strings.IndexByte(alphabet, out[last])^1]
	return out
}

func keyOf(t *testing.T, jwks []byte) string {
	t.Helper()
	_, rest, _ := strings.Cut(string(jwks), `"x":"`)
	x, _, ok := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("no key in %s", jwks)
	}
	return x
}
