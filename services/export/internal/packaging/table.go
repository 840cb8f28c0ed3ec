package packaging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// writeJSON writes records as an array, one on a line, as they are.
func writeJSON(w io.Writer, records each) error {
	separator := "[\n"
	err := records(func(object []byte) error {
		_, err := io.WriteString(w, separator)
		separator = ",\n"
		if err == nil {
			_, err = w.Write(object)
		}
		return err
	})
	if err != nil {
		return err
	}
	end := "\n]\n"
	if separator == "[\n" {
		end = "[]\n"
	}
	_, err = io.WriteString(w, end)
	return err
}

// writeCSV writes records as a table with a header.
func writeCSV(w io.Writer, columns []string, records each) error {
	out := &csvWriter{w: w}
	place := make(map[string]int, len(columns))
	for i, c := range columns {
		place[c] = i
	}
	if err := out.begin(columns); err != nil {
		return err
	}
	row := make([]string, len(columns))
	return records(func(object []byte) error {
		clear(row)
		err := members(object, func(name string, value []byte) error {
			if i, ok := place[name]; ok {
				row[i] = cell(value)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return out.row(row)
	})
}

// cell is a JSON value as text: strings without their quotes, null as nothing, the rest as JSON.
func cell(value []byte) string {
	switch {
	case len(value) == 0 || bytes.Equal(value, []byte("null")):
		return ""
	case value[0] == '"':
		return unquote(value)
	case value[0] == '{' || value[0] == '[':
		var compact bytes.Buffer
		if json.Compact(&compact, value) == nil {
			return compact.String()
		}
	}
	return string(value)
}

// columnSet learns which members records have, in the order of their first appearance.
type columnSet struct {
	seen  map[string]bool
	names []string
	limit int
}

func newColumnSet(limit int) *columnSet { return &columnSet{seen: map[string]bool{}, limit: limit} }

func (c *columnSet) learn(object []byte) error {
	return members(object, func(name string, _ []byte) error {
		if !c.seen[name] && len(c.names) < c.limit {
			c.seen[name] = true
			c.names = append(c.names, name)
		}
		return nil
	})
}

// order gives the columns of the table: those that were described, in their order, then those that appeared beside them.
func (c *columnSet) order(described []string) []string {
	var out []string
	known := map[string]bool{}
	for _, name := range append(append([]string{}, described...), c.names...) {
		if !known[name] {
			known[name] = true
			out = append(out, name)
		}
	}
	return out
}

// csvWriter writes CSV (RFC 4180, UTF-8) that is safe to open in a spreadsheet:
//
//   - it begins with a byte order mark, without which Excel reads æ, ø and å wrong
//   - every cell is quoted, so that a program that expects another separator (semicolon, in Denmark) cannot split a cell and
//     find a formula in the middle of it
//   - a cell that begins like a formula gets a leading apostrophe, also a number below zero: nobody can tell from a first
//     character what follows it. The JSON beside it has the value as it is.
type csvWriter struct {
	w    io.Writer
	line bytes.Buffer
}

const byteOrderMark = "\uFEFF"

func (c *csvWriter) begin(header []string) error {
	if _, err := io.WriteString(c.w, byteOrderMark); err != nil {
		return err
	}
	return c.row(header)
}

func (c *csvWriter) row(cells []string) error {
	c.line.Reset()
	for i, text := range cells {
		if i > 0 {
			c.line.WriteByte(',')
		}
		c.line.WriteByte('"')
		c.line.WriteString(strings.ReplaceAll(harmless(text), `"`, `""`))
		c.line.WriteByte('"')
	}
	c.line.WriteString("\r\n")
	if _, err := c.w.Write(c.line.Bytes()); err != nil {
		return fmt.Errorf("packaging: table: %w", err)
	}
	return nil
}

// formulaStarts are the characters with which spreadsheets take a cell for a formula, or skip on the way to one: with the
// full-width forms that some of them read alike.
const formulaStarts = "=+-@\t\r\n\x00＝＋－＠"

func harmless(cell string) string {
	if cell != "" && strings.ContainsRune(formulaStarts, []rune(cell[:min(len(cell), 4)])[0]) {
		return "'" + cell
	}
	return cell
}
