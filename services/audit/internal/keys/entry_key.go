package keys

import (
	"context"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// EntryKey returns the key under which a sealed event is encrypted: made of the keys of all its people, it opens this event and no
// other. It is what a controller is given with the evidence of its log. Where nothing is sealed, or one of those keys is destroyed,
// there is none, and it is nil.
func (k *Keys) EntryKey(ctx context.Context, c audit.ControllerID, e audit.Event) (key []byte, err error) {
	if len(e.Sealed) < audit.MinSealed || len(e.People) == 0 {
		return nil, nil
	}
	k.rotation.RLock()
	defer k.rotation.RUnlock()
	err = inHand(func(hand *hand) error {
		key, err = k.entryKeyWith(ctx, c, e, hand)
		return err
	})
	return key, err
}

// entryKeyWith derives the key from those that it takes in hand.
func (k *Keys) entryKeyWith(ctx context.Context, c audit.ControllerID, e audit.Event, hand *hand) ([]byte, error) {
	rows, err := k.Store.Get(ctx, c, e.People) // what is stored decides, not what is remembered
	defer wipeRows(rows)
	if err != nil || len(rows) < len(e.People) {
		return nil, err
	}
	if err := k.unwrap(ctx, c, rows, hand); err != nil {
		return nil, err
	}
	secrets := make([]*secret, len(e.People))
	for i, id := range e.People {
		if secrets[i] = hand.keys[id]; secrets[i] == nil {
			return nil, nil
		}
	}
	return k.vault.keyOf(e.Sealed[:saltSize], secrets), nil
}

// keyOf derives the key of a sealed event. Unlike all others it leaves the vault.
func (v *vault) keyOf(salt []byte, keys []*secret) []byte {
	out := make([]byte, secretSize)
	v.use(func() {
		v.derive(salt, keys)
		copy(out, v.key[:])
	})
	return out
}
