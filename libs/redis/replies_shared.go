package redis

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

var (
	getScript = goredis.NewScript(`return {ARGV[1], KEYS[1], redis.call('GET', KEYS[1]) or ''}`)
	// putScript: value, milliseconds.
	putScript = goredis.NewScript(`
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return {ARGV[1], KEYS[1]}
`)
)

// SharedReplies is [Replies] of several replicas. A reply is sealed (AES-256-GCM) with its key and its request's digest as
// context: what Redis holds is noise to it, and cannot be taken for the reply to anything else.
type SharedReplies struct {
	client *Client
	aead   cipher.AEAD
}

// NewSharedReplies makes one that seals under secret, 32 bytes that all replicas have and Redis has not (keyring.Derive).
func NewSharedReplies(client *Client, secret []byte) (*SharedReplies, error) {
	if len(secret) != 32 {
		return nil, errors.New("redis: replies are sealed under a key of 32 bytes")
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, errors.New("redis: replies: no cipher")
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, errors.New("redis: replies: no cipher")
	}
	return &SharedReplies{client: client, aead: aead}, nil
}

// Get fulfils [Replies].
func (s *SharedReplies) Get(ctx context.Context, r Request) ([]byte, bool) {
	key := r.key()
	got, err := s.client.call(ctx, getScript, key)
	if err != nil {
		return nil, false
	}
	reply, err := s.aead.Open([]byte{}, nil, []byte(text(got, 0)), sealContext(key, r.Digest))
	return reply, err == nil
}

// Put fulfils [Replies].
func (s *SharedReplies) Put(ctx context.Context, r Request, reply []byte, ttl time.Duration) {
	ttl, ok := storable(reply, ttl)
	if !ok {
		return
	}
	key := r.key()
	sealed := s.aead.Seal(nil, nil, reply, sealContext(key, r.Digest)) //nolint:gosec // nil: this AEAD draws its nonce
	// Where it fails, the next call asks the database.
	_, _ = s.client.call(ctx, putScript, key, sealed, ttl.Milliseconds())
}

func sealContext(key, requestDigest string) []byte {
	return []byte(digest([]string{key, requestDigest}))
}
