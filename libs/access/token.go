package access

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/keyring"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
)

const (
	maxTokenBytes = 8 << 10
	leeway        = 60 * time.Second
	// maxLifetime bounds how long a leaked token is of use.
	maxLifetime = 366 * 24 * time.Hour
)

// algorithms that a token may be signed with. The key decides which: a token cannot choose another.
var algorithms = map[string]jwa.SignatureAlgorithm{
	"EdDSA": jwa.EdDSA(), "ES256": jwa.ES256(), "RS256": jwa.RS256(),
}

// KeySource gives the issuer's public keys.
type KeySource interface {
	Keys(ctx context.Context) (jwk.Set, error)
}

// VerifierConfig says which tokens are valid. Every field is required: without an issuer and an audience any token of any
// service would do.
type VerifierConfig struct {
	Issuer   string
	Audience string
	Keys     KeySource
	Keyring  *keyring.Keyring
	Clock    clock.Clock
}

// Verifier tells callers by their tokens (JWT, RFC 7519, signed with EdDSA, ES256 or RS256).
type Verifier struct {
	cfg   VerifierConfig
	known remembered
}

// NewVerifier makes a verifier.
func NewVerifier(cfg VerifierConfig) (*Verifier, error) {
	if cfg.Issuer == "" || cfg.Audience == "" || cfg.Keys == nil || cfg.Keyring == nil || cfg.Clock == nil {
		return nil, errors.New("access: issuer, audience, keys, keyring and clock are all required to verify tokens")
	}
	return &Verifier{cfg: cfg}, nil
}

// errToken is what every bad token gets: why it is bad helps only who forges one.
func errToken(cause error) error {
	return fault.New(fault.Unauthenticated, "TOKEN_INVALID",
		"A valid access token is needed: send it as “Authorization: Bearer …”.").Because(cause)
}

// Verify tells the caller by a token.
func (v *Verifier) Verify(ctx context.Context, token string) (Caller, error) {
	now := v.cfg.Clock.Now()
	if len(token) <= maxTokenBytes {
		if caller, ok := v.known.get(token, now, func() (jwk.Set, error) { return v.cfg.Keys.Keys(ctx) }); ok {
			return caller, nil
		}
	}
	keys, unknown := v.cfg.Keys.Keys(ctx)
	if err := checkForm(token); err != nil {
		return Caller{}, errToken(err)
	}
	if unknown != nil {
		return Caller{}, fault.New(fault.Unavailable, "ISSUER_UNAVAILABLE",
			"Tokens cannot be checked at the moment; try again shortly.").Because(unknown).RetryIn(5 * time.Second)
	}
	t, err := jwt.ParseString(token, jwt.WithKeySet(keys), jwt.WithIssuer(v.cfg.Issuer), jwt.WithAudience(v.cfg.Audience),
		jwt.WithClock(jwt.ClockFunc(v.cfg.Clock.Now)), jwt.WithAcceptableSkew(leeway),
		jwt.WithRequiredClaim("exp"), jwt.WithRequiredClaim("sub"), jwt.WithContext(ctx))
	if err != nil {
		return Caller{}, errToken(err)
	}
	caller, err := v.caller(t)
	if err == nil {
		expires, _ := t.Expiration()
		v.known.put(token, &good{caller: caller, keys: keys, at: now, until: earlier(now.Add(rememberFor), expires)})
	}
	return caller, err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (v *Verifier) caller(t jwt.Token) (Caller, error) {
	issuer, _ := t.Issuer()
	subject, _ := t.Subject()
	expires, _ := t.Expiration()
	if subject == "" || expires.Sub(v.cfg.Clock.Now()) > maxLifetime {
		return Caller{}, errToken(errors.New("no subject, or it lives too long"))
	}
	roles, err := claimStrings(t, "roles")
	if err != nil {
		return Caller{}, errToken(err)
	}
	controllers, err := claimStrings(t, "controllers")
	if err != nil {
		return Caller{}, errToken(err)
	}
	c := Caller{Ref: v.cfg.Keyring.Actor(issuer, subject)}
	for _, name := range roles {
		// Roles that the suite does not know give nothing: an issuer may have roles of other services in its tokens.
		if r := authv1.Rule_Role(authv1.Rule_Role_value[strings.ToUpper(name)]); r != authv1.Rule_ROLE_UNSPECIFIED && !slices.Contains(c.Roles, r) {
			c.Roles = append(c.Roles, r)
		}
	}
	return reach(c, controllers)
}

// reach takes in the controllers of a token. Only those who run the suite may have them all, and with no other role besides.
func reach(c Caller, controllers []string) (Caller, error) {
	for _, id := range controllers {
		switch {
		case id != "*":
			c.Controllers = append(c.Controllers, id)
		case len(c.Roles) == 1 && RunsSuite(c.Roles[0]):
			c.AllControllers = true
		default:
			return Caller{}, errToken(errors.New("only a token with the role operator or sre alone may reach all controllers"))
		}
	}
	return c, nil
}

func claimStrings(t jwt.Token, name string) ([]string, error) {
	if !t.Has(name) {
		return nil, nil
	}
	var raw []any
	if err := t.Get(name, &raw); err != nil {
		return nil, fmt.Errorf("claim %s is not a list", name)
	}
	out := make([]string, 0, len(raw))
	for _, v := range raw {
		s, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("claim %s is not a list of strings", name)
		}
		out = append(out, s)
	}
	return out, nil
}

// checkForm refuses, before anything is parsed in earnest, what no issuer of ours sends: oversize, keys or addresses of
// keys in the header, extensions we would have to understand (RFC 7515 section 4.1.11), algorithms that are not allowed.
func checkForm(token string) error {
	if len(token) > maxTokenBytes {
		return errors.New("longer than 8 KiB")
	}
	parts := strings.SplitN(token, ".", 4)
	if len(parts) != 3 {
		return errors.New("not three parts")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		return errors.New("the header is not base64url")
	}
	var header map[string]any
	if err := json.Unmarshal(raw, &header); err != nil {
		return errors.New("the header is not JSON")
	}
	for _, name := range []string{"jwk", "jku", "x5u", "x5c", "crit", "zip", "b64"} {
		if _, there := header[name]; there {
			return fmt.Errorf("the header has %q", name)
		}
	}
	alg, _ := header["alg"].(string)
	if _, ok := algorithms[alg]; !ok {
		return errors.New("the algorithm is not allowed")
	}
	return nil
}
