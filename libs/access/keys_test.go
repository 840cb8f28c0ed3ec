package access_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// write replaces a key file and makes its time differ, as a rotation later than within one tick of the file system does.
func write(t *testing.T, path string, text []byte, age time.Duration) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, now.Add(age), now.Add(age)); err != nil {
		t.Fatal(err)
	}
}

func TestFileKeysFollowTheFile(t *testing.T) {
	t.Parallel()
	old, rotated := newIDP(t), newIDP(t)
	path := filepath.Join(t.TempDir(), "keys.json")
	write(t, path, keySet(old.edKey("one")), 0)
	keys, err := access.NewFileKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	at := clock.NewFake(now)
	v := verifierBy(t, keys, at)
	accepts := func(step string, p *idp, kid string, want bool) {
		t.Helper()
		at.Advance(time.Second) // so long a token is taken without a look at the keys
		_, err := v.Verify(t.Context(), p.signWith(t, "EdDSA", with(header(), object{"kid": kid}), claims()))
		if want && err != nil || !want && !fault.Is(err, "TOKEN_INVALID") {
			t.Errorf("%s: key %s: error = %v", step, kid, err)
		}
	}
	accepts("at first", old, "one", true)
	accepts("at first", rotated, "two", false)

	write(t, path, keySet(old.edKey("one"), rotated.edKey("two")), time.Second)
	accepts("both", old, "one", true)
	accepts("both", rotated, "two", true)

	write(t, path, keySet(rotated.edKey("two")), 2*time.Second)
	accepts("after the rotation", old, "one", false)
	accepts("after the rotation", rotated, "two", true)

	for i, bad := range []string{`{"keys":[`, `{"keys":[]}`, ``, `[]`} {
		write(t, path, []byte(bad), time.Duration(3+i)*time.Second)
		accepts("broken file "+bad, rotated, "two", true)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	accepts("no file", rotated, "two", true)
	write(t, path, keySet(old.edKey("one")), time.Minute)
	accepts("a good file again", old, "one", true)
}

func TestKeysThatAreOfNoUse(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	private := with(p.edKey("ed"), object{"d": b64(p.ed.Seed())})
	for _, tc := range []struct {
		name string
		keys []object
		good string // kid of the key that is left; empty where the set is refused
	}{
		{"private key in the file", []object{private}, "ed"},
		{"no alg: its type says it", []object{with(p.edKey("ed"), object{"alg": nil, "use": nil})}, "ed"},
		{"beside a key for encryption", []object{with(p.rsaKey("enc"), object{"use": "enc", "alg": "RSA-OAEP"}), p.edKey("ed")}, "ed"},
		{"beside a secret key", []object{{"kty": "oct", "kid": "oct", "alg": "HS256", "k": b64([]byte("secret"))}, p.edKey("ed")}, "ed"},
		{"use is enc", []object{with(p.edKey("ed"), object{"use": "enc"})}, ""},
		{"no key id", []object{with(p.edKey("ed"), object{"kid": nil})}, ""},
		{"an algorithm that is not ours", []object{with(p.rsaKey("rsa"), object{"alg": "PS256"})}, ""},
		{"an algorithm for another type", []object{with(p.rsaKey("rsa"), object{"alg": "EdDSA"})}, ""},
		{"a secret key alone", []object{{"kty": "oct", "kid": "oct", "alg": "HS256", "k": b64([]byte("secret"))}}, ""},
		{"no key", nil, ""},
	} {
		path := filepath.Join(t.TempDir(), "keys.json")
		write(t, path, keySet(tc.keys...), 0)
		keys, err := access.NewFileKeys(path)
		if tc.good == "" {
			if err == nil {
				t.Errorf("%s: accepted", tc.name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if set, err := keys.Keys(t.Context()); err != nil || set.Len() != 1 {
			t.Errorf("%s: %d keys, %v", tc.name, set.Len(), err)
		}
		if _, err := verifierOf(t, keys).Verify(t.Context(), p.signWith(t, "EdDSA", with(header(), object{"kid": tc.good}), claims())); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if _, err := access.NewFileKeys(filepath.Join(t.TempDir(), "absent")); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("a wrong path shows as %v", err)
	}
}

// issuerSite serves a key set, and counts how often it was asked.
type issuerSite struct {
	*httptest.Server
	mu     sync.Mutex
	answer http.HandlerFunc
	asked  int
}

func newSite(t *testing.T, answer http.HandlerFunc) *issuerSite {
	t.Helper()
	s := &issuerSite{answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked++
		s.answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *issuerSite) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func serving(text []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) }
}

func TestURLKeys(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	site := newSite(t, serving(keySet(p.edKey("ed"))))
	keys, err := access.NewURLKeys(t.Context(), site.URL, site.Client())
	if err != nil {
		t.Fatal(err)
	}
	v := verifierOf(t, keys)
	if _, err := v.Verify(t.Context(), p.signWith(t, "EdDSA", header(), claims())); err != nil {
		t.Errorf("a good token: %v", err)
	}
	for range 1000 { // D8
		if _, err := v.Verify(t.Context(), p.signWith(t, "EdDSA", object{"alg": "EdDSA", "kid": "unknown"}, claims())); !fault.Is(err, "TOKEN_INVALID") {
			t.Fatalf("a token with an unknown key id: %v", err)
		}
	}
	if n := site.count(); n != 1 {
		t.Errorf("the issuer was asked %d times, want once", n)
	}
}

// TestFailedFetchKeepsTheKeys makes the issuer fail in every way after it answered once.
func TestFailedFetchKeepsTheKeys(t *testing.T) {
	t.Parallel()
	p, other := newIDP(t), newIDP(t)
	away := newSite(t, serving(keySet(other.edKey("ed"))))
	site := newSite(t, serving(keySet(p.edKey("ed"))))
	keys, err := access.NewURLKeys(t.Context(), site.URL, site.Client())
	if err != nil {
		t.Fatal(err)
	}
	at := clock.NewFake(now)
	v := verifierBy(t, keys, at)
	token := p.signWith(t, "EdDSA", header(), claims())
	for name, answer := range map[string]http.HandlerFunc{
		"500":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"no JSON":     serving([]byte("<html>")),
		"no keys":     serving([]byte(`{"keys":[]}`)),
		"no good key": serving(keySet(object{"kty": "oct", "kid": "x", "k": "AAAA"})),
		"2 MB":        serving(append(keySet(other.edKey("ed")), make([]byte, 2<<20)...)),
		"redirect":    func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, away.URL, http.StatusFound) },
	} {
		site.mu.Lock()
		site.answer = answer
		site.mu.Unlock()
		if err := access.Refresh(t.Context(), keys); err == nil {
			t.Errorf("%s: the fetch is said to have succeeded", name)
		}
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Errorf("%s: the last good keys are lost: %v", name, err)
		}
	}
	if away.count() != 0 {
		t.Error("a redirect was followed")
	}
	site.mu.Lock()
	site.answer = serving(keySet(other.edKey("ed")))
	site.mu.Unlock()
	if err := access.Refresh(t.Context(), keys); err != nil {
		t.Error(err)
	}
	at.Advance(time.Second)
	if _, err := v.Verify(t.Context(), token); !fault.Is(err, "TOKEN_INVALID") {
		t.Errorf("after a rotation the old key still counts: %v", err)
	}
}

