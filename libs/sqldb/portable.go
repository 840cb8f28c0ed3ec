package sqldb

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Micros is the portable column value of a time: microseconds since 1970 UTC,
// truncated. The zero time is 0.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time is the inverse of [Micros], in UTC. 0 is the zero time.
func Time(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// Bool is the portable column value of a boolean: 1 or 0.
func Bool(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Truth is the inverse of [Bool].
func Truth(v int64) bool { return v != 0 }

// checkArgs refuses arguments whose stored form would differ between engines.
func checkArgs(args []any) error {
	for i, arg := range args {
		switch arg.(type) {
		case time.Time, *time.Time:
			return fmt.Errorf("sqldb: argument $%d is a time; store Micros of it", i+1)
		case bool, *bool:
			return fmt.Errorf("sqldb: argument $%d is a bool; store Bool of it", i+1)
		}
	}
	return nil
}

// numbered rewrites $n placeholders into the ?n of SQLite and returns the highest n.
//
// SQLite accepts $n as it is, but as a *name*: it numbers names by their first
// appearance, so "$2, $1" would silently swap the arguments.
func numbered(query string) (string, int, error) {
	if !strings.Contains(query, "$") {
		return query, 0, nil
	}
	var out strings.Builder
	highest := 0
	for i := 0; i < len(query); {
		if n := skip(query[i:]); n > 0 {
			out.WriteString(query[i : i+n])
			i += n
			continue
		}
		if query[i] != '$' {
			out.WriteByte(query[i])
			i++
			continue
		}
		digits := 0
		for i+1+digits < len(query) && query[i+1+digits] >= '0' && query[i+1+digits] <= '9' {
			digits++
		}
		n, err := strconv.Atoi(query[i+1 : i+1+digits])
		if err != nil || n < 1 {
			return "", 0, errors.New("sqldb: a $ in a query must begin a placeholder $1, $2, …")
		}
		out.WriteString("?" + query[i+1:i+1+digits])
		highest = max(highest, n)
		i += 1 + digits
	}
	return out.String(), highest, nil
}

// skip returns the length of the quoted text or comment that s begins with, or 0.
func skip(s string) int {
	end := ""
	switch {
	case s[0] == '\'', s[0] == '"':
		end = s[:1]
	case strings.HasPrefix(s, "--"):
		end = "\n"
	case strings.HasPrefix(s, "/*"):
		end = "*/"
	default:
		return 0
	}
	start := len(end)
	if end == "\n" {
		start = 2
	}
	if n := strings.Index(s[start:], end); n >= 0 {
		return start + n + len(end)
	}
	return len(s)
}
