package legalbasis_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/privacyops/privacyops/libs/legalbasis"
)

var decided = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// signKey makes a key of a seed that is one byte over and over.
func signKey(t testing.TB, seed byte) jwk.Key {
	t.Helper()
	key, err := jwk.Import(ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), ed25519.SeedSize))))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(key.Set(jwk.AlgorithmKey, jwa.EdDSA()), jwk.AssignKeyID(key)); err != nil {
		t.Fatal(err)
	}
	return key
}

// keySet publishes keys as the service does.
func keySet(t testing.TB, keys ...jwk.Key) []byte {
	t.Helper()
	set := jwk.NewSet()
	for _, k := range keys {
		public, err := k.PublicKey()
		if err == nil {
			err = set.AddKey(public)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	raw, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func published(t testing.TB, keys ...jwk.Key) legalbasis.Keys {
	t.Helper()
	out, err := legalbasis.ParseKeys(keySet(t, keys...))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func signAs(t testing.TB, typ string, payload []byte, key jwk.Key, more ...jws.SignOption) string {
	t.Helper()
	headers := jws.NewHeaders()
	if err := headers.Set(jws.TypeKey, typ); err != nil {
		t.Fatal(err)
	}
	out, err := jws.Sign(payload, append(more, jws.WithKey(jwa.EdDSA(), key, jws.WithProtectedHeaders(headers)))...)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func decision() legalbasis.SignedDecision {
	return legalbasis.SignedDecision{
		Issuer: "privacyops.example/consent", Controller: "skolen", Activity: "photos", Version: 3, SubjectRefs: []string{"sub_aaaaaaaa"},
		Recipient: "publisher", DataCategories: []string{"image"}, Location: "DK", Decision: "ALLOW", Reason: "CONSENT_HOLDS", LegalBasis: "CONSENT",
		ID: "01961f7e-0000-7000-8000-000000000001", IssuedAt: decided.Unix(), ExpiresAt: decided.Unix() + 60, RevocationBound: 62, ConsistencyToken: "x",
	}
}

func payload(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestVerifyDecision(t *testing.T) {
	t.Parallel()
	key, old := signKey(t, 'a'), signKey(t, 'b')
	keys := published(t, key, old)
	good := payload(t, decision())
	signed := signAs(t, legalbasis.DecisionType, good, key)
	for name, test := range map[string]struct {
		signed string
		at     time.Time
		want   error
	}{
		"at once":                   {signed, decided, nil},
		"in its last moment":        {signed, decided.Add(time.Minute - 1), nil},
		"at its end":                {signed, decided.Add(time.Minute), legalbasis.ErrExpired},
		"years later":               {signed, decided.AddDate(3, 0, 0), legalbasis.ErrExpired},
		"by a clock that is slow":   {signed, decided.Add(-legalbasis.ClockSkew), nil},
		"from the future":           {signed, decided.Add(-legalbasis.ClockSkew - 1), legalbasis.ErrEarly},
		"by a key that was changed": {signAs(t, legalbasis.DecisionType, good, old), decided, nil},
		"by a stranger":             {signAs(t, legalbasis.DecisionType, good, signKey(t, 'c')), decided, legalbasis.ErrAltered},
		"a receipt":                 {signAs(t, legalbasis.ReceiptType, good, key), decided, legalbasis.ErrAltered},
		"of no type":                {signAs(t, "", good, key), decided, legalbasis.ErrAltered},
		"no JSON":                   {signAs(t, legalbasis.DecisionType, []byte("yes"), key), decided, legalbasis.ErrAltered},
		"without an end":            {signAs(t, legalbasis.DecisionType, []byte(`{"decision":"ALLOW"}`), key), decided, legalbasis.ErrExpired},
		"without its payload":       {signAs(t, legalbasis.DecisionType, nil, key, jws.WithDetachedPayload(good)), decided, legalbasis.ErrAltered},
		"nothing":                   {"", decided, legalbasis.ErrAltered},
		"a full stop more":          {signed + ".", decided, legalbasis.ErrAltered},
		"a line break more":         {signed + "\n", decided, legalbasis.ErrAltered},
		"much too long":             {signed + strings.Repeat("A", legalbasis.MaxSigned), decided, legalbasis.ErrAltered},
	} {
		got, err := legalbasis.VerifyDecision(test.signed, keys, test.at)
		if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
			continue
		}
		want := decision()
		if err != nil {
			want = legalbasis.SignedDecision{}
		}
		if d := cmp.Diff(want, got); d != "" || got.Allowed() != (err == nil) {
			t.Errorf("%s: %s", name, d)
		}
	}
	if _, err := legalbasis.VerifyDecision(signed, legalbasis.Keys{}, decided); !errors.Is(err, legalbasis.ErrAltered) {
		t.Errorf("without keys: %v", err)
	}
}

// TestOtherAlgorithms offers what verifiers have been fooled with: no signature, and a MAC under the public key.
func TestOtherAlgorithms(t *testing.T) {
	t.Parallel()
	key := signKey(t, 'a')
	keys := published(t, key)
	id, _ := key.KeyID()
	header := func(alg string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"` + alg + `","kid":"` + id + `","typ":"` + legalbasis.DecisionType + `"}`))
	}
	body := base64.RawURLEncoding.EncodeToString(payload(t, decision()))
	public, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	var raw ed25519.PublicKey
	if err := jwk.Export(public, &raw); err != nil {
		t.Fatal(err)
	}
	secret, err := jwk.Import([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	headers := jws.NewHeaders()
	if err := errors.Join(headers.Set(jws.TypeKey, legalbasis.DecisionType), headers.Set(jws.KeyIDKey, id)); err != nil {
		t.Fatal(err)
	}
	mac, err := jws.Sign(payload(t, decision()), jws.WithKey(jwa.HS256(), secret, jws.WithProtectedHeaders(headers)))
	if err != nil {
		t.Fatal(err)
	}
	good := strings.Split(signAs(t, legalbasis.DecisionType, payload(t, decision()), key), ".")
	for name, signed := range map[string]string{
		"none": header("none") + "." + body + ".", "none, with a signature": header("none") + "." + body + "." + good[2],
		"a MAC": string(mac), "another header": header("EdDSA ") + "." + body + "." + good[2], "ES256": header("ES256") + "." + body + "." + good[2],
	} {
		if _, err := legalbasis.VerifyDecision(signed, keys, decided); !errors.Is(err, legalbasis.ErrAltered) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEveryBitOfADecisionCounts changes each byte of a signed decision in each of its bits.
func TestEveryBitOfADecisionCounts(t *testing.T) {
	t.Parallel()
	key := signKey(t, 'a')
	keys := published(t, key)
	signed := signAs(t, legalbasis.DecisionType, payload(t, decision()), key)
	for i := range signed {
		for bit := range 8 {
			altered := []byte(signed)
			altered[i] ^= 1 << bit
			if _, err := legalbasis.VerifyDecision(string(altered), keys, decided); !errors.Is(err, legalbasis.ErrAltered) {
				t.Fatalf("with byte %d changed from %q to %q: %v", i, signed[i], altered[i], err)
			}
		}
	}
}

func TestParseKeys(t *testing.T) {
	t.Parallel()
	good := string(keySet(t, signKey(t, 'a')))
	for name, test := range map[string]struct {
		keys string
		ok   bool
	}{
		"as published":    {good, true},
		"beside others":   {strings.Replace(good, `{"keys":[`, `{"keys":[{"kty":"oct","k":"AAAA","alg":"HS256","kid":"x"},`, 1), true},
		"only a secret":   {`{"keys":[{"kty":"oct","k":"AAAA","alg":"HS256","kid":"x"}]}`, false},
		"without an id":   {strings.Replace(good, `"kid"`, `"kix"`, 1), false},
		"another purpose": {strings.Replace(good, `"EdDSA"`, `"HS256"`, 1), false},
		"none":            {`{"keys":[]}`, false},
		"no JSON":         {`keys`, false},
		"nothing":         {``, false},
	} {
		if _, err := legalbasis.ParseKeys([]byte(test.keys)); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzVerifyDecision(f *testing.F) {
	key := signKey(f, 'a')
	keys := published(f, key)
	signed := signAs(f, legalbasis.DecisionType, payload(f, decision()), key)
	f.Add(signed)
	f.Add(signAs(f, legalbasis.ReceiptType, payload(f, decision()), key))
	f.Add("..")
	f.Add("e30.e30.e30")
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := legalbasis.VerifyDecision(text, keys, decided); err == nil && text != signed {
			t.Errorf("verifies: %q, %+v", text, d)
		}
	})
}

func FuzzVerifyReceipt(f *testing.F) {
	key := signKey(f, 'a')
	keys := published(f, key)
	receipt := []byte(`{"@type":"dpv:ConsentReceipt"}`)
	file := `{"jws":"` + signAs(f, legalbasis.ReceiptType, nil, key, jws.WithDetachedPayload(receipt)) + `","receipt":` + string(receipt) + "}\n"
	if got, err := legalbasis.VerifyReceipt([]byte(file), keys); err != nil || string(got) != string(receipt) {
		f.Fatalf("as it was made: %s, %v", got, err)
	}
	f.Add([]byte(file))
	f.Add([]byte(`{"jws":"..","receipt":{}}` + "\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := legalbasis.VerifyReceipt(raw, keys); err == nil && string(raw) != file {
			t.Errorf("verifies: %q", raw)
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	f.Add(keySet(f, signKey(f, 'a'), signKey(f, 'b')))
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"","kid":"x","alg":"EdDSA"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, err := legalbasis.ParseKeys(raw)
		if err != nil {
			return
		}
		if _, err := legalbasis.VerifyDecision("e30.e30.e30", keys, decided); err == nil {
			t.Errorf("a decision by nobody verifies with %q", raw)
		}
	})
}
