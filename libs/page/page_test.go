package page_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/page"
)

var key = bytes.Repeat([]byte{7}, page.MinKey)

func binding() page.Binding {
	return page.Binding{Controller: "north-school", Method: "/erasure.v1/List", Filter: "state=RUNNING"}
}

func encode(tb testing.TB, cursor string) string {
	tb.Helper()
	token, err := page.Encode(key, binding(), []byte(cursor))
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func TestSize(t *testing.T) {
	t.Parallel()
	for requested, want := range map[int32]int{0: 50, 1: 1, 50: 50, 1000: 1000, 1001: 1000, math.MaxInt32: 1000} {
		if got, err := page.Size(requested); err != nil || got != want {
			t.Errorf("Size(%d) = %d, %v; want %d", requested, got, err, want)
		}
	}
	for _, negative := range []int32{-1, math.MinInt32} {
		if _, err := page.Size(negative); !errors.Is(err, page.ErrSize) {
			t.Errorf("Size(%d): error = %v, want ErrSize", negative, err)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		b := page.Binding{Controller: rapid.String().Draw(r, "controller"), Method: rapid.String().Draw(r, "method"), Filter: rapid.String().Draw(r, "filter")}
		cursor := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(r, "cursor")
		token, err := page.Encode(key, b, cursor)
		if err != nil {
			r.Fatal(err)
		}
		got, err := page.Decode(key, b, token)
		if err != nil || !bytes.Equal(got, cursor) {
			r.Fatalf("%x came back as %x, %v", cursor, got, err)
		}
		if strings.ContainsAny(token, "+/=&?#% ") {
			r.Fatalf("the token %q needs escaping in a URL", token)
		}
	})
}

func TestForeignToken(t *testing.T) {
	t.Parallel()
	token := encode(t, "01980f0e")
	for name, b := range map[string]page.Binding{
		"another controller": {Controller: "south-school", Method: binding().Method, Filter: binding().Filter},
		"another method":     {Controller: binding().Controller, Method: "/export.v1/List", Filter: binding().Filter},
		"another filter":     {Controller: binding().Controller, Method: binding().Method},
		"shifted parts":      {Controller: binding().Controller + binding().Method, Filter: binding().Filter},
		"nothing":            {},
	} {
		if _, err := page.Decode(key, b, token); !errors.Is(err, page.ErrInvalid) {
			t.Errorf("%s: error = %v, want ErrInvalid", name, err)
		}
	}
	if _, err := page.Decode(bytes.Repeat([]byte{8}, page.MinKey), binding(), token); !errors.Is(err, page.ErrInvalid) {
		t.Errorf("another key: error = %v, want ErrInvalid", err)
	}
}

func TestAlteredToken(t *testing.T) {
	t.Parallel()
	token := encode(t, "01980f0e-8a3c")
	refuse := func(name, altered string) {
		if altered == token {
			return
		}
		if _, err := page.Decode(key, binding(), altered); !errors.Is(err, page.ErrInvalid) {
			t.Errorf("%s: error = %v, want ErrInvalid", name, err)
		}
	}
	for i := range token {
		for _, c := range "AQgw9-_=\n" {
			refuse("changed letter", token[:i]+string(c)+token[i+1:])
			refuse("added letter", token[:i]+string(c)+token[i:])
		}
		if i > 0 {
			refuse("cut off", token[:i])
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	refuse("no cursor", base64.RawURLEncoding.EncodeToString(raw[:32]))
	refuse("standard alphabet", base64.StdEncoding.EncodeToString(raw))
	refuse("padding", base64.URLEncoding.EncodeToString(append(raw, 0)))
	refuse("very long", strings.Repeat("A", 1<<20))
}

func TestEnds(t *testing.T) {
	t.Parallel()
	if token, err := page.Encode(key, binding(), nil); err != nil || token != "" {
		t.Errorf("no further page: %q, %v; want the empty token", token, err)
	}
	if cursor, err := page.Decode(key, binding(), ""); err != nil || cursor != nil {
		t.Errorf("first page: %x, %v; want no cursor", cursor, err)
	}
	if _, err := page.Encode(key, binding(), make([]byte, 4096)); err == nil {
		t.Error("a cursor that makes too long a token is encoded")
	}
	for _, short := range [][]byte{nil, key[:31]} {
		if _, err := page.Encode(short, binding(), []byte("x")); !errors.Is(err, page.ErrKey) {
			t.Errorf("encode with a key of %d bytes: %v, want ErrKey", len(short), err)
		}
		if _, err := page.Decode(short, binding(), ""); !errors.Is(err, page.ErrKey) {
			t.Errorf("decode with a key of %d bytes: %v, want ErrKey", len(short), err)
		}
	}
}

// FuzzDecode expects that only tokens that Encode makes are decoded.
func FuzzDecode(f *testing.F) {
	f.Add(encode(f, "01980f0e"), "north-school")
	f.Add("", "")
	f.Add("AAAA", "x")
	f.Add(strings.Repeat("A", 60)+"\n", "north-school")
	f.Fuzz(func(t *testing.T, token, controller string) {
		b := binding()
		b.Controller = controller
		cursor, err := page.Decode(key, b, token)
		if err != nil {
			if !errors.Is(err, page.ErrInvalid) {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		if again, err := page.Encode(key, b, cursor); err != nil || again != token {
			t.Fatalf("%q decodes to %x, which encodes to %q, %v", token, cursor, again, err)
		}
	})
}
