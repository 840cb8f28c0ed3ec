package memory

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

func randomPerson(t *rapid.T) consent.Person {
	activities := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,62}`), 0, 6, rapid.ID[string]).Draw(t, "activities")
	p := consent.Person{Erased: rapid.Bool().Draw(t, "erased")}
	for _, a := range activities {
		c := consent.Consent{Activity: consent.ActivityID(a), ID: consent.ConsentID(uuid.New().String()), Sufficient: rapid.Bool().Draw(t, "sufficient"),
			GiveRevision: consent.Revision(rapid.Uint32().Draw(t, "given")), WithdrawRevision: consent.Revision(rapid.Uint32().Draw(t, "withdrawn"))}
		if rapid.Bool().Draw(t, "expires") {
			c.ExpireTime = time.UnixMicro(rapid.Int64Range(-1<<50, 1<<50).Filter(func(n int64) bool { return n != 0 }).Draw(t, "at")).UTC()
		}
		p.Consents = append(p.Consents, c)
	}
	ids := rapid.SliceOfN(rapid.StringMatching(`[a-z]{0,9}`), 0, 3)
	for _, id := range ids.Draw(t, "objected") {
		p.Objected = append(p.Objected, consent.ActivityID(id))
	}
	for _, id := range ids.Draw(t, "restricted") {
		p.Restricted = append(p.Restricted, consent.ActivityID(id))
	}
	for _, id := range ids.Draw(t, "linked") {
		p.Linked = append(p.Linked, consent.SubjectRef("sub_"+id))
	}
	return p
}

// TestPeopleComeBack: what is remembered of a person is what decides about their part in an activity, whichever is asked about.
func TestPeopleComeBack(t *testing.T) {
	t.Parallel()
	p := newPeople(0)
	t.Cleanup(p.cache.Reset)
	rapid.Check(t, func(t *rapid.T) {
		ref := consent.SubjectRef(rapid.OneOf(rapid.StringMatching(`sub_[0-9a-f]{40}`), rapid.StringMatching(`sub_[0-9A-F]{40}`), rapid.StringMatching(`[a-z_]{1,70}`)).Draw(t, "ref"))
		known := randomPerson(t)
		p.set(7, ref, known)
		for _, activity := range append([]consent.Consent{{Activity: "never-agreed-to"}}, known.Consents...) {
			want := known
			want.Consents = nil
			if activity.ID != "" {
				want.Consents = []consent.Consent{activity}
			}
			got, ok := p.get(7, ref, activity.Activity)
			if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); !ok || d != "" {
				t.Fatalf("%v %s", ok, d)
			}
		}
		if _, ok := p.get(8, ref, "x"); ok {
			t.Fatal("another school knows the person")
		}
		p.drop(7, ref)
		if _, ok := p.get(7, ref, "x"); ok {
			t.Fatal("somebody who was dropped is remembered")
		}
	})
}

// TestKeysAreApart: no two pseudonyms have one key, in whatever form.
func TestKeysAreApart(t *testing.T) {
	t.Parallel()
	digits := "0123456789abcdef0123456789abcdef01234567"
	seen := map[string]string{}
	for _, ref := range []string{"sub_" + digits, "sub_" + digits[:39], "sub_" + digits + "0", "SUB_" + digits, "sub_0123456789ABCDEF0123456789ABCDEF01234567",
		digits, "", "sub_", "sub_zz23456789abcdef0123456789abcdef01234567", string([]byte{1})} {
		key := string(keyOf(nil, 1, consent.SubjectRef(ref)))
		if other, taken := seen[key]; taken {
			t.Errorf("%q and %q have one key", ref, other)
		}
		seen[key] = ref
	}
	if bytes.Equal(keyOf(nil, 1, "sub_"), keyOf(nil, 256, "sub_")) {
		t.Error("two schools have one key")
	}
}

// TestPeopleAreBounded: whoever is remembered last is there, and there are no more than fit.
func TestPeopleAreBounded(t *testing.T) {
	t.Parallel()
	p := newPeople(0)
	t.Cleanup(p.cache.Reset)
	known := consent.Person{Consents: []consent.Consent{{Activity: "photos", ID: consent.ConsentID(uuid.New().String()), GiveRevision: 3}}}
	const most = 1_200_000
	for i := range most {
		p.set(1, consent.SubjectRef(fmt.Sprintf("sub_%040x", i)), known)
	}
	there := 0
	for i := range most {
		if _, ok := p.get(1, consent.SubjectRef(fmt.Sprintf("sub_%040x", i)), "photos"); ok {
			there++
		}
	}
	if _, ok := p.get(1, consent.SubjectRef(fmt.Sprintf("sub_%040x", most-1)), "photos"); !ok || there == most || there < most/10 {
		t.Errorf("%d of %d are remembered, the last one: %v", there, most, ok)
	}
}

// TestWhatIsTooLongIsNotRemembered, and what was remembered before is forgotten.
func TestWhatIsTooLongIsNotRemembered(t *testing.T) {
	t.Parallel()
	p := newPeople(0)
	t.Cleanup(p.cache.Reset)
	p.set(1, "sub_a", consent.Person{Erased: true})
	long := consent.Person{}
	for i := range 2000 {
		long.Linked = append(long.Linked, consent.SubjectRef(fmt.Sprintf("sub_%040x", i)))
	}
	p.set(1, "sub_a", long)
	if got, ok := p.get(1, "sub_a", "photos"); ok {
		t.Errorf("remembered: %v", got)
	}
}

// FuzzDecode: whatever the bytes, reading them ends, and ends well.
func FuzzDecode(f *testing.F) {
	good, _ := encode(consent.Person{Linked: []consent.SubjectRef{"sub_1"}, Consents: []consent.Consent{{Activity: "photos", ID: consent.ConsentID(uuid.New().String())}}})
	f.Add(good)
	f.Add([]byte{2, 255, 255, 255, 255, 15})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if got, ok := decode(raw, "photos"); ok && len(got.Linked) > len(raw) {
			t.Error("more came out than was in it")
		}
	})
}
