package access_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	v := newVerifier(t, p)
	var contacted atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	elsewhere.Config.ConnState = func(net.Conn, http.ConnState) { contacted.Add(1) }
	t.Cleanup(elsewhere.Close)

	forged := newIDP(t) // signs with keys of its own
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	signed := func(h, c object) string { return p.signWith(t, "EdDSA", with(header(), h), with(claims(), c)) }
	right := signed(nil, nil)
	cut := strings.LastIndex(right, ".")

	for _, tc := range []struct {
		name  string
		token string
		ok    bool
	}{
		{"EdDSA", right, true},
		{"ES256", p.signWith(t, "ES256", with(header(), object{"alg": "ES256", "kid": "ec"}), claims()), true},
		{"RS256", p.signWith(t, "RS256", with(header(), object{"alg": "RS256", "kid": "rsa"}), claims()), true},
		{"audience in a list", signed(nil, object{"aud": []string{"other", audience}}), true},
		{"expired 59 s ago", signed(nil, object{"exp": at(-59 * time.Second)}), true},
		{"issued 59 s from now", signed(nil, object{"iat": at(59 * time.Second)}), true},

		{"D1 nothing", "", false},
		{"D1 two parts", right[:cut], false},
		{"D3 alg none", p.signWith(t, "none", with(header(), object{"alg": "none"}), claims()), false},
		{"D3 alg nOnE without signature", p.signWith(t, "none", with(header(), object{"alg": "nOnE"}), claims()), false},
		{"D3 right header, no signature", right[:cut+1], false},
		{"D4 HS256 with the public RSA key", p.signWith(t, "HS256", with(header(), object{"alg": "HS256", "kid": "rsa"}), claims()), false},
		{"D4 another key's algorithm", signed(object{"alg": "RS256", "kid": "rsa"}, nil), false},
		{"D4 the right key under another's id", signed(object{"kid": "ec"}, nil), false},
		{"D5 jwk in the header", forged.signWith(t, "EdDSA", with(header(), object{"jwk": forged.edKey("ed")}), claims()), false},
		{"D6 jku", forged.signWith(t, "EdDSA", with(header(), object{"jku": elsewhere.URL}), claims()), false},
		{"D6 x5u", forged.signWith(t, "EdDSA", with(header(), object{"x5u": elsewhere.URL}), claims()), false},
		{"D6 jku with a good signature", signed(object{"jku": elsewhere.URL}, nil), false},
		{"D6 x5c", signed(object{"x5c": []string{"MII"}}, nil), false},
		{"D7 kid is a path", signed(object{"kid": "../../dev/null"}, nil), false},
		{"D7 kid is SQL", signed(object{"kid": "ed' OR '1'='1"}, nil), false},
		{"D7 kid of 10 KB", signed(object{"kid": strings.Repeat("k", 10<<10)}, nil), false},
		{"D7 kid is no string", signed(object{"kid": 7}, nil), false},
		{"D8 kid unknown", signed(object{"kid": "rotated"}, nil), false},
		{"D8 no kid", signed(object{"kid": nil}, nil), false},
		{"another's signature", forged.signWith(t, "EdDSA", header(), claims()), false},
		{"D9 wrong issuer", signed(nil, object{"iss": "https://login.example.evil"}), false},
		{"D9 no issuer", signed(nil, object{"iss": nil}), false},
		{"D10 wrong audience", signed(nil, object{"aud": "privacyops2"}), false},
		{"D10 no audience", signed(nil, object{"aud": nil}), false},
		{"D10 list without ours", signed(nil, object{"aud": []string{"a", "b"}}), false},
		{"D10 empty list", signed(nil, object{"aud": []string{}}), false},
		{"D11 expired 61 s ago", signed(nil, object{"exp": at(-61 * time.Second)}), false},
		{"D12 valid from 61 s on", signed(nil, object{"nbf": at(61 * time.Second)}), false},
		{"D13 issued 61 s from now", signed(nil, object{"iat": at(61 * time.Second)}), false},
		{"D14 no expiry", signed(nil, object{"exp": nil}), false},
		{"D14 expiry is text", signed(nil, object{"exp": "tomorrow"}), false},
		{"D14 lives two years", signed(nil, object{"exp": at(2 * 366 * 24 * time.Hour)}), false},
		{"D15 crit", signed(object{"crit": []string{"exp"}}, nil), false},
		{"D15 crit with b64", signed(object{"crit": []string{"b64"}, "b64": false}, nil), false},
		{"zip", signed(object{"zip": "DEF"}, nil), false},
		{"D17 id token: its audience is the client", signed(nil, object{"aud": "console", "nonce": "n"}), false},
		{"no subject", signed(nil, object{"sub": nil}), false},
		{"empty subject", signed(nil, object{"sub": ""}), false},
		{"roles are one text", signed(nil, object{"roles": "dpo"}), false},
		{"roles are numbers", signed(nil, object{"roles": []int{3}}), false},
		{"controllers are an object", signed(nil, object{"controllers": object{"id": "north-school"}}), false},
		{"payload changed", right[:strings.Index(right, ".")+1] + b64([]byte(`{"iss":"`+issuerName+`"}`)) + right[cut:], false},
		{"header is not base64url", "%%%" + right[strings.Index(right, "."):], false},
		{"header is not JSON", b64([]byte("[]")) + right[strings.Index(right, "."):], false},
		{"space around", " " + right, false},
		{"four parts", right + ".e30", false},
	} {
		caller, err := v.Verify(t.Context(), tc.token)
		switch {
		case tc.ok && (err != nil || !caller.HasToken() || !caller.Has(authv1.Rule_DPO)):
			t.Errorf("%s: caller = %+v, error = %v", tc.name, caller, err)
		case !tc.ok && (!fault.Is(err, "TOKEN_INVALID") || fault.From(err).Kind() != fault.Unauthenticated):
			t.Errorf("%s: error = %v, want TOKEN_INVALID", tc.name, err)
		case !tc.ok && !cmp.Equal(caller, access.Caller{}):
			t.Errorf("%s: refused, and still a caller: %+v", tc.name, caller)
		}
	}
	if contacted.Load() != 0 {
		t.Errorf("a token made the verifier connect to an address of the token's choice %d times", contacted.Load())
	}
}

