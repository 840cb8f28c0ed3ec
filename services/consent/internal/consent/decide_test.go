package consent_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

var bases = []consent.LegalBasis{
	consent.BasisConsent, consent.BasisContract, consent.BasisLegalObligation,
	consent.BasisVitalInterests, consent.BasisPublicTask, consent.BasisLegitimateInterests,
}

// situation is one thing that is so, with the reason it gives for each basis.
type situation struct {
	name string
	set  func(*consent.Question, *consent.Snapshot)
	// always is the reason whatever the basis; empty: the basis decides.
	always consent.Reason
	// byConsent is the reason where the basis is consent, and objected where it can be objected to.
	byConsent, objected consent.Reason
}

// situations in the order in which their reasons are tried.
var situations = []situation{
	{name: "unknown activity", always: consent.UnknownActivity, set: func(_ *consent.Question, s *consent.Snapshot) { s.Activity = nil }},
	{name: "archived", always: consent.ActivityArchived, set: func(_ *consent.Question, s *consent.Snapshot) {
		if s.Activity != nil {
			s.Activity.Archived = true
		}
	}},
	{name: "other recipient", always: consent.RecipientNotInstructed, set: func(q *consent.Question, _ *consent.Snapshot) { q.Recipient = "stranger" }},
	{name: "other place", always: consent.LocationNotApproved, set: func(q *consent.Question, _ *consent.Snapshot) { q.Location = "US" }},
	{name: "other category", always: consent.DataCategoryNotCovered, set: func(q *consent.Question, _ *consent.Snapshot) {
		q.DataCategories = []string{"identity", "health"}
	}},
	{name: "erased", always: consent.SubjectErased, set: func(_ *consent.Question, s *consent.Snapshot) { s.Erased = true }},
	{name: "restricted", always: consent.Restricted, set: func(_ *consent.Question, s *consent.Snapshot) { s.Restricted = true }},
	{name: "objected", objected: consent.Objected, set: func(_ *consent.Question, s *consent.Snapshot) { s.Objected = true }},
	{name: "no consent", byConsent: consent.NoConsent, set: func(_ *consent.Question, s *consent.Snapshot) { s.Consent = nil }},
	{name: "withdrawn", byConsent: consent.ConsentWithdrawn, set: onConsent(func(c *consent.Consent) { c.WithdrawRevision = 9 })},
	{name: "expired", byConsent: consent.ConsentExpired, set: onConsent(func(c *consent.Consent) { c.ExpireTime = noon })},
	{name: "too young", byConsent: consent.GuardianConsentRequired, set: onConsent(func(c *consent.Consent) { c.Sufficient = false })},
	{name: "stale", always: consent.FreshnessUnprovable, set: func(_ *consent.Question, s *consent.Snapshot) { s.Stale = true }},
}

func onConsent(change func(*consent.Consent)) func(*consent.Question, *consent.Snapshot) {
	return func(_ *consent.Question, s *consent.Snapshot) {
		if s.Consent != nil {
			change(s.Consent)
		}
	}
}

func (s situation) reason(b consent.LegalBasis) consent.Reason {
	switch {
	case s.always != "":
		return s.always
	case b == consent.BasisConsent && s.byConsent != "":
		return s.byConsent
	case b.Objectionable() && s.objected != "":
		return s.objected
	}
	return ""
}

func good(b consent.LegalBasis) (consent.Question, consent.Snapshot) {
	return consent.Question{Activity: "learning", Recipient: "publisher", DataCategories: []string{"identity"}, Location: "DK"},
		consent.Snapshot{
			Now: noon,
			Activity: &consent.Activity{ID: "learning", Basis: b, Version: 3, Recipients: []string{"publisher"},
				DataCategories: []string{"identity", "usage"}, Locations: []string{"DK", "SE"}},
			Consent: &consent.Consent{ID: "c1", Sufficient: true, GiveRevision: 5, ExpireTime: noon.Add(time.Second)},
		}
}

func holds(b consent.LegalBasis) consent.Reason {
	if b == consent.BasisConsent {
		return consent.ConsentHolds
	}
	return consent.LegalBasisHolds
}