func TestAddressesOfKeys(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"http://login.example/keys", "http://10.0.0.7/keys", "http://127.0.0.1.evil.example/keys",
		"http://localhost.evil.example/keys", "http://localhost@evil.example/", "ftp://localhost/keys", "file:///etc/keys", "login.example/keys", "", "http://%zz"} {
		if _, err := access.NewURLKeys(t.Context(), address, &http.Client{}); err == nil {
			t.Errorf("keys are fetched from %q", address)
		}
	}
}

// TestStartWithoutTheIssuer: no keys, and no token is good, but the service lives.
func TestStartWithoutTheIssuer(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	site := newSite(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	keys, err := access.NewURLKeys(t.Context(), site.URL, site.Client())
	if err != nil {
		t.Fatal(err)
	}
	v := verifierOf(t, keys)
	token := p.signWith(t, "EdDSA", header(), claims())
	if _, err := v.Verify(t.Context(), token); !fault.Is(err, "ISSUER_UNAVAILABLE") {
		t.Errorf("error = %v, want ISSUER_UNAVAILABLE", err)
	}
	site.mu.Lock()
	site.answer = serving(keySet(p.edKey("ed")))
	site.mu.Unlock()
	if err := access.Refresh(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Errorf("the issuer is back, and still: %v", err)
	}
}
