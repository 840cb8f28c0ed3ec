package consent_test

import (
	"bytes"
	"encoding/base64"
	"testing"

	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

var tokens = consent.NewTokens(bytes.Repeat([]byte{7}, 32))

func TestTokensRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rev := consent.Revision(rapid.Int64Min(0).Draw(t, "revision"))
		got, err := tokens.Read("school-a", tokens.Make("school-a", rev))
		if err != nil || got != rev {
			t.Fatalf("%d came back as %d, %v", rev, got, err)
		}
	})
}

// Every single altered bit, another controller and another key are refused, all with the same words.
func TestTokensRefuseWhatTheyDidNotMake(t *testing.T) {
	t.Parallel()
	good := tokens.Make("school-a", 41)
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	bad := []string{"", "x", good + "A", good[1:], good + "\n", good + "="}
	for i := range len(raw) * 8 {
		altered := bytes.Clone(raw)
		altered[i/8] ^= 1 << (i % 8)
		bad = append(bad, base64.RawURLEncoding.EncodeToString(altered))
	}
	bad = append(bad, tokens.Make("school-b", 41), consent.NewTokens(bytes.Repeat([]byte{8}, 32)).Make("school-a", 41))
	messages := map[string]bool{}
	for _, token := range bad {
		_, err := tokens.Read("school-a", token)
		if fault.From(err).Kind() != fault.Invalid || !fault.Is(err, "TOKEN_INVALID") {
			t.Errorf("%q: %v", token, err)
			continue
		}
		messages[fault.From(err).Message()] = true
	}
	if len(messages) != 1 {
		t.Errorf("the refusals differ: %v", messages)
	}
}

func FuzzTokens(f *testing.F) {
	f.Add(tokens.Make("school-a", 1))
	f.Add(tokens.Make("school-b", 1))
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		rev, err := tokens.Read("school-a", token)
		if err == nil && tokens.Make("school-a", rev) != token {
			t.Errorf("%q was read as revision %d", token, rev)
		}
	})
}