// TestHugeTokensAreRefusedAtOnce is D16 (CVE-2025-30204: splitting a million dots).
func TestHugeTokensAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, newIDP(t))
	for name, token := range map[string]string{
		"1 MB":          strings.Repeat("a", 1<<20),
		"1e6 dots":      strings.Repeat(".", 1_000_000),
		"dots in limit": strings.Repeat(".", 8<<10),
	} {
		best := time.Hour
		for range 3 { // the machine may be busy once
			start := time.Now()
			if _, err := v.Verify(t.Context(), token); !fault.Is(err, "TOKEN_INVALID") {
				t.Errorf("%s: error = %v", name, err)
			}
			best = min(best, time.Since(start))
		}
		if best > 10*time.Millisecond {
			t.Errorf("%s: refused after %v", name, best)
		}
	}
}

func TestRolesAndControllersOfTokens(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	v := newVerifier(t, p)
	type rolesOf = []authv1.Rule_Role
	for _, tc := range []struct {
		name               string
		roles, controllers any
		want               access.Caller
		refused            bool
	}{
		{"several", []string{"dpo", "auditor"}, []string{"a", "b"},
			access.Caller{Roles: rolesOf{authv1.Rule_DPO, authv1.Rule_AUDITOR}, Controllers: []string{"a", "b"}}, false},
		{"unknown roles give nothing", []string{"root", "role_unspecified", "", "admin"}, []string{"a"}, access.Caller{Controllers: []string{"a"}}, false},
		{"a known one among unknown ones", []string{"root", "sre"}, nil, access.Caller{Roles: rolesOf{authv1.Rule_SRE}}, false},
		{"the same one twice", []string{"dpo", "DPO"}, nil, access.Caller{Roles: rolesOf{authv1.Rule_DPO}}, false},
		{"neither claim", nil, nil, access.Caller{}, false},
		{"operator of all", []string{"operator"}, []string{"*"}, access.Caller{Roles: rolesOf{authv1.Rule_OPERATOR}, AllControllers: true}, false},
		{"operator of one", []string{"operator"}, []string{"a"}, access.Caller{Roles: rolesOf{authv1.Rule_OPERATOR}, Controllers: []string{"a"}}, false},
		{"sre of all", []string{"sre"}, []string{"*"}, access.Caller{Roles: rolesOf{authv1.Rule_SRE}, AllControllers: true}, false},
		{"sre of one", []string{"sre"}, []string{"a"}, access.Caller{Roles: rolesOf{authv1.Rule_SRE}, Controllers: []string{"a"}}, false},
		{"operator and sre of all", []string{"operator", "sre"}, []string{"*"}, access.Caller{}, true},
		{"sre and dpo of all", []string{"dpo", "sre"}, []string{"*"}, access.Caller{}, true},
		{"operator and another role of all", []string{"operator", "dpo"}, []string{"*"}, access.Caller{}, true},
		{"dpo of all", []string{"dpo"}, []string{"a", "*"}, access.Caller{}, true},
		{"no role, of all", nil, []string{"*"}, access.Caller{}, true},
	} {
		caller, err := v.Verify(t.Context(), p.signWith(t, "EdDSA", header(), with(claims(), object{"roles": tc.roles, "controllers": tc.controllers})))
		if tc.refused {
			if !fault.Is(err, "TOKEN_INVALID") {
				t.Errorf("%s: error = %v, want TOKEN_INVALID", tc.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if diff := cmp.Diff(tc.want, caller, cmpopts.IgnoreFields(access.Caller{}, "Ref"), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: caller (-want +got):\n%s", tc.name, diff)
		}
	}
}

// TestOnePersonHasOneRef is what "two people" rests on: tokens, roles and the spelling of å do not make another person.
func TestOnePersonHasOneRef(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	v := newVerifier(t, p)
	ref := func(change object) string {
		t.Helper()
		c, err := v.Verify(t.Context(), p.signWith(t, "EdDSA", header(), with(claims(), change)))
		if err != nil {
			t.Fatal(err)
		}
		return c.Ref
	}
	one := ref(object{"sub": "p\u00e5l@skole.example"})
	if two := ref(object{"sub": "pa\u030al@skole.example", "roles": []string{"auditor"}, "jti": "2", "email": "new@skole.example"}); one != two {
		t.Errorf("another token of one person has another ref: %s, %s", one, two)
	}
	if other := ref(object{"sub": "pal@skole.example"}); other == one {
		t.Error("two people have one ref")
	}
	if !strings.HasPrefix(one, "usr_") || strings.Contains(one, "skole") {
		t.Errorf("ref %q is no pseudonym", one)
	}
}

type brokenKeys struct{}

func (brokenKeys) Keys(context.Context) (jwk.Set, error) {
	return nil, errors.New("dial 10.0.0.7: refused")
}

func TestVerifyWithoutKeysIsUnavailable(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	_, err := verifierOf(t, brokenKeys{}).Verify(t.Context(), p.signWith(t, "EdDSA", header(), claims()))
	if f := fault.From(err); f.Kind() != fault.Unavailable || f.RetryAfter() == 0 || strings.Contains(f.Message(), "10.0.0.7") {
		t.Errorf("error = %v", err)
	}
}

func TestVerifierNeedsAll(t *testing.T) {
	t.Parallel()
	full := access.VerifierConfig{Issuer: "i", Audience: "a", Keys: brokenKeys{}, Keyring: newKeyring(t), Clock: clock.System()}
	if _, err := access.NewVerifier(full); err != nil {
		t.Fatal(err)
	}
	for name, drop := range map[string]func(*access.VerifierConfig){
		"issuer":   func(c *access.VerifierConfig) { c.Issuer = "" },
		"audience": func(c *access.VerifierConfig) { c.Audience = "" },
		"keys":     func(c *access.VerifierConfig) { c.Keys = nil },
		"keyring":  func(c *access.VerifierConfig) { c.Keyring = nil },
		"clock":    func(c *access.VerifierConfig) { c.Clock = nil },
	} {
		c := full
		drop(&c)
		if _, err := access.NewVerifier(c); err == nil {
			t.Errorf("a verifier without %s starts", name)
		}
	}
}

func FuzzVerify(f *testing.F) {
	p := newIDP(f)
	v := newVerifier(f, p)
	right := p.signWith(f, "EdDSA", header(), claims())
	signature := len(right) - len(b64(make([]byte, ed25519.SignatureSize)))
	f.Add(right[:signature] + strings.Repeat("A", 86))
	f.Add(p.signWith(f, "none", object{"alg": "none"}, claims()))
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if c, err := v.Verify(t.Context(), token); err == nil {
			t.Errorf("%q is the token of %+v", token, c)
		}
	})
}
