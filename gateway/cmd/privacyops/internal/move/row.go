package move

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"strings"
)

// reader takes rows from either engine and gives them in the form that is the same for both.
type reader struct {
	table table
	raw   []any
	into  []any
	out   []any
}

func newReader(t table) reader {
	r := reader{table: t, raw: make([]any, len(t.columns)), into: make([]any, len(t.columns)), out: make([]any, len(t.columns))}
	for i := range r.raw {
		r.into[i] = &r.raw[i]
	}
	return r
}

func (r *reader) row() ([]any, error) {
	for i, c := range r.table.columns {
		v, err := c.kind.same(r.raw[i])
		if err != nil {
			return nil, fmt.Errorf("%s, column %s: %w", r.table, c.name, err)
		}
		r.out[i] = v
	}
	return r.out, nil
}

// encoded is a row as bytes: no two different rows have the same.
func encoded(row []any) []byte {
	var out []byte
	for _, v := range row {
		switch v := v.(type) {
		case nil:
			out = append(out, 'n')
		case int64:
			out = binary.BigEndian.AppendUint64(append(out, 'i'), uint64(v))
		case string:
			out = binary.BigEndian.AppendUint64(append(out, 't'), uint64(len(v)))
			out = append(out, v...)
		case []byte:
			out = binary.BigEndian.AppendUint64(append(out, 'b'), uint64(len(v)))
			out = append(out, v...)
		}
	}
	return out
}

// digest is the number of a table's rows and the SHA-256 of all of them in the order of the key.
type digest struct {
	rows int64
	hash hash.Hash
}

func newDigest() *digest { return &digest{hash: sha256.New()} }

func (d *digest) add(row []byte) {
	d.rows++
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(row)))
	d.hash.Write(size[:])
	d.hash.Write(row)
}

func (d *digest) sum() string { return fmt.Sprintf("%x", d.hash.Sum(nil)) }

// compareKeys orders two rows by the key, as both engines do.
func compareKeys(t table, a, b []any) int {
	for _, i := range t.key {
		if c := compareValues(a[i], b[i]); c != 0 {
			return c
		}
	}
	return 0
}

func compareValues(a, b any) int {
	switch a := a.(type) {
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b)
		}
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b)
		}
	case []byte:
		if b, ok := b.([]byte); ok {
			return bytes.Compare(a, b)
		}
	}
	return 0
}
