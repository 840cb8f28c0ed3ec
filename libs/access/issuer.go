package access

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/privacyops/privacyops/libs/keyring"
)

// Names of the development issuer.
const (
	DevelopmentIssuer   = "privacyops-development"
	DevelopmentAudience = "privacyops"
)

// Issuer is the development issuer: it makes tokens for an embedded installation whose own key it holds. An installation
// that serves people configures the issuer of its identity provider instead.
type Issuer struct{ key jwk.Key }

// Claims are what a token says.
type Claims struct {
	// Subject names the holder: for people, whatever tells one person from another.
	Subject string
	// Roles in lower case, for example "dpo".
	Roles []string
	// Controllers are ids; "*" for the operator and the SRE alone.
	Controllers []string
	// Issued and Expires bound its life.
	Issued, Expires time.Time
}

// OpenIssuer opens the issuer whose key is in dir/issuer.key (mode 0600), making it where there is none, and writes its
// public keys to dir/issuer.jwks.
func OpenIssuer(dir string) (*Issuer, error) {
	path := filepath.Join(dir, "issuer.key")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		_, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			return nil, fmt.Errorf("access: make issuer key: %w", err)
		}
		if err := keyring.WriteSecret(path, base64.StdEncoding.EncodeToString(private.Seed())); err != nil {
			return nil, err
		}
	}
	text, err := keyring.ReadSecret(path)
	if err != nil {
		return nil, err
	}
	seed, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("access: %s is not an issuer key", path)
	}
	return newIssuer(dir, ed25519.NewKeyFromSeed(seed))
}

func newIssuer(dir string, private ed25519.PrivateKey) (*Issuer, error) {
	key, err := jwk.Import(private)
	if err != nil {
		return nil, fmt.Errorf("access: issuer key: %w", err)
	}
	if err := errors.Join(key.Set(jwk.AlgorithmKey, jwa.EdDSA()), jwk.AssignKeyID(key)); err != nil {
		return nil, fmt.Errorf("access: issuer key: %w", err)
	}
	public, err := key.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("access: issuer key: %w", err)
	}
	set := jwk.NewSet()
	if err := set.AddKey(public); err != nil {
		return nil, fmt.Errorf("access: issuer keys: %w", err)
	}
	text, err := json.MarshalIndent(set, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("access: issuer keys: %w", err)
	}
	if err := os.WriteFile(JWKSPath(dir), append(text, '\n'), 0o600); err != nil {
		return nil, fmt.Errorf("access: issuer keys: %w", err)
	}
	return &Issuer{key: key}, nil
}

// JWKSPath is where [OpenIssuer] writes the public keys.
func JWKSPath(dir string) string { return filepath.Join(dir, "issuer.jwks") }

// Token makes a token.
func (i *Issuer) Token(c Claims) (string, error) {
	t, err := jwt.NewBuilder().Issuer(DevelopmentIssuer).Audience([]string{DevelopmentAudience}).Subject(c.Subject).
		IssuedAt(c.Issued).Expiration(c.Expires).Claim("roles", c.Roles).Claim("controllers", c.Controllers).Build()
	if err != nil {
		return "", fmt.Errorf("access: make token: %w", err)
	}
	signed, err := jwt.Sign(t, jwt.WithKey(jwa.EdDSA(), i.key))
	if err != nil {
		return "", fmt.Errorf("access: sign token: %w", err)
	}
	return string(signed), nil
}
