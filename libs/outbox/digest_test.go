package outbox_test

import (
	"regexp"
	"testing"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

var sixtyFour = regexp.MustCompile(`^[0-9a-f]{64}$`)

func keyed(t *testing.T, f fixture, master byte) *outbox.Outbox {
	t.Helper()
	key := make([]byte, keyring.KeySize)
	key[0] = master
	k, err := keyring.New(key)
	if err != nil {
		t.Fatal(err)
	}
	o, err := outbox.New(t.Context(), outbox.Config{Service: "consent", DB: f.db, Clock: clock.NewFake(noon), NewID: ids(), Keyring: k})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// digests records one event and gives its two digests, as the audit service gets them.
func digests(t *testing.T, f fixture, o *outbox.Outbox, change func(*outbox.Event)) (before, after string) {
	t.Helper()
	e := event(1)
	e.Controller = "north"
	change(&e)
	if err := o.RecordAlone(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	sink := &auditd{seen: map[string]bool{}}
	if err := o.Flush(t.Context(), sink); err != nil {
		t.Fatal(err)
	}
	got := sink.got()
	return got[len(got)-1].GetBeforeDigest(), got[len(got)-1].GetAfterDigest()
}

// TestDigestsOfResources: the same resource has the same digest, whichever side of a change it stands on; another resource, another
// controller or another key has another one; and what is not there has none.
func TestDigestsOfResources(t *testing.T) {
	t.Parallel()
	f := newFixture(t, sqldb.SQLite)
	o := keyed(t, f, 1)
	school := &consentv1.Controller{Name: "controllers/north", DisplayName: "Nørre Skole"}
	before, first := digests(t, f, o, func(e *outbox.Event) { e.After = school })
	if before != "" || !sixtyFour.MatchString(first) {
		t.Errorf("a creation has the digests %q and %q", before, first)
	}
	again, after := digests(t, f, o, func(e *outbox.Event) {
		e.Before, e.After = school, &consentv1.Controller{Name: "controllers/north", DisplayName: "Nørre Skole "}
	})
	if again != first || after == first {
		t.Errorf("unchanged %t, changed %t", again == first, after != first)
	}
	if _, gone := digests(t, f, o, func(e *outbox.Event) { e.Before = school }); gone != "" {
		t.Errorf("a deletion has a digest of what is left: %q", gone)
	}
	if _, elsewhere := digests(t, f, o, func(e *outbox.Event) { e.Controller, e.After = "south", school }); elsewhere == first {
		t.Error("two controllers' digests can be compared")
	}
	if _, other := digests(t, f, keyed(t, f, 2), func(e *outbox.Event) { e.After = school }); other == first {
		t.Error("the digest can be made without the key")
	}
	type row struct{ B, A string }
	_, x := digests(t, f, o, func(e *outbox.Event) { e.After = row{"1", "2"} })
	_, y := digests(t, f, o, func(e *outbox.Event) { e.After = map[string]string{"A": "2", "B": "1"} })
	if x != y {
		t.Error("the digest depends on how the resource is held, not on what it says")
	}
}

// TestDigestsThatCannotBeMade refuse the event, and the change with it.
func TestDigestsThatCannotBeMade(t *testing.T) {
	t.Parallel()
	f := newFixture(t, sqldb.SQLite)
	for name, tc := range map[string]struct {
		o      *outbox.Outbox
		change func(*outbox.Event)
	}{
		"no key":           {f.Outbox, func(e *outbox.Event) { e.After = "x" }},
		"no JSON":          {keyed(t, f, 1), func(e *outbox.Event) { e.Before = func() {} }},
		"upper case":       {f.Outbox, func(e *outbox.Event) { e.BeforeDigest = "AB" }},
		"a shorter digest": {f.Outbox, func(e *outbox.Event) { e.AfterDigest = "ab" }},
	} {
		e := event(1)
		tc.change(&e)
		if err := tc.o.RecordAlone(t.Context(), e); err == nil {
			t.Errorf("%s: recorded", name)
		}
	}
	if n := f.pending(t); n != 0 {
		t.Errorf("%d events wait", n)
	}
}
