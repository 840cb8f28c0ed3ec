package keyring

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"
	"sync"
)

// mac is HMAC-SHA-256 over length-prefixed parts, so that ("ab","c") and ("a","bc") differ; the first 20 bytes in hex.
func mac(key []byte, parts ...string) string { return sum(hmac.New(sha256.New, key), parts...) }

func sum(h hash.Hash, parts ...string) string {
	var n [sha256.Size]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(n[:8], uint64(len(p)))
		h.Write(n[:8])
		_, _ = io.WriteString(h, p)
	}
	return hex.EncodeToString(h.Sum(n[:0])[:20])
}

// maxMACs bounds the keys that are held ready.
const maxMACs = 10_000

// macs holds the MACs of keys ready that are needed for each call: to derive one costs as much as a decision.
type macs struct {
	mu    sync.RWMutex
	ready map[string]*keyed
}

// keyed is the MAC under one key.
type keyed struct{ pool sync.Pool }

// of gives the MAC under the key of a name, which is the same for the same name.
func (m *macs) of(name string, key func() []byte) *keyed {
	m.mu.RLock()
	k := m.ready[name]
	m.mu.RUnlock()
	if k != nil {
		return k
	}
	raw := key()
	k = &keyed{sync.Pool{New: func() any { return hmac.New(sha256.New, raw) }}}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ready == nil || len(m.ready) >= maxMACs {
		m.ready = map[string]*keyed{}
	}
	m.ready[name] = k
	return k
}

func (k *keyed) sum(parts ...string) string {
	h := k.pool.Get().(hash.Hash)
	defer k.pool.Put(h)
	h.Reset()
	return sum(h, parts...)
}
