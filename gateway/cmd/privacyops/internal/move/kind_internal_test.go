package move

import (
	"bytes"
	"testing"
)

func TestDocument(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]any{
		`{"b": 1, "a": [true, null, "é<"]}`:                                     `{"a":[true,null,"é<"],"b":1}`,
		`{"n": 1.50, "m": 1e2, "o": -0, "p": 0.001, "q": 12345678901234567890}`: `{"m":100,"n":1.5,"o":0,"p":0.001,"q":12345678901234567890}`,
		`[]`: `[]`,
	} {
		if got, err := document(in); err != nil || got != want {
			t.Errorf("%s becomes %v %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []any{`{`, `{} {}`, ``, int64(1), "{\"a\":\"\x00\"}"} {
		if got, err := document(in); err == nil {
			t.Errorf("%v becomes %v", in, got)
		}
	}
}

func TestMoment(t *testing.T) {
	t.Parallel()
	const want = int64(1767323045678000)
	for _, in := range []any{"2026-01-02 03:04:05.678", "2026-01-02 03:04:05.678+00:00", "2026-01-02 04:04:05.678 +0100 CET m=+0.1", "2026-01-02T03:04:05.678Z", want} {
		if got, err := moment(in); err != nil || got != want {
			t.Errorf("%v becomes %v %v, want %v", in, got, err, want)
		}
	}
	if got, err := moment("yesterday"); err == nil {
		t.Errorf("yesterday becomes %v", got)
	}
	if got, err := moment(nil); got != nil || err != nil {
		t.Errorf("no time becomes %v %v", got, err)
	}
}

// TestEncoded checks that rows that differ only in where a value ends, or in its type, have different bytes.
func TestEncoded(t *testing.T) {
	t.Parallel()
	rows := [][]any{{"ab", "c"}, {"a", "bc"}, {"abc", nil}, {nil, "abc"}, {[]byte("abc"), nil}, {"abc", ""}, {int64(1), nil}, {"\x00\x00\x00\x00\x00\x00\x00\x01", nil}}
	for i, a := range rows {
		for j, b := range rows {
			if same := bytes.Equal(encoded(a), encoded(b)); same != (i == j) {
				t.Errorf("rows %d and %d: same bytes %v", i, j, same)
			}
		}
	}
}

func TestUnknownType(t *testing.T) {
	t.Parallel()
	if _, ok := kindOf("double precision"); ok {
		t.Error("a type is carried that nobody has thought about")
	}
	if k, ok := kindOf("consent.river_job_state"); !ok || on(k.write, "c1") != "c1::consent.river_job_state" {
		t.Errorf("a job's state is written as %q", k.write)
	}
}

func TestCircle(t *testing.T) {
	t.Parallel()
	tables := map[string]table{"a": {name: "a"}, "b": {name: "b"}}
	if got, err := ordered([]string{"a", "b"}, tables, map[string][]string{"a": {"b"}}); err != nil || got[0].name != "b" {
		t.Errorf("the order is %v %v, want b before a", got, err)
	}
	if got, err := ordered([]string{"a", "b"}, tables, map[string][]string{"a": {"b"}, "b": {"a"}}); err == nil {
		t.Errorf("a circle has the order %v", got)
	}
}

// FuzzDocument checks that a document in its one form stays as it is.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{`{"a":1.0}`, `[1e400, -0.0, 1E-5]`, `"x"`, `{"b":{"a":[0.10]}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		once, err := document(in)
		if err != nil {
			return
		}
		twice, err := document(once)
		if err != nil || once != twice {
			t.Errorf("%q becomes %q, and that %q %v", in, once, twice, err)
		}
	})
}
