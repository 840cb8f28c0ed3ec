package rpc

import (
	"encoding/json"
	"fmt"

	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// words are what is said in free text about an objection. They are written inside an envelope and nowhere else: not in events, not
// in changes, not in remembered replies.
type words struct {
	Grounds    string `json:"grounds,omitempty"`
	Resolution string `json:"resolution,omitempty"`
}

// seal puts words about a resource into an envelope of its own: a new one, or that of the words before. Nothing said needs none.
func (h *handlers) seal(resource string, before consent.SealedWords, w words) (sealed consent.SealedWords, err error) {
	if w == (words{}) {
		return sealed, nil
	}
	plain, err := json.Marshal(w)
	if err != nil {
		return sealed, fmt.Errorf("rpc: seal: %w", err)
	}
	if sealed.WrappedKey = before.WrappedKey; len(sealed.WrappedKey) == 0 {
		if _, sealed.WrappedKey, err = h.Keyring.NewEnvelope(resource); err != nil {
			return sealed, err
		}
	}
	env, err := h.Keyring.OpenEnvelope(resource, sealed.WrappedKey)
	if err != nil {
		return sealed, err
	}
	sealed.Texts, err = env.Seal(plain)
	return sealed, err
}

// unseal reads what seal has written; nothing where nothing was said, or it was forgotten.
func (h *handlers) unseal(resource string, sealed consent.SealedWords) (w words, err error) {
	if len(sealed.WrappedKey) == 0 {
		return w, nil
	}
	env, err := h.Keyring.OpenEnvelope(resource, sealed.WrappedKey)
	if err != nil {
		return w, err
	}
	plain, err := env.Open(sealed.Texts)
	if err != nil {
		return w, err
	}
	if err := json.Unmarshal(plain, &w); err != nil {
		return w, fmt.Errorf("rpc: sealed words do not parse: %w", err)
	}
	return w, nil
}