func TestDecideEveryBasisAndSituation(t *testing.T) {
	t.Parallel()
	for _, b := range bases {
		q, s := good(b)
		if d := consent.Decide(q, s); !d.Allowed || d.Reason != holds(b) || d.Version != 3 || d.Basis != b {
			t.Errorf("%s with nothing against it: %+v", b, d)
		}
		for _, situation := range situations {
			q, s := good(b)
			situation.set(&q, &s)
			want := situation.reason(b)
			d := consent.Decide(q, s)
			if want == "" {
				if !d.Allowed || d.Reason != holds(b) {
					t.Errorf("%s, %s: %+v, want it allowed", b, situation.name, d)
				}
				continue
			}
			if d.Allowed || d.Reason != want {
				t.Errorf("%s, %s: %+v, want denied for %s", b, situation.name, d, want)
			}
		}
	}
}

// Whatever is so at once, the first reason in the order decides, and nothing is allowed while any reason holds.
func TestDecideTriesReasonsInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SampledFrom(bases).Draw(t, "basis")
		q, s := good(b)
		want := holds(b)
		for _, situation := range slices.Backward(situations) {
			if rapid.Bool().Draw(t, situation.name) {
				situation.set(&q, &s)
				if r := situation.reason(b); r != "" {
					want = r
				}
			}
		}
		d := consent.Decide(q, s)
		if d.Reason != want || d.Allowed != (want == holds(b)) {
			t.Fatalf("%+v, want %s", d, want)
		}
	})
}

func TestDecideNamesTheConsentThatDecided(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		situation string
		want      consent.ConsentID
	}{{"", "c1"}, {"withdrawn", "c1"}, {"expired", "c1"}, {"too young", "c1"}, {"erased", ""}, {"no consent", ""}, {"stale", ""}} {
		q, s := good(consent.BasisConsent)
		if i := slices.IndexFunc(situations, func(x situation) bool { return x.name == test.situation }); i >= 0 {
			situations[i].set(&q, &s)
		}
		d := consent.Decide(q, s)
		if d.Consent != test.want {
			t.Errorf("%q: consent %q, want %q", test.situation, d.Consent, test.want)
		}
		if ends := !d.ExpireTime.IsZero(); ends != d.Allowed || ends && !d.ExpireTime.Equal(s.Consent.ExpireTime) {
			t.Errorf("%q: ends at %v", test.situation, d.ExpireTime)
		}
	}
	q, s := good(consent.BasisPublicTask)
	if got := consent.Decide(q, s).Consent; got != "" {
		t.Errorf("a public task was decided by consent %q", got)
	}
}

func TestDecideAsksNothingOfWhatIsNotNamed(t *testing.T) {
	t.Parallel()
	_, s := good(consent.BasisPublicTask)
	s.Activity.Recipients, s.Activity.DataCategories, s.Activity.Locations = nil, nil, nil
	if d := consent.Decide(consent.Question{Activity: "learning"}, s); !d.Allowed {
		t.Errorf("%+v, want it allowed", d)
	}
}

func TestExplainEveryReason(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	check := func(d consent.Decision, article string) {
		now, then := consent.Explain(d, false), consent.Explain(d, true)
		texts := map[string]string{"da": now.DA, "en": now.EN, "da, past": then.DA, "en, past": then.EN}
		if d.Reason == consent.FreshnessUnprovable { // which can be said of now alone
			delete(texts, "da, past")
			delete(texts, "en, past")
		}
		for language, s := range texts {
			if !strings.Contains(s, "GDPR art. "+article) || !strings.HasSuffix(s, ".") || seen[s] {
				t.Errorf("%s %s %s: %q", d.Reason, d.Basis, language, s)
			}
			seen[s] = true
		}
	}
	for _, b := range bases[1:] {
		check(consent.Decision{Reason: consent.LegalBasisHolds, Basis: b, Allowed: true}, b.Article())
	}
	check(consent.Decision{Reason: consent.ConsentHolds, Basis: consent.BasisConsent, Allowed: true}, "6(1)(a)")
	articles := map[consent.Reason]string{
		consent.SubjectErased: "17", consent.Restricted: "18", consent.Objected: "21",
		consent.ConsentWithdrawn: "7(3)", consent.GuardianConsentRequired: "8(1)",
	}
	for _, s := range situations {
		for _, r := range []consent.Reason{s.always, s.byConsent, s.objected} {
			if r != "" {
				check(consent.Decision{Reason: r, Basis: consent.BasisConsent}, articles[r])
			}
		}
	}
}

func TestArticles(t *testing.T) {
	t.Parallel()
	var got []string
	for _, b := range append(bases, "", "OTHER") {
		got = append(got, b.Article())
	}
	want := []string{"6(1)(a)", "6(1)(b)", "6(1)(c)", "6(1)(d)", "6(1)(e)", "6(1)(f)", "", ""}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
