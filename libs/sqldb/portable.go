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

// checkQuery refuses what one engine would accept and another not, or store otherwise:
// ? parameters, arguments without a parameter, times and booleans.
func checkQuery(query string, args []any) error {
	highest, err := parameters(query)
	if err != nil {
		return err
	}
	if highest != len(args) {
		return fmt.Errorf("sqldb: the query has parameters up to $%d and %d arguments", highest, len(args))
	}
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

// parameters returns the highest n of the $n in a query.
func parameters(query string) (highest int, err error) {
	for i := 0; i < len(query); {
		if n := skip(query[i:]); n > 0 {
			i += n
			continue
		}
		i++
		if query[i-1] != '$' {
			continue
		}
		start := i
		for i < len(query) && query[i] >= '0' && query[i] <= '9' {
			i++
		}
		n, err := strconv.Atoi(query[start:i])
		if err != nil || n < 1 {
			return 0, errors.New("sqldb: a $ in a query must begin a parameter $1, $2, …")
		}
		highest = max(highest, n)
	}
	return highest, nil
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
