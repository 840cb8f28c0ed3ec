package consent_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// linker keeps what a store would: it hands over everything it knows, which is more than a store does, and no less.
type linker struct {
	namings []consent.Naming
	links   consent.Links
}

// name names identifiers, separated by spaces, as one person's; those that begin with `u` are primary.
func (l *linker) name(refs string) (consent.Union, error) {
	n := consent.Naming{Revision: consent.Revision(len(l.namings) + 1)}
	for _, ref := range strings.Fields(refs) {
		n.Subjects = append(n.Subjects, consent.SubjectRef(ref))
		if ref[0] == 'u' {
			n.Primary = append(n.Primary, consent.SubjectRef(ref))
		}
	}
	u, err := consent.LinkTogether(n, l.namings, l.links)
	if err != nil {
		return u, err
	}
	if len(u.Naming.Subjects) > 0 {
		l.namings = append(l.namings, u.Naming)
	}
	for _, changed := range u.Changed {
		l.links = slices.DeleteFunc(l.links, func(x consent.Link) bool { return x.Subject == changed.Subject })
		l.links = append(l.links, changed)
	}
	slices.SortFunc(l.links, func(a, b consent.Link) int { return cmp.Compare(a.Subject, b.Subject) })
	return u, nil
}

// of gives all of a person's identifiers, in order.
func (l *linker) of(ref string) string {
	all := l.links.Expand([]consent.SubjectRef{consent.SubjectRef(ref)})
	slices.Sort(all)
	return spaced(all)
}

func spaced(refs []consent.SubjectRef) string {
	var texts []string
	for _, r := range refs {
		texts = append(texts, string(r))
	}
	return strings.Join(texts, " ")
}

func TestLinkTogether(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		calls  []string
		shared string            // of the last call
		want   map[string]string // identifier: all of the person
	}{
		"two":               {[]string{"u1 m"}, "", map[string]string{"u1": "m u1", "m": "m u1", "x": "x"}},
		"groups meet":       {[]string{"u1 m", "p q", "m p"}, "", map[string]string{"u1": "m p q u1", "q": "m p q u1"}},
		"without a primary": {[]string{"m p", "p q"}, "", map[string]string{"m": "m p q"}},
		"a family's address": {[]string{"u1 mail", "u2 mail"}, "mail",
			map[string]string{"u1": "u1", "u2": "u2", "mail": "mail"}},
		"shared for good": {[]string{"u1 mail", "u2 mail", "u1 mail phone"}, "mail",
			map[string]string{"u1": "phone u1", "mail": "mail", "u2": "u2"}},
		"the others go on": {[]string{"u1 mail e1", "u2 mail e2"}, "mail",
			map[string]string{"u1": "e1 u1", "u2": "e2 u2", "mail": "mail"}},
		"what it alone had joined comes apart": {[]string{"u1 mail", "mail phone", "u2 mail"}, "mail",
			map[string]string{"u1": "u1", "phone": "phone", "u2": "u2"}},
		"and what another joins does not": {[]string{"u1 mail", "mail phone", "u1 phone", "u2 mail"}, "mail",
			map[string]string{"u1": "phone u1", "mail": "mail", "u2": "u2"}},
		"two persons' addresses": {[]string{"u1 m1", "u2 m2", "m1 m2 x y"}, "m1 m2",
			map[string]string{"u1": "u1", "u2": "u2", "m1": "m1", "m2": "m2", "x": "x y"}},
		"said again": {[]string{"u1 m p", "m u1"}, "", map[string]string{"u1": "m p u1"}},
		"a second way to the same": {[]string{"u1 m", "m p", "u1 p"}, "",
			map[string]string{"u1": "m p u1"}},
	} {
		l := &linker{}
		var last consent.Union
		for _, call := range test.calls {
			u, err := l.name(call)
			if err != nil {
				t.Fatalf("%s: %s: %v", name, call, err)
			}
			last = u
		}
		if got := spaced(last.Shared); got != test.shared {
			t.Errorf("%s: shared %q, want %q", name, got, test.shared)
		}
		for ref, want := range test.want {
			if got := l.of(ref); got != want {
				t.Errorf("%s: %s is %q, want %q", name, ref, got, want)
			}
		}
	}
}

// Saying the same again, or less, changes nothing.
func TestLinkAgain(t *testing.T) {
	t.Parallel()
	l := &linker{}
	for i, call := range []string{"u1 m p", "u1 m p", "p m"} {
		u, err := l.name(call)
		if err != nil || spaced(u.Subjects) == "" {
			t.Fatalf("%+v, %v", u, err)
		}
		if news := len(u.Changed) + len(u.Touched) + len(u.Naming.Subjects); (news > 0) != (i == 0) {
			t.Errorf("call %d: %+v", i, u)
		}
	}
}

