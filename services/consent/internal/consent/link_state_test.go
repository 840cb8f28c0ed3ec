package consent_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// TestRecordedLinks: what a naming concerns is all of it, before and after, whether or not it was known, in one order.
func TestRecordedLinks(t *testing.T) {
	t.Parallel()
	u1, mail, other := consent.SubjectRef("u1"), consent.SubjectRef("mail"), consent.SubjectRef("other")
	n := consent.Naming{Revision: 1, Subjects: []consent.SubjectRef{u1, mail}, Primary: []consent.SubjectRef{u1}}
	first, err := consent.LinkTogether(n, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	before, after := first.Recorded(n.Subjects, nil)
	alone := func(ref consent.SubjectRef) consent.Link { return consent.Link{Subject: ref, Person: ref} }
	if d := cmp.Diff(consent.Links{alone(mail), alone(u1)}, before); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(consent.Links{{Subject: mail, Person: u1}, alone(u1)}, after); d != "" {
		t.Error(d)
	}
	second := consent.Naming{Revision: 2, Subjects: []consent.SubjectRef{mail, other}}
	more, err := consent.LinkTogether(second, []consent.Naming{n}, after)
	if err != nil {
		t.Fatal(err)
	}
	was, now := more.Recorded(second.Subjects, after)
	if d := cmp.Diff(consent.Links{{Subject: mail, Person: u1}, alone(other), alone(u1)}, was); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(consent.Links{{Subject: mail, Person: u1}, {Subject: other, Person: u1}, alone(u1)}, now); d != "" {
		t.Error(d)
	}
}
