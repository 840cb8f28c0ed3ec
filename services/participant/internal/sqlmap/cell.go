package sqlmap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/text/unicode/norm"
)

// A cell is nil, int64, float64, string or []byte: what SQLite stores. PostgreSQL's
// cells travel in their text form and are nil or string.

var errCell = errors.New("sqlmap: the ledger holds a row that cannot be read")

// encode writes cells as bytes that can be compared and decoded: a tag, a length and
// the value for each.
func encode(cells []any) ([]byte, error) {
	out := []byte{} // never nil: no cells are an empty value, not NULL
	put := func(tag byte, b []byte) {
		out = append(out, tag)
		out = binary.AppendUvarint(out, uint64(len(b)))
		out = append(out, b...)
	}
	for _, c := range cells {
		switch v := c.(type) {
		case nil:
			put('n', nil)
		case int64:
			put('i', binary.BigEndian.AppendUint64(nil, uint64(v)))
		case float64:
			put('f', binary.BigEndian.AppendUint64(nil, math.Float64bits(v)))
		case string:
			put('s', []byte(v))
		case []byte:
			put('b', v)
		default:
			return nil, fmt.Errorf("sqlmap: a cell of type %T cannot be a key", c)
		}
	}
	return out, nil
}

// decode is the inverse of encode.
func decode(b []byte) ([]any, error) {
	var out []any
	for len(b) > 0 {
		tag := b[0]
		n, used := binary.Uvarint(b[1:])
		if used <= 0 || n > uint64(len(b)-1-used) {
			return nil, errCell
		}
		v := b[1+used : 1+used+int(n)]
		b = b[1+used+int(n):]
		c, err := decodeOne(tag, v)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func decodeOne(tag byte, v []byte) (any, error) {
	switch {
	case tag == 'n' && len(v) == 0:
		return nil, nil
	case tag == 'i' && len(v) == 8:
		return int64(binary.BigEndian.Uint64(v)), nil
	case tag == 'f' && len(v) == 8:
		return math.Float64frombits(binary.BigEndian.Uint64(v)), nil
	case tag == 's':
		return string(v), nil
	case tag == 'b':
		return append([]byte{}, v...), nil
	}
	return nil, errCell
}

// show is a cell as text, as an identifier or part of an export key.
func show(c any) string {
	switch v := c.(type) {
	case nil:
		return ""
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []byte:
		return fmt.Sprintf("%x", v)
	case string:
		return v
	}
	return ""
}

// parameters returns the cells that a value from a request can equal in column c:
// none when the value does not fit the type. Text is tried as it is and in both
// Unicode normal forms, because nobody knows which one the system stores.
func parameters(e Engine, c *column, value string) []any {
	switch c.family {
	case famInteger:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != value {
			return nil
		}
		if e == PostgreSQL {
			if !fits(n, c.sqlType) {
				return nil
			}
			return []any{value}
		}
		return []any{n}
	case famUUID:
		if e == SQLite {
			return []any{value}
		}
		if u, err := uuid.Parse(value); err == nil {
			return []any{u.String()}
		}
		return nil
	case famText, famDecimal, famReal, famBool, famBytes, famDate, famTime, famJSON, famAny, famOther: // as text, below
	}
	if strings.ContainsRune(value, 0) {
		return nil
	}
	out := []any{value}
	for _, form := range []string{norm.NFC.String(value), norm.NFD.String(value)} {
		if form != value && (len(out) == 1 || out[1] != form) {
			out = append(out, form)
		}
	}
	return out
}

// fits reports whether n is in the range of a PostgreSQL integer type.
func fits(n int64, sqlType string) bool {
	switch sqlType {
	case "smallint":
		return n >= math.MinInt16 && n <= math.MaxInt16
	case "integer":
		return n >= math.MinInt32 && n <= math.MaxInt32
	}
	return true
}
