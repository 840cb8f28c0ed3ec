package legalbasis

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
)

// Types of signed documents: the `typ` of their JWS.
const (
	DecisionType = "privacyops-decision+jwt"
	ReceiptType  = "privacyops-receipt+jws"
)

const (
	// ClockSkew is how far ahead of ours the clock that signed a decision may be.
	ClockSkew = 5 * time.Second
	// MaxSigned is the length of the longest document that is looked at, in bytes.
	MaxSigned = 1 << 20
)

// What is wrong with a signed document. The errors say nothing of its content.
var (
	// ErrAltered: it is no document of this kind, was altered, or was signed by none of the keys.
	ErrAltered = errors.New("legalbasis: not signed by any of the keys, or altered")
	// ErrExpired: the decision was signed, but no longer holds. Ask again.
	ErrExpired = errors.New("legalbasis: the signed decision has ended")
	// ErrEarly: the decision is from the future; one of the two clocks is wrong.
	ErrEarly = errors.New("legalbasis: the signed decision is not valid yet")
)

// SignedDecision is what the service has signed of a decision: the question, the answer, and for how long it may be used. Its JSON
// names are the payload's.
type SignedDecision struct {
	// Issuer names the installation.
	Issuer string `json:"iss"`
	// Controller and Activity are the ids that were asked about; Version is the activity's, 0 where it is unknown.
	Controller string `json:"controller"`
	Activity   string `json:"activity"`
	Version    int64  `json:"version"`
	// SubjectRefs are the pseudonyms of the person, each once, in the order of the question's identifiers.
	SubjectRefs []string `json:"subject_refs"`
	// Recipient, DataCategories and Location are as they were asked about; empty where they were not.
	Recipient      string   `json:"recipient,omitempty"`
	DataCategories []string `json:"data_categories,omitempty"`
	Location       string   `json:"location,omitempty"`
	// Decision is ALLOW or DENY; Reason and LegalBasis are as in the contract.
	Decision   string `json:"decision"`
	Reason     string `json:"reason"`
	LegalBasis string `json:"legal_basis,omitempty"`
	// ID of the decision in the audit log.
	ID string `json:"decision_id"`
	// IssuedAt and ExpiresAt are Unix seconds. From ExpiresAt on the decision is not to be used.
	IssuedAt  int64 `json:"iat"`
	ExpiresAt int64 `json:"exp"`
	// RevocationBound is the longest time, in seconds, for which a withdrawal can stay unseen by who relies on the decision until it
	// ends.
	RevocationBound int64 `json:"revocation_bound"`
	// ConsistencyToken is of the state that was decided on.
	ConsistencyToken string `json:"consistency_token,omitempty"`
}

// Allowed reports whether the answer was yes. Compare the rest with the question before relying on it.
func (d SignedDecision) Allowed() bool { return d.Decision == "ALLOW" }

// Keys are the public keys of an installation.
type Keys struct{ set jwk.Set }

// ParseKeys reads a JSON Web Key Set as the service publishes it at /v1/legalBasis/keys. It takes the Ed25519 keys with an id and leaves
// others out (RFC 7517 section 5), whatever they claim to be for; where none remains, that is an error.
func ParseKeys(jwks []byte) (Keys, error) {
	all, err := jwk.Parse(jwks)
	if err != nil {
		return Keys{}, errors.New("legalbasis: no JSON Web Key Set")
	}
	keys := Keys{jwk.NewSet()}
	for i := range all.Len() {
		if key, ok := all.Key(i); ok && usable(key) {
			if err := keys.set.AddKey(key); err != nil {
				return Keys{}, fmt.Errorf("legalbasis: keys: %w", err)
			}
		}
	}
	if keys.set.Len() == 0 {
		return Keys{}, errors.New("legalbasis: no Ed25519 key with an id among the keys")
	}
	return keys, nil
}

func usable(key jwk.Key) bool {
	public, ok := key.(jwk.OKPPublicKey)
	if !ok {
		return false
	}
	curve, _ := public.Crv()
	algorithm, _ := key.Algorithm()
	id, _ := key.KeyID()
	return curve == jwa.Ed25519() && algorithm == jwa.EdDSA() && id != ""
}

// VerifyDecision verifies the `signature` of a decision offline and gives what was signed. The errors are [ErrAltered], [ErrExpired] and
// [ErrEarly]; with one there is no decision. A clock that is slow by some seconds relies on a decision for so many seconds longer.
func VerifyDecision(signed string, keys Keys, now time.Time) (SignedDecision, error) {
	header, rest, _ := strings.Cut(signed, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	if len(signed) > MaxSigned || !strict(header) || !strict(payload) || !strict(signature) {
		return SignedDecision{}, ErrAltered
	}
	raw, err := keys.verify(DecisionType, signed)
	if err != nil {
		return SignedDecision{}, err
	}
	var d SignedDecision
	switch {
	case json.Unmarshal(raw, &d) != nil:
		return SignedDecision{}, ErrAltered
	case now.Unix() >= d.ExpiresAt:
		return SignedDecision{}, ErrExpired
	case time.Unix(d.IssuedAt, 0).After(now.Add(ClockSkew)):
		return SignedDecision{}, ErrEarly
	}
	return d, nil
}

// VerifyReceipt verifies a receipt file offline and gives the receipt, a JSON-LD document. The file must be, byte for byte, as it was given.
// Its error is [ErrAltered].
//
// The file is one line of JSON, `{"jws":"HEADER..SIGNATURE","receipt":{…}}` and a line feed: everything between the first
// `"receipt":` and the last brace is what was signed, as it stands there.
func VerifyReceipt(file []byte, keys Keys) (json.RawMessage, error) {
	head, rest, ok := bytes.Cut(file, []byte(`","receipt":`))
	receipt, ended := bytes.CutSuffix(rest, []byte("}\n"))
	detached, begun := strings.CutPrefix(string(head), `{"jws":"`)
	header, signature, cut := strings.Cut(detached, "..")
	if !ok || !ended || !begun || !cut || len(file) > MaxSigned || !strict(header) || !strict(signature) {
		return nil, ErrAltered
	}
	if _, err := keys.verify(ReceiptType, detached, jws.WithDetachedPayload(receipt)); err != nil {
		return nil, err
	}
	return receipt, nil
}

// strict reports whether a part of a JWS is base64url in its one spelling: decoders pass over loose bits and line breaks, and a
// document that was altered there would still verify.
func strict(part string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && part != "" && base64.RawURLEncoding.EncodeToString(raw) == part
}

func (k Keys) verify(typ, signed string, more ...jws.VerifyOption) ([]byte, error) {
	if k.set == nil {
		return nil, ErrAltered
	}
	message := jws.NewMessage()
	payload, err := jws.Verify([]byte(signed), append(more, jws.WithKeySet(k.set, jws.WithRequireKid(true)), jws.WithCompact(),
		jws.WithCritValidation(true), jws.WithMessage(message))...)
	if err != nil || len(message.Signatures()) != 1 {
		return nil, ErrAltered
	}
	if got, _ := message.Signatures()[0].ProtectedHeaders().Type(); got != typ {
		return nil, ErrAltered
	}
	return payload, nil
}
