package packaging

import (
	"bytes"
	"encoding/json"
	"errors"
)

var errNoObject = errors.New("packaging: a record is not a JSON object")

// members gives each member of a JSON object to fn, in order. The object was checked when it came in; here it is only taken
// apart, in one pass and without decoding values that nobody looks at: this decides how fast an export is.
func members(object []byte, fn func(name string, value []byte) error) error {
	rest, ok := bytes.CutPrefix(blank(object), []byte("{"))
	if !ok {
		return errNoObject
	}
	if rest = blank(rest); len(rest) > 0 && rest[0] == '}' {
		return nil
	}
	for {
		n := valueLength(rest)
		if n < 2 || rest[0] != '"' {
			return errNoObject
		}
		name := unquote(rest[:n])
		if rest, ok = bytes.CutPrefix(blank(rest[n:]), []byte(":")); !ok {
			return errNoObject
		}
		rest = blank(rest)
		if n = valueLength(rest); n == 0 {
			return errNoObject
		}
		if err := fn(name, rest[:n]); err != nil {
			return err
		}
		rest = blank(rest[n:])
		switch {
		case len(rest) > 0 && rest[0] == '}':
			return nil
		case len(rest) == 0 || rest[0] != ',':
			return errNoObject
		}
		rest = blank(rest[1:])
	}
}

// blank skips what JSON calls white space.
func blank(text []byte) []byte { return bytes.TrimLeft(text, " \t\r\n") }

// valueLength is the length of the JSON value that text begins with; 0 where it does not end.
func valueLength(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			n := stringLength(text[i:])
			if n == 0 {
				return 0
			}
			if i += n - 1; depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // the end of what encloses a number or a word
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n', ':':
			if depth == 0 {
				return i
			}
		}
	}
	return 0
}

// stringLength is the length of the JSON string that text begins with, its quotes included; 0 where it does not end.
func stringLength(text []byte) int {
	for i := 1; i < len(text); {
		n := bytes.IndexByte(text[i:], '"')
		if n < 0 {
			return 0
		}
		end := i + n
		escapes := 0
		for escapes < n && text[end-1-escapes] == '\\' {
			escapes++
		}
		if i = end + 1; escapes%2 == 0 {
			return i
		}
	}
	return 0
}

// unquote decodes a JSON string. Most have no escape in them and are their own text.
func unquote(quoted []byte) string {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return string(inner)
	}
	return s
}
