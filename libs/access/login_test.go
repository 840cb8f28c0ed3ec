package access_test

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
)

// TestLoginID: a log-in is one event, whoever reports it and however often; another token, door, controller or key is another one. The
// id tells nobody the token.
func TestLoginID(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, newIDP(t))
	id := v.LoginID("token", "gateway", "north")
	if again := newVerifier(t, newIDP(t)).LoginID("token", "gateway", "north"); again != id {
		t.Errorf("two gateways with the suite's key say %s and %s", id, again)
	}
	if u, err := uuid.Parse(id); err != nil || u.Version() != 8 || u.Variant() != uuid.RFC4122 || u.String() != id {
		t.Errorf("%s is no UUID of version 8: %v", id, err)
	}
	seen := map[string]string{id: "the first"}
	other := func(what, id string) {
		t.Helper()
		if was, known := seen[id]; known {
			t.Errorf("%s has the id of %s", what, was)
		}
		seen[id] = what
	}
	other("another token", v.LoginID("token2", "gateway", "north"))
	other("another door", v.LoginID("token", "consent", "north"))
	other("another controller", v.LoginID("token", "gateway", "south"))
	other("the whole suite", v.LoginID("token", "gateway", ""))
	other("parts that run together", v.LoginID("token", "gatewayn", "orth"))
	other("parts in another order", v.LoginID("token", "north", "gateway"))
	other("no token", v.LoginID("", "gateway", "north"))
	key := make([]byte, keyring.KeySize)
	key[0] = 1
	k, err := keyring.New(key)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := access.NewVerifier(access.VerifierConfig{Issuer: issuerName, Audience: audience, Keys: new(access.FileKeys), Keyring: k, Clock: clock.NewFake(now)})
	if err != nil {
		t.Fatal(err)
	}
	other("another suite", elsewhere.LoginID("token", "gateway", "north"))
}

// TestDoorsFirst: a token comes for the first time once, also when many come at the same time; one that is forgotten comes again; and
// what is remembered is bounded.
func TestDoorsFirst(t *testing.T) {
	t.Parallel()
	var d access.Doors
	var firsts atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for n := range 500 {
				if d.First(strconv.Itoa(n)) {
					firsts.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := firsts.Load(); n != 500 {
		t.Errorf("500 tokens came for the first time %d times", n)
	}
	d.Forget("7")
	d.Forget("never seen")
	if !d.First("7") || d.First("7") || d.First("8") {
		t.Error("exactly the one that was forgotten comes again")
	}
	for n := range access.MaxSeen + 1 {
		d.First("many " + strconv.Itoa(n))
	}
	if n := d.Remembered(); n > access.MaxSeen || n == 0 {
		t.Errorf("%d tokens are remembered, at most %d should be", n, access.MaxSeen)
	}
	if !d.First("8") {
		t.Error("what was forgotten for want of room counts as seen")
	}
}

// TestDoorsRefusal: refusals for one reason are told of at once, then once a minute with how many there were since; reasons do not hide
// each other; and there are not endlessly many.
func TestDoorsRefusal(t *testing.T) {
	t.Parallel()
	var d access.Doors
	var told []string
	refuse := func(reason string, at time.Duration) {
		if count, due := d.Refusal(reason, now.Add(at)); due {
			told = append(told, fmt.Sprintf("%s %v %d", reason, at, count))
		} else if count != 0 {
			t.Errorf("%s at %v: %d, and it is not due", reason, at, count)
		}
	}
	for s := range 130 {
		refuse("BAD", time.Duration(s)*time.Second)
		if s == 30 {
			refuse("OTHER", 30*time.Second)
		}
	}
	refuse("BAD", time.Hour)
	refuse("BAD", time.Hour+time.Minute-1)
	refuse("BAD", time.Hour+time.Minute)
	want := []string{"BAD 0s 1", "OTHER 30s 1", "BAD 1m0s 60", "BAD 2m0s 60", "BAD 1h0m0s 10", "BAD 1h1m0s 2"}
	if !slices.Equal(told, want) {
		t.Errorf("told\n%q, want\n%q", told, want)
	}
	for n := range 10_000 {
		d.Refusal(strconv.Itoa(n), now)
	}
	if n := d.Reasons(); n > access.MaxReasons || n == 0 {
		t.Errorf("%d reasons are remembered, at most %d should be", n, access.MaxReasons)
	}
}
