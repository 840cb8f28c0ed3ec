package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/privacyops/privacyops/libs/keyring"
)

// maxIdentifiers is how many identifiers a participant can be asked with.
const maxIdentifiers = 200

// Identifier is one name of a person. It is personal data: never logged, stored only sealed.
type Identifier struct {
	// Type is the kind of identifier as the proto names it, for example EMAIL.
	Type string `json:"type"`
	// Value as the issuing system writes it, in Unicode form NFC.
	Value string `json:"value"`
}

// String names the kind only, so that a value never reaches a log or an error text by way of %v.
func (i Identifier) String() string { return i.Type + " identifier" }

// usable reports whether an identifier that a participant gave can be asked with.
func (i Identifier) usable() bool {
	return i.Type != "" && i.Value != "" && utf8.ValidString(i.Value) && utf8.RuneCountInString(i.Value) <= 256 &&
		!strings.ContainsFunc(i.Value, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// merge adds the identifiers of more that are new and usable, up to the limit. full tells that one did not fit.
func merge(known, more []Identifier) (merged []Identifier, added int, full bool) {
	seen := make(map[Identifier]bool, len(known))
	for _, i := range known {
		seen[i] = true
	}
	for _, i := range more {
		i.Value = norm.NFC.String(i.Value)
		switch {
		case seen[i] || !i.usable():
		case len(known) >= maxIdentifiers:
			full = true
		default:
			seen[i] = true
			known = append(known, i)
			added++
		}
	}
	return known, added, full
}

// New makes the work of a new export, with the identifiers sealed under a key of its own.
func New(k *keyring.Keyring, r Request) (*Work, error) {
	known, _, _ := merge(nil, r.Identifiers)
	if len(known) == 0 {
		return nil, errors.New("export: a request names at least one identifier")
	}
	env, wrapped, err := k.NewEnvelope(r.Name())
	if err != nil {
		return nil, fmt.Errorf("export: identifiers: %w", err)
	}
	w := &Work{Export: Export{
		Ref: r.Ref, State: Pending, Kind: r.Kind, Language: r.Language, Recipient: r.Recipient,
		Received: r.Received, Due: r.Due, RetryUntil: r.Due, Created: r.Now, Updated: r.Now, Version: 1,
	}, Next: r.Now, Identifiers: Sealed{Key: wrapped}}
	if earliest := r.Now.Add(minimumRetry); w.RetryUntil.Before(earliest) {
		w.RetryUntil = earliest
	}
	w.Refs = pseudonyms(k, r.Controller, known)
	w.SubjectRef = w.Refs[0]
	return w, w.seal(env, known)
}

func pseudonyms(k *keyring.Keyring, c ControllerID, ids []Identifier) []string {
	refs := make([]string, 0, len(ids))
	for _, i := range ids {
		refs = append(refs, k.Subject(string(c), i.Type, i.Value))
	}
	return refs
}

func (w *Work) seal(env *keyring.Envelope, ids []Identifier) error {
	text, err := json.Marshal(ids)
	if err != nil {
		return fmt.Errorf("export: identifiers: %w", err)
	}
	w.Identifiers.Data, err = env.Seal(text)
	return err
}

// learn replaces the sealed identifiers by ids.
func (w *Work) learn(k *keyring.Keyring, ids []Identifier) error {
	env, err := k.OpenEnvelope(w.Name(), w.Identifiers.Key)
	if err != nil {
		return err
	}
	w.Refs = pseudonyms(k, w.Controller, ids)
	return w.seal(env, ids)
}

// identifiers opens what New sealed.
func (w *Work) identifiers(k *keyring.Keyring) ([]Identifier, error) {
	env, err := k.OpenEnvelope(w.Name(), w.Identifiers.Key)
	if err != nil {
		return nil, err
	}
	text, err := env.Open(w.Identifiers.Data)
	if err != nil {
		return nil, err
	}
	var ids []Identifier
	if err := json.Unmarshal(text, &ids); err != nil {
		return nil, errors.New("export: sealed identifiers do not parse")
	}
	return ids, nil
}

// sealSecret seals what opens a package, bound to the export.
func sealSecret(k *keyring.Keyring, ref Ref, secret string) (Sealed, error) {
	if secret == "" {
		return Sealed{}, nil
	}
	env, wrapped, err := k.NewEnvelope(ref.Name() + "/package")
	if err != nil {
		return Sealed{}, err
	}
	data, err := env.Seal([]byte(secret))
	return Sealed{Key: wrapped, Data: data}, err
}

// OpenSecret gives what opens the package at rest; empty where only the recipient can.
func OpenSecret(k *keyring.Keyring, ref Ref, p Package) (string, error) {
	if p.Secret.Empty() {
		return "", nil
	}
	env, err := k.OpenEnvelope(ref.Name()+"/package", p.Secret.Key)
	if err != nil {
		return "", err
	}
	secret, err := env.Open(p.Secret.Data)
	return string(secret), err
}
