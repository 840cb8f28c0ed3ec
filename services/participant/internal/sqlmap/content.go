package sqlmap

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A search for words: the database narrows down by substring, and whole words are
// told here, so that u000007 is not found in u0000071.

// minWord is how short a word may be before it says nothing about a person.
const minWord = 3

// contains appends the condition that a text column contains a word, in any case.
func (s *stmt) contains(alias string, c *column, word string) *stmt {
	if s.e == PostgreSQL {
		return s.sql("position(lower(").str(word).sql(") in lower(").asText(alias, c).sql(")) > 0")
	}
	return s.sql("instr(lower(").asText(alias, c).sql("), lower(").str(word).sql(")) > 0")
}

// hasWord reports whether text contains word with no letter or digit beside it.
func hasWord(text, word string) bool {
	text, word = strings.ToLower(text), strings.ToLower(word)
	for from := 0; word != ""; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[i+len(word):])
		if !wordRune(before) && !wordRune(after) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[i:])
		from = i + size
	}
	return false
}

func wordRune(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// telling keeps the words that can only mean a person: long enough, and not a small
// number, which any text may contain.
func telling(words []string, least int) []string {
	var out []string
	for _, w := range words {
		letters := strings.IndexFunc(w, unicode.IsLetter) >= 0
		if n := utf8.RuneCountInString(w); n >= least && (letters || n >= 8) && !strings.ContainsRune(w, 0) {
			out = append(out, w)
		}
	}
	return out
}

// search finds the cells of text columns that contain a word. It calls hit once for
// each row and column, with what the extra expression yields for the row.
func (a *Adapter) search(ctx context.Context, q querier, t *table, columns []*column, words []string,
	extra, where func(*stmt), hit func(c *column, extra bool)) error {
	for _, c := range columns {
		s := a.stmt().sql("SELECT ").asText("t", c).sql(", CASE WHEN ")
		extra(s)
		s.sql(" THEN 1 ELSE 0 END FROM ").table(t, "t").sql(" WHERE (")
		for i, w := range words {
			if i > 0 {
				s.sql(" OR ")
			}
			s.contains("t", c, w)
		}
		s.sql(")")
		where(s)
		err := a.query(ctx, q, "searching table "+t.name, s, func(read func(...any) error) error {
			var text string
			var flag bool
			if err := read(&text, &flag); err != nil {
				return err
			}
			for _, w := range words {
				if hasWord(text, w) {
					hit(c, flag)
					break
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// countMention counts texts of others that name the person: rows of the mention's
// table that are not the person's own by any dataset.
func (a *Adapter) countMention(ctx context.Context, q querier, m *mention, f *found) (int64, error) {
	var words []string
	for _, p := range f.people {
		for _, c := range m.match {
			words = append(words, show(p.values[c]))
		}
	}
	if words = telling(words, minWord); len(words) == 0 {
		return 0, nil
	}
	var n int64
	err := a.search(ctx, q, m.table, []*column{m.col}, words, never, func(s *stmt) {
		for _, d := range a.plan.datasets {
			if d.table == m.table {
				s.sql(" AND (")
				d.reach(s, f.ends)
				s.sql(") IS NOT TRUE")
			}
		}
	}, func(*column, bool) { n++ })
	return n, err
}

func never(s *stmt) { s.sql("1 = 0") }
