package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// scanner looks for values of people in whatever form they may have slipped into.
type scanner struct {
	forms  []form
	places map[string]int // how many places of a kind were looked at
	hits   []string
}

// form is one way to write a value: which value, how, and its bytes in lower case.
type form struct {
	value, how string
	text       []byte
}

// newScanner looks for all values in all forms.
func newScanner(values ...string) *scanner {
	s := &scanner{places: map[string]int{}}
	for _, v := range values {
		s.forms = append(s.forms, formsOf(v)...)
	}
	return s
}

// formsOf writes a value as text of either normal form, in URLs, JSON, hex, and as part of base64 at each alignment.
func formsOf(value string) []form {
	var out []form
	seen := map[string]bool{}
	add := func(how, text string) {
		if text = strings.ToLower(text); !seen[text] {
			seen[text] = true
			out = append(out, form{value, how, []byte(text)})
		}
	}
	for _, v := range []string{norm.NFC.String(value), norm.NFD.String(value)} {
		add("plain", v)
		add("query", url.QueryEscape(v))
		add("path", url.PathEscape(v))
		add("JSON", escaped(v))
		add("hex", hex.EncodeToString([]byte(v)))
		for pad := range 3 {
			for name, enc := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
				text := enc.EncodeToString(append(make([]byte, pad), v...))
				// The first and the last characters hold bits of the neighbours.
				add(name, text[(pad*8+5)/6:len(text)-1])
			}
		}
	}
	return out
}

// escaped writes a text as JSON in ASCII.
func escaped(v string) string {
	var b strings.Builder
	for _, r := range v {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// look searches one place. Kind says what sort of place it is, where which one.
func (s *scanner) look(kind, where string, content []byte) {
	s.places[kind]++
	content = bytes.ToLower(content)
	for _, f := range s.forms {
		if i := bytes.Index(content, f.text); i >= 0 {
			around := content[max(0, i-60):min(len(content), i+len(f.text)+60)]
			s.hits = append(s.hits, fmt.Sprintf("%s %s holds %q as %s: …%q…", kind, where, f.value, f.how, around))
		}
	}
}

// lookAtFiles searches names and contents of all files below a folder, but for those that skip names.
func (s *scanner) lookAtFiles(t *testing.T, dir string, skip func(path string) bool) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // what is in use comes and goes
		}
		if err != nil || skip(path) {
			return err
		}
		s.look("file name", path, []byte(strings.TrimPrefix(path, dir)))
		if d.IsDir() {
			return nil
		}
		content, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil
		}
		s.look("file", path, content)
		return err
	}))
}

// lookAtRows searches every cell of a table in a SQLite database.
func (s *scanner) lookAtRows(t *testing.T, database, table string) {
	t.Helper()
	db := lookAt(t, database)
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+table)
	must(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	must(t, err)
	for rows.Next() {
		cells := make([]any, len(columns))
		for i := range cells {
			cells[i] = new(any)
		}
		must(t, rows.Scan(cells...))
		for i, c := range columns {
			s.look(table+" cell", database+" "+c, fmt.Append(nil, text(*cells[i].(*any))))
		}
	}
	must(t, rows.Err())
}

func text(v any) string {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	return fmt.Sprint(v)
}

// logLines takes log lines of several services at once.
type logLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logLines) lines() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Split(bytes.TrimSpace(bytes.Clone(l.buf.Bytes())), []byte("\n"))
}

// TestScannerFinds shows that a value is found in each form, also inside longer texts.
func TestScannerFinds(t *testing.T) {
	t.Parallel()
	const value = "Freja Ågård"
	around := "xy " + value + " og de andre"
	quoted, err := json.Marshal(around)
	must(t, err)
	for name, text := range map[string]string{
		"plain": around, "upper": strings.ToUpper(around), "decomposed": norm.NFD.String(around), "JSON": string(quoted),
		"query": url.QueryEscape(around), "path": url.PathEscape(around), "hex": hex.EncodeToString([]byte(around)),
		"base64 0": base64.StdEncoding.EncodeToString([]byte(around[3:])), "base64 1": base64.StdEncoding.EncodeToString([]byte(around[2:])),
		"base64 2": base64.URLEncoding.EncodeToString([]byte(around[1:])), "escaped": escaped(around),
	} {
		s := newScanner(value)
		s.look("text", name, []byte(text))
		if len(s.hits) == 0 {
			t.Errorf("%s is not found in %s", name, text)
		}
	}
	s := newScanner(value)
	s.look("text", "clean", []byte("Freja og Ågård er ikke sammen"))
	if len(s.hits) != 0 {
		t.Errorf("found where it is not: %v", s.hits)
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "planted"), []byte(around), 0o600))
	s.lookAtFiles(t, dir, func(string) bool { return false })
	if len(s.hits) != 1 {
		t.Errorf("the planted file is not found: %v", s.hits)
	}
}
