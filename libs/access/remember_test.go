package access

import (
	"crypto/sha256"
	"strconv"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
)

func TestRemembered(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	mine, other := jwk.NewSet(), jwk.NewSet()
	asking := 0
	for name, test := range map[string]struct {
		token string
		keys  jwk.Set
		at    time.Time
		want  bool
	}{
		"at once":           {"token", mine, now, true},
		"shortly after":     {"token", mine, now.Add(rememberFor - 1), true},
		"too late":          {"token", mine, now.Add(rememberFor), false},
		"clock set back":    {"token", mine, now.Add(-1), false},
		"other keys, asked": {"token", other, now.Add(askEvery), false},
		"keys not asked":    {"token", other, now.Add(askEvery - 1), true},
		"another token":     {"token.", mine, now, false},
		"nothing but bytes": {"", mine, now, false},
	} {
		var r remembered
		r.put("token", &good{caller: Caller{Ref: "usr_1"}, keys: mine, at: now, until: now.Add(rememberFor)})
		if caller, ok := r.get(test.token, test.at, func() (jwk.Set, error) { asking++; return test.keys, nil }); ok != test.want || ok && caller.Ref != "usr_1" {
			t.Errorf("%s: %v, %v", name, caller, ok)
		}
	}
	if asking == 0 {
		t.Error("the keys were never asked for")
	}
	var r remembered
	for i := range 2*maxRemembered + 5 {
		r.put(strconv.Itoa(i), &good{keys: mine, at: now, until: now.Add(time.Second)})
	}
	if n := len(r.of); n > maxRemembered || n == 0 {
		t.Errorf("%d tokens are remembered, want at most %d", n, maxRemembered)
	}
	if _, ok := r.of[sha256.Sum256([]byte("4"))]; ok {
		t.Error("an old token was kept where there was no room")
	}
}
