package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"reflect"
	"runtime"
	"sync"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// secretSize is the length of a key.
const secretSize = 32

type secret = [secretSize]byte

const (
	saltSize = 16
	// purpose tells the keys of sealed events from all others that might be made of the same ones.
	purpose = "privacyops.audit.sealed.v1"
)

// errOpen says nothing of the content.
var errOpen = errors.New("keys: a sealed event does not open: it was altered, or its keys are others")

// vault is where keys are used: one user at a time, in buffers that are overwritten afterwards.
type vault struct {
	mu sync.Mutex
	// message is what is hashed: a block that the HMAC's key makes, and then the keys of all people, or less.
	message [sha256.BlockSize + audit.MaxSubjectRefs*secretSize]byte
	prk     secret
	key     secret
}

// message is what is to be sealed under a key made of `keys`, which are in the order of their ids.
type message struct {
	keys           []*secret
	plain, binding []byte
}

// seal encrypts messages: salt, ciphertext and tag of each.
func (v *vault) seal(messages []message) [][]byte {
	out := make([][]byte, len(messages))
	v.use(func() {
		for i, m := range messages {
			sealed := make([]byte, saltSize, saltSize+len(m.plain)+16)
			_, _ = rand.Read(sealed) // crypto/rand.Read never fails
			v.with(sealed[:saltSize], m.keys, func(a cipher.AEAD) {
				out[i] = a.Seal(sealed, make([]byte, a.NonceSize()), m.plain, m.binding) //nolint:gosec // each key encrypts once
			})
		}
	})
	return out
}

// open decrypts what seal made.
func (v *vault) open(keys []*secret, sealed, binding []byte) (plain []byte, err error) {
	if len(sealed) < audit.MinSealed {
		return nil, errOpen
	}
	v.use(func() {
		v.with(sealed[:saltSize], keys, func(a cipher.AEAD) {
			plain, err = a.Open(nil, make([]byte, a.NonceSize()), sealed[saltSize:], binding)
		})
	})
	if err != nil {
		return nil, errOpen
	}
	return plain, nil
}

// use calls fn, alone, and leaves nothing of what it works with.
func (v *vault) use(fn func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer burn() // last of all
	defer func() { clear(v.message[:]); clear(v.prk[:]); clear(v.key[:]) }()
	burn() // the stack grows now, while there is nothing on it
	fn()
}

// with calls fn, within use, with the cipher of a salt and keys.
func (v *vault) with(salt []byte, keys []*secret, fn func(cipher.AEAD)) {
	v.derive(salt, keys)
	block, err := aes.NewCipher(v.key[:])
	if err != nil {
		panic("keys: " + err.Error()) // the key has the length of a key
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("keys: " + err.Error()) // AES has blocks of 16 bytes
	}
	defer wipe(block)
	defer wipe(aead)
	fn(aead)
}

// derive is HKDF-SHA-256 (RFC 5869) with the keys, one after the other, as its input and 32 bytes of output.
func (v *vault) derive(salt []byte, keys []*secret) {
	n := sha256.BlockSize
	for _, k := range keys {
		n += copy(v.message[n:], k[:])
	}
	v.hmac(&v.prk, salt, n)
	n = sha256.BlockSize + copy(v.message[sha256.BlockSize:], purpose+"\x01")
	v.hmac(&v.key, v.prk[:], n)
}

// hmac is HMAC-SHA-256 (RFC 2104) of what stands in v.message behind its first block and before `end`. The key is no longer than a block.
func (v *vault) hmac(out *secret, key []byte, end int) {
	v.pad(key, 0x36)
	inner := sha256.Sum256(v.message[:end])
	v.pad(key, 0x5c)
	copy(v.message[sha256.BlockSize:], inner[:])
	*out = sha256.Sum256(v.message[:sha256.BlockSize+sha256.Size])
	clear(inner[:])
}

func (v *vault) pad(key []byte, with byte) {
	for i := range sha256.BlockSize {
		v.message[i] = with
		if i < len(key) {
			v.message[i] ^= key[i]
		}
	}
}

// wipe overwrites what a pointer points to: the state of a cipher.
func wipe(pointer any) { reflect.ValueOf(pointer).Elem().SetZero() }

// burn overwrites the stack below its caller, where functions that have returned left what they worked with.
//
//go:noinline
func burn() {
	var stack [16 << 10]byte
	for i := range stack {
		stack[i] = 0
	}
	runtime.KeepAlive(&stack)
}