// Two primary identifiers are two persons, now or since an earlier call, whatever the type is called today.
func TestTwoPersonsAreNeverLinked(t *testing.T) {
	t.Parallel()
	l := &linker{}
	if _, err := l.name("u1 u2 m"); !fault.Is(err, "TWO_PERSONS") || fault.From(err).Kind() != fault.Invalid || len(fault.From(err).Violations()) != 1 {
		t.Errorf("%v", err)
	}
	if len(l.links)+len(l.namings) != 0 {
		t.Errorf("%v %v", l.links, l.namings)
	}
	for _, call := range []string{"u1 m", "u2 p"} {
		if _, err := l.name(call); err != nil {
			t.Fatal(err)
		}
	}
	n := consent.Naming{Revision: 9, Subjects: []consent.SubjectRef{"u1", "u2"}} // of another primary type by now
	if _, err := consent.LinkTogether(n, l.namings, l.links); !fault.Is(err, "TWO_PERSONS") {
		t.Errorf("%v", err)
	}
}

func TestLinksExpandAndPersons(t *testing.T) {
	t.Parallel()
	l := &linker{}
	for _, call := range []string{"u1 m", "p q", "u1 s", "u2 s"} {
		if _, err := l.name(call); err != nil {
			t.Fatal(err)
		}
	}
	for refs, want := range map[string][2]string{
		"m": {"m u1", "m u1"}, "u1": {"u1 m", "u1"}, "q": {"q p", "q p"}, "s": {"s", "s"}, "x m": {"x m u1", "x m u1"}, "s u1": {"s u1 m", "s u1"},
	} {
		var list []consent.SubjectRef
		for _, r := range strings.Fields(refs) {
			list = append(list, consent.SubjectRef(r))
		}
		if d := gocmp.Diff(want, [2]string{spaced(l.links.Expand(list)), spaced(l.links.WithPersons(list))}); d != "" {
			t.Errorf("%s: %s", refs, d)
		}
	}
}

// Whatever is named: no two primary identifiers are ever one person's, what is shared stays so and links nothing, one person is the
// same seen from each identifier, and all whose persons have changed are told.
func TestLinksKeepTheirPromises(t *testing.T) {
	t.Parallel()
	everybody := []string{"u1", "u2", "u3", "a", "b", "c", "d"}
	rapid.Check(t, func(r *rapid.T) {
		l, shared, with := &linker{}, map[consent.SubjectRef]bool{}, map[string]map[string]bool{}
		for range rapid.IntRange(1, 12).Draw(r, "calls") {
			before := map[string]string{}
			for _, ref := range everybody {
				before[ref] = l.of(ref)
			}
			call := rapid.SliceOfNDistinct(rapid.SampledFrom(everybody), 2, 4, rapid.ID).Draw(r, "identifiers")
			u, err := l.name(strings.Join(call, " "))
			if err != nil {
				continue
			}
			for _, ref := range everybody {
				if l.of(ref) != before[ref] && !slices.Contains(u.Touched, consent.SubjectRef(ref)) {
					r.Fatalf("%v: %s is another person and was not told", call, ref)
				}
			}
			for _, link := range l.links {
				if shared[link.Subject] && !link.Shared {
					r.Fatalf("%s is not shared any more", link.Subject)
				}
				shared[link.Subject] = link.Shared
			}
			note(with, call)
			for ref, primaries := range with {
				if len(primaries) > 1 && !shared[consent.SubjectRef(ref)] {
					r.Fatalf("%s was named with %v and is not shared", ref, primaries)
				}
			}
			l.verify(r, everybody, shared)
		}
	})
}

// note notes with which primary identifiers others were named.
func note(with map[string]map[string]bool, call []string) {
	for _, ref := range call {
		for _, other := range call {
			if ref[0] != 'u' && other[0] == 'u' {
				if with[ref] == nil {
					with[ref] = map[string]bool{}
				}
				with[ref][other] = true
			}
		}
	}
}

func (l *linker) verify(r *rapid.T, everybody []string, shared map[consent.SubjectRef]bool) {
	for _, ref := range everybody {
		all := strings.Fields(l.of(ref))
		if strings.Count(strings.Join(all, " "), "u") > 1 {
			r.Fatalf("%s is two persons: %v", ref, all)
		}
		for _, other := range all {
			if len(all) > 1 && shared[consent.SubjectRef(other)] {
				r.Fatalf("%s is shared and linked to %v", other, all)
			}
			if l.of(other) != l.of(ref) {
				r.Fatalf("%s is %q, and %s is %q", ref, l.of(ref), other, l.of(other))
			}
		}
	}
}
