package store

import (
	"encoding/json"
	"fmt"

	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

// sealedIdentifier is an identifier inside an envelope, the only place where its value is written.
type sealedIdentifier struct {
	Type  string `json:"t"`
	Value string `json:"v"`
}

func seal(env *keyring.Envelope, ids []erasure.Identifier) ([]byte, error) {
	list := make([]sealedIdentifier, 0, len(ids))
	for _, id := range ids {
		list = append(list, sealedIdentifier(id))
	}
	plain, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("store: seal: %w", err)
	}
	return env.Seal(plain)
}

func (s *Store) unseal(name string, wrapped, sealed []byte) ([]erasure.Identifier, error) {
	env, err := s.keyring.OpenEnvelope(name, wrapped)
	if err != nil {
		return nil, err
	}
	plain, err := env.Open(sealed)
	if err != nil {
		return nil, err
	}
	var list []sealedIdentifier
	if err := json.Unmarshal(plain, &list); err != nil {
		return nil, fmt.Errorf("store: sealed identifiers do not parse: %w", err)
	}
	ids := make([]erasure.Identifier, 0, len(list))
	for _, id := range list {
		ids = append(ids, erasure.Identifier(id))
	}
	return ids, nil
}
