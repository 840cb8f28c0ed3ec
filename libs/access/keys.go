package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/lestrrat-go/httprc/v3"
	"github.com/lestrrat-go/jwx/v3/jwk"
)

// minRefresh is the shortest time between two fetches of an issuer's keys, so that tokens with unknown key ids cannot make
// us load the issuer.
const minRefresh = time.Minute

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
			if err = checkKeys(set); err == nil {
				f.keys, f.seen = set, info.ModTime()
			}
		}
	}
	if f.keys == nil {
		return nil, fmt.Errorf("access: the issuer's keys cannot be read from %s: %w", f.path, err)
	}
	return f.keys, nil
}

// URLKeys are an issuer's keys at an address that the configuration pins. They are fetched in the background, at most once
// a minute; a failed fetch leaves the last good keys in force.
type URLKeys struct {
	cache *jwk.Cache
	url   string
}

// NewURLKeys starts to fetch the keys; fetching ends with ctx. The address must be https, or on loopback.
func NewURLKeys(ctx context.Context, address string, client *http.Client) (*URLKeys, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, errors.New("access: the address of the issuer's keys is not a URL")
	}
	if h := u.Hostname(); u.Scheme != "https" && h != "127.0.0.1" && h != "::1" && h != "localhost" {
		return nil, errors.New("access: the issuer's keys must come over https")
	}
	cache, err := jwk.NewCache(ctx, httprc.NewClient(httprc.WithHTTPClient(client)))
	if err != nil {
		return nil, fmt.Errorf("access: key cache: %w", err)
	}
	if err := cache.Register(ctx, address, jwk.WithMinInterval(minRefresh)); err != nil {
		return nil, fmt.Errorf("access: fetch the issuer's keys: %w", err)
	}
	return &URLKeys{cache: cache, url: address}, nil
}

// Keys gives the newest keys that were fetched.
func (u *URLKeys) Keys(ctx context.Context) (jwk.Set, error) {
	set, err := u.cache.Lookup(ctx, u.url)
	if err != nil {
		return nil, fmt.Errorf("access: the issuer's keys: %w", err)
	}
	return set, nil
}

// checkKeys refuses keys that could be used in a way nobody chose: each names its id and one of our algorithms.
func checkKeys(set jwk.Set) error {
	for i := range set.Len() {
		k, _ := set.Key(i)
		alg, ok := k.Algorithm()
		if _, allowed := algorithms[fmt.Sprint(alg)]; !ok || !allowed {
			return fmt.Errorf("access: key %d of the issuer names no algorithm of EdDSA, ES256, RS256", i)
		}
		if id, ok := k.KeyID(); !ok || id == "" {
			return fmt.Errorf("access: key %d of the issuer has no key id", i)
		}
	}
	return nil
}
