package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/lestrrat-go/httprc/v3"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
)

// How an issuer's keys are fetched.
const (
	minRefresh   = time.Minute
	maxRefresh   = 15 * time.Minute // a key that the issuer withdraws is gone after this, whatever its cache headers say
	firstFetch   = 3 * time.Second
	fetchTimeout = 10 * time.Second
	maxKeysBytes = 1 << 20
)

// FileKeys are an issuer's keys in a JWKS file. A file that changes is read again; one that has become unreadable leaves
// the last good keys in force.
type FileKeys struct {
	path string
	mu   sync.Mutex
	seen time.Time
	keys jwk.Set
}

// NewFileKeys reads the keys once, so that a wrong path shows at start.
func NewFileKeys(path string) (*FileKeys, error) {
	f := &FileKeys{path: path}
	if _, err := f.Keys(context.Background()); err != nil {
		return nil, err
	}
	return f, nil
}

// Keys gives the keys as the file has them now.
func (f *FileKeys) Keys(context.Context) (jwk.Set, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err == nil && (f.keys == nil || !info.ModTime().Equal(f.seen)) {
		var set jwk.Set
		if set, err = jwk.ReadFile(f.path); err == nil {
			if set, err = usable(set); err == nil {
				f.keys, f.seen = set, info.ModTime()
			}
		}
	}
	if f.keys == nil {
		return nil, fmt.Errorf("access: the issuer's keys cannot be read from %s: %w", f.path, err)
	}
	return f.keys, nil
}

// URLKeys are an issuer's keys at an address that the configuration pins. They are fetched in the background, between once a
// minute and once a quarter of an hour as the issuer's cache headers say; a failed fetch leaves the last good keys in force.
// No token makes us fetch, whatever key it names.
type URLKeys struct{ resource *httprc.ResourceBase[jwk.Set] }

// NewURLKeys starts to fetch the keys; fetching ends with ctx. The address must be https, or http on loopback, and answer
// itself: redirects are not followed. An issuer that does not answer within a few seconds does not keep us from starting: until
// its keys come, no token can be checked and [URLKeys.Keys] fails.
func NewURLKeys(ctx context.Context, address string, client *http.Client) (*URLKeys, error) {
	if err := checkAddress(address); err != nil {
		return nil, err
	}
	pinned := *client
	pinned.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if pinned.Timeout == 0 {
		pinned.Timeout = fetchTimeout
	}
	resource, err := httprc.NewResource[jwk.Set](address, httprc.TransformFunc[jwk.Set](readKeys),
		httprc.WithHTTPClient(&pinned), httprc.WithMinInterval(minRefresh), httprc.WithMaxInterval(maxRefresh))
	if err != nil {
		return nil, fmt.Errorf("access: key cache: %w", err)
	}
	fetcher, err := httprc.NewClient(httprc.WithWorkers(1)).Start(ctx)
	if err != nil {
		return nil, fmt.Errorf("access: key cache: %w", err)
	}
	if err := fetcher.Add(ctx, resource, httprc.WithWaitReady(false)); err != nil {
		return nil, fmt.Errorf("access: fetch the issuer's keys: %w", err)
	}
	first, cancel := context.WithTimeout(ctx, firstFetch)
	defer cancel()
	_ = resource.Ready(first) // see above: an issuer that is down is waited for no longer than this
	return &URLKeys{resource: resource}, nil
}

// Keys gives the newest keys that were fetched.
func (u *URLKeys) Keys(context.Context) (jwk.Set, error) {
	if set := u.resource.Resource(); set != nil {
		return set, nil
	}
	return nil, fmt.Errorf("access: no keys have come from the issuer at %s yet", u.resource.URL())
}

func checkAddress(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return errors.New("access: the address of the issuer's keys is not a URL")
	}
	h := u.Hostname()
	loopback := h == "127.0.0.1" || h == "::1" || h == "localhost"
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return errors.New("access: the issuer's keys must come over https")
	}
	return nil
}

func readKeys(_ context.Context, answer *http.Response) (jwk.Set, error) {
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxKeysBytes+1))
	if err != nil || len(text) > maxKeysBytes {
		return nil, errors.Join(errors.New("access: the issuer's keys cannot be read or are too long"), err)
	}
	set, err := jwk.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("access: the issuer's keys: %w", err)
	}
	return usable(set)
}

// usable picks the keys that tokens can be signed with, each tied to one algorithm: what the issuer named, or the one of ours
// for the key's type where it named none. Keys for encryption, secret keys, keys without an id and other algorithms are left
// out; a set without a usable key is an error.
func usable(set jwk.Set) (jwk.Set, error) {
	out := jwk.NewSet()
	for i := range set.Len() {
		k, _ := set.Key(i)
		alg, ok := algorithmOf(k)
		id, _ := k.KeyID()
		use, _ := k.KeyUsage()
		if !ok || id == "" || (use != "" && use != jwk.ForSignature.String()) {
			continue
		}
		public, err := k.PublicKey()
		if err != nil {
			continue
		}
		if err := errors.Join(public.Set(jwk.AlgorithmKey, alg), out.AddKey(public)); err != nil {
			return nil, fmt.Errorf("access: key %d of the issuer: %w", i, err)
		}
	}
	if out.Len() == 0 {
		return nil, errors.New("access: the issuer has no signature key with an id for EdDSA, ES256 or RS256")
	}
	return out, nil
}

// algorithmOf ties a key to one algorithm. A key whose type does not fit the algorithm it names is of no use.
func algorithmOf(k jwk.Key) (jwa.SignatureAlgorithm, bool) {
	var name string
	switch k.KeyType() {
	case jwa.OKP():
		name = "EdDSA"
	case jwa.EC():
		name = "ES256"
	case jwa.RSA():
		name = "RS256"
	}
	if named, ok := k.Algorithm(); ok && named.String() != name {
		return jwa.SignatureAlgorithm{}, false
	}
	alg, ok := algorithms[name]
	return alg, ok
}
