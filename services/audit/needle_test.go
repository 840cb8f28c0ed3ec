package audit_test

import (
	"bytes"
	"crypto/aes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

// needles are secrets that are looked for in files and in memory, each in all the forms that one might be kept in.
type needles struct {
	of map[[8]byte][]needle
	// filter says, by 27 bits of a prefix, whether it can be one of them.
	filter []uint64
}

// needle is one form of what belongs to somebody.
type needle struct {
	form []byte
	what string
	who  int
}

// found is how many of each kind were found, people counted once.
type found map[string]map[int]bool

func (f found) count(what string) int { return len(f[what]) }

func newNeedles() *needles { return &needles{map[[8]byte][]needle{}, make([]uint64, 1<<21)} }

func slot(b []byte) (word uint32, bit uint64) {
	n := binary.LittleEndian.Uint32(b) & (1<<27 - 1)
	return n >> 6, 1 << (n & 63)
}

// add looks for a secret of somebody: as it is, in hex and in base64.
func (n *needles) add(what string, who int, secret []byte) {
	forms := [][]byte{secret, []byte(hex.EncodeToString(secret)), []byte(strings.ToUpper(hex.EncodeToString(secret))),
		[]byte(base64.RawStdEncoding.EncodeToString(secret)), []byte(base64.RawURLEncoding.EncodeToString(secret))}
	for _, form := range forms {
		word, bit := slot(form)
		n.filter[word] |= bit
		n.of[[8]byte(form)] = append(n.of[[8]byte(form)], needle{form, what, who})
	}
}

// in looks at every place.
func (n *needles) in(hays ...[]byte) found {
	out := found{}
	for _, hay := range hays {
		for i := 0; i+8 <= len(hay); i++ {
			if word, bit := slot(hay[i:]); n.filter[word]&bit == 0 {
				continue
			}
			for _, one := range n.of[[8]byte(hay[i:])] {
				if !bytes.HasPrefix(hay[i:], one.form) {
					continue
				}
				if out[one.what] == nil {
					out[one.what] = map[int]bool{}
				}
				out[one.what][one.who] = true
			}
		}
	}
	return out
}

// lock is a sealed part whose first bytes are known: a key fits that makes them.
type lock struct {
	salt   [16]byte
	stream [16]byte
}

// knownPlain is how the sealed part of each event of the crowd begins.
const knownPlain = `{"detail":{"note`

func newLock(sealed []byte) (l lock) {
	copy(l.salt[:], sealed)
	for i := range l.stream {
		l.stream[i] = sealed[16+i] ^ knownPlain[i]
	}
	return l
}

// fits tries 32 bytes as the key of the entry: AES-256-GCM with a nonce of zeros.
func (l *lock) fits(key []byte) bool {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	out := [16]byte{15: 2}
	block.Encrypt(out[:], out[:])
	return out == l.stream
}

// derived is HKDF-SHA-256 of one person's key, written out: it is done some ten million times.
func (l *lock) derived(secret []byte) [32]byte {
	prk := mac(l.salt[:], secret)
	return mac(prk[:], []byte("privacyops.audit.sealed.v1\x01"))
}

func mac(key, message []byte) [32]byte {
	var in, out [160]byte
	for i := range 64 {
		in[i], out[i] = 0x36, 0x5c
		if i < len(key) {
			in[i], out[i] = 0x36^key[i], 0x5c^key[i]
		}
	}
	inner := sha256.Sum256(in[:64+copy(in[64:], message)])
	copy(out[64:], inner[:])
	return sha256.Sum256(out[:96])
}

// candidates calls try with everything in a hay that could be a key of 32 bytes: windows at multiples of `step` that look random,
// and such windows of what runs of base64 and hex stand for. Another length is no key of this service; a longer one has windows.
func candidates(hay []byte, step int, try func(key []byte)) {
	windows(hay, step, try)
	for i := 0; i < len(hay); i++ {
		from := i
		for i < len(hay) && alphabet[hay[i]] != 0 {
			i++
		}
		run := hay[from:i]
		if len(run) < 43 {
			continue
		}
		if raw, err := base64.RawStdEncoding.DecodeString(plainAlphabet.Replace(string(run[:len(run)/4*4]))); err == nil {
			windows(raw, 1, try)
		}
		if raw, err := hex.DecodeString(string(run[:len(run)/2*2])); err == nil {
			windows(raw, 1, try)
		}
	}
}

var (
	plainAlphabet = strings.NewReplacer("-", "+", "_", "/")
	alphabet      = func() (set [256]byte) {
		for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_") {
			set[c] = 1
		}
		return set
	}()
)

func windows(hay []byte, step int, try func(key []byte)) {
	for i := 0; i+32 <= len(hay); i += step {
		if random(hay[i : i+32]) {
			try(hay[i : i+32])
		}
	}
}

// random reports whether bytes could be a key: of 32 random bytes fewer than 22 different ones come up three times in a million, and
// printable ones alone never.
func random(window []byte) bool {
	if binary.LittleEndian.Uint64(window) == 0 || binary.LittleEndian.Uint64(window[24:]) == 0 {
		return false
	}
	var seen [4]uint64
	different, printable := 0, 0
	for _, b := range window {
		if seen[b>>6]&(1<<(b&63)) == 0 {
			seen[b>>6] |= 1 << (b & 63)
			different++
		}
		if b >= ' ' && b <= '~' {
			printable++
		}
	}
	return different >= 22 && printable < 32
}

// trials tries every candidate in the hays on every lock, as the key of a person and as that of an entry. It returns how many candidates
// there were, and how many fitted.
func trials(hays [][]byte, step int, locks []lock) (tried, fitted int64) {
	const part = 1 << 20
	parts := make(chan []byte)
	var n, hits atomic.Int64
	var work sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		work.Go(func() {
			for hay := range parts {
				candidates(hay, step, func(key []byte) {
					n.Add(1)
					for i := range locks {
						if from := locks[i].derived(key); locks[i].fits(key) || locks[i].fits(from[:]) {
							hits.Add(1)
						}
					}
				})
			}
		})
	}
	for _, hay := range hays {
		for ; len(hay) > part+64; hay = hay[part:] {
			parts <- hay[:part+64] // they overlap
		}
		parts <- hay
	}
	close(parts)
	work.Wait()
	return n.Load(), hits.Load()
}
