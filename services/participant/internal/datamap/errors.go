package datamap

import (
	"fmt"
	"strings"
)

// Pos is a place in the file, both numbers from 1.
type Pos struct{ Line, Column int }

// Error is one thing that is wrong with a data map, and where.
type Error struct {
	File string
	Pos  Pos
	Msg  string
}

// Error formats as file:line:column: message.
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Pos.Line, e.Pos.Column, e.Msg)
}

// Errors are all the errors of a data map, in the order of the file as far as
// they were found; at most 20, so that a broken file does not bury its cause.
type Errors []*Error

const maxErrors = 20

// Error has one line per error.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, x := range e {
		lines[i] = x.Error()
	}
	return strings.Join(lines, "\n")
}

// Add appends an error unless there are too many already.
func (e *Errors) Add(file string, pos Pos, format string, args ...any) {
	if len(*e) < maxErrors {
		*e = append(*e, &Error{File: file, Pos: pos, Msg: fmt.Sprintf(format, args...)})
	}
}

// Err is e as an error, nil when empty.
func (e Errors) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// Suggest returns `; did you mean "x"?` for the nearest of the known names, or
// nothing when none is near.
func Suggest(name string, known []string) string {
	best, limit := "", len([]rune(name))/3+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k), limit); d <= limit && (best == "" || d < limit) {
			best, limit = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance counts edits, where two neighbours in the wrong order are one edit.
// Beyond limit any larger number may be returned.
func distance(a, b string, limit int) int {
	x, y := []rune(a), []rune(b)
	if len(x)-len(y) > limit || len(y)-len(x) > limit {
		return limit + 1
	}
	before, prev, cur := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(x); i++ {
		cur[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(y)]
}
