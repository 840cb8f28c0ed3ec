package consent_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

func TestGive(t *testing.T) {
	t.Parallel()
	born := func(s string) *clock.Date { d := day(t, s); return &d }
	concerning := func(categories ...string) func(*consent.Activity) {
		return func(a *consent.Activity) { a.SubjectCategories = categories }
	}
	for name, test := range map[string]struct {
		giving     consent.Giving
		change     func(*consent.Activity)
		at         time.Time
		reason     string
		sufficient bool
	}{
		"an adult":                        {giving: consent.Giving{Capacity: consent.Self, BirthDate: born("1980-01-01")}, sufficient: true},
		"nobody says how old":             {giving: consent.Giving{Capacity: consent.Self}, sufficient: true},
		"nor where it matters":            {giving: consent.Giving{Capacity: consent.Self}, change: concerning("teachers", "primary-pupils")},
		"nor where it does not":           {giving: consent.Giving{Capacity: consent.Self}, change: concerning("teachers"), sufficient: true},
		"a guardian, where it matters":    {giving: consent.Giving{Capacity: consent.Guardian}, change: concerning("pupils"), sufficient: true},
		"an adult, where it matters":      {giving: consent.Giving{Capacity: consent.Self, BirthDate: born("1980-01-01")}, change: concerning("pupils"), sufficient: true},
		"a child alone":                   {giving: consent.Giving{Capacity: consent.Self, BirthDate: born("2014-05-01")}},
		"a guardian":                      {giving: consent.Giving{Capacity: consent.Guardian, BirthDate: born("2014-05-01")}, sufficient: true},
		"a child from the future":         {giving: consent.Giving{Capacity: consent.Guardian, BirthDate: born("2026-03-03")}, reason: "INVALID_ARGUMENT"},
		"born today":                      {giving: consent.Giving{Capacity: consent.Guardian, BirthDate: born("2026-03-02")}, sufficient: true},
		"15 in Denmark, not yet in UTC":   {giving: consent.Giving{Capacity: consent.Self, BirthDate: born("2011-03-03")}, at: noon.Add(11*time.Hour + 30*time.Minute), sufficient: true},
		"15 tomorrow":                     {giving: consent.Giving{Capacity: consent.Self, BirthDate: born("2011-03-03")}, at: noon.Add(10*time.Hour + 30*time.Minute)},
		"ends later":                      {giving: consent.Giving{Capacity: consent.Self, ExpireTime: noon.Add(time.Microsecond)}, sufficient: true},
		"ends now":                        {giving: consent.Giving{Capacity: consent.Self, ExpireTime: noon}, reason: "INVALID_ARGUMENT"},
		"back-dated end":                  {giving: consent.Giving{Capacity: consent.Self, ExpireTime: noon.Add(-time.Hour)}, reason: "INVALID_ARGUMENT"},
		"unknown activity":                {change: func(a *consent.Activity) { a.ID = "" }, reason: "UNKNOWN_ACTIVITY"},
		"archived activity":               {change: func(a *consent.Activity) { a.Archived = true }, reason: "ACTIVITY_ARCHIVED"},
		"public task":                     {change: func(a *consent.Activity) { a.Basis = consent.BasisPublicTask }, reason: "NOT_CONSENT_BASED"},
		"the activity counts before ends": {giving: consent.Giving{ExpireTime: noon}, change: func(a *consent.Activity) { a.Basis = consent.BasisContract }, reason: "NOT_CONSENT_BASED"},
	} {
		a := &consent.Activity{ID: "photos", Basis: consent.BasisConsent, Version: 2}
		if test.change != nil {
			test.change(a)
		}
		if a.ID == "" {
			a = nil
		}
		if test.at.IsZero() {
			test.at = noon
		}
		c := consent.Controller{ID: "school", Jurisdiction: "DK", TimeZone: "Europe/Copenhagen"}
		got, err := consent.Give(test.giving, c, a, test.at, 7)
		if test.reason != "" {
			if !fault.Is(err, test.reason) {
				t.Errorf("%s: %v, want %s", name, err, test.reason)
			}
			continue
		}
		if err != nil || got.Sufficient != test.sufficient || got.ActivityVersion != 2 || got.GiveRevision != 7 || !got.GiveTime.Equal(test.at) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestAgePolicy gives a Danish child's consent, on 2 March 2026, under both policies.
func TestAgePolicy(t *testing.T) {
	t.Parallel()
	child, reached := day(t, "2012-05-01"), time.Date(2027, 4, 30, 22, 0, 0, 0, time.UTC)
	of15 := day(t, "2011-03-02")
	for name, test := range map[string]struct {
		policy   consent.AgePolicy
		capacity consent.Capacity
		born     *clock.Date
		expires  time.Time
		want     time.Time
		reason   string
	}{
		"kept":                            {consent.Keep, consent.Guardian, &child, time.Time{}, time.Time{}, ""},
		"nothing said":                    {"", consent.Guardian, &child, time.Time{}, time.Time{}, ""},
		"kept, of unknown age":            {consent.Keep, consent.Guardian, nil, time.Time{}, time.Time{}, ""},
		"kept until it ends":              {consent.Keep, consent.Guardian, &child, reached.AddDate(1, 0, 0), reached.AddDate(1, 0, 0), ""},
		"renewed on the birthday":         {consent.Renew, consent.Guardian, &child, time.Time{}, reached, ""},
		"renewed, ends before":            {consent.Renew, consent.Guardian, &child, reached.Add(-1), reached.Add(-1), ""},
		"renewed, would end after":        {consent.Renew, consent.Guardian, &child, reached.Add(1), reached, ""},
		"renewed, of unknown age":         {consent.Renew, consent.Guardian, nil, time.Time{}, time.Time{}, "BIRTH_DATE_REQUIRED"},
		"a guardian for somebody of age":  {consent.Renew, consent.Guardian, &of15, time.Time{}, time.Time{}, "OF_AGE"},
		"given by the person of age":      {consent.Renew, consent.Self, &of15, time.Time{}, time.Time{}, ""},
		"given by a child, insufficient":  {consent.Renew, consent.Self, &child, time.Time{}, time.Time{}, ""},
		"given by a person, ends by time": {consent.Renew, consent.Self, nil, reached, reached, ""},
	} {
		c := consent.Controller{ID: "school", Jurisdiction: "DK", TimeZone: "Europe/Copenhagen", AgePolicy: test.policy}
		got, err := consent.Give(consent.Giving{Capacity: test.capacity, BirthDate: test.born, ExpireTime: test.expires}, c,
			&consent.Activity{ID: "photos", Basis: consent.BasisConsent}, noon, 7)
		if test.reason != "" {
			if !fault.Is(err, test.reason) || strings.Contains(err.Error(), "201") {
				t.Errorf("%s: %v, want %s", name, err, test.reason)
			}
			continue
		}
		if err != nil || !got.ExpireTime.Equal(test.want) {
			t.Errorf("%s: ends %s, %v; want %s", name, got.ExpireTime, err, test.want)
		}
	}
}

func TestStateAt(t *testing.T) {
	t.Parallel()
	ends := consent.Consent{ExpireTime: noon, GiveRevision: 1}
	gone := consent.Consent{ExpireTime: noon, GiveRevision: 1, WithdrawRevision: 2}
	for _, test := range []struct {
		c    consent.Consent
		at   time.Time
		want consent.State
	}{
		{ends, noon.Add(-1), consent.Given}, {ends, noon, consent.Expired}, {ends, noon.Add(1), consent.Expired},
		{gone, noon.Add(-1), consent.Withdrawn}, {gone, noon.Add(1), consent.Withdrawn},
		{consent.Consent{GiveRevision: 1}, noon.AddDate(100, 0, 0), consent.Given},
	} {
		if got := test.c.StateAt(test.at); got != test.want {
			t.Errorf("%+v at %s: %s, want %s", test.c, test.at, got, test.want)
		}
	}
}

func TestWithdrawing(t *testing.T) {
	t.Parallel()
	c := func(id consent.ConsentID, withdrawn consent.Revision, refs ...consent.SubjectRef) consent.Consent {
		return consent.Consent{ID: id, Activity: "photos", Subjects: refs, WithdrawRevision: withdrawn}
	}
	elsewhere := c("x", 0, "u1")
	elsewhere.Activity = "trips"
	siblings := consent.Links{{Subject: "u1", Person: "u1"}, {Subject: "e1", Person: "u1"}, {Subject: "mail", Person: "mail", Shared: true}}
	for name, test := range map[string]struct {
		named, linked []consent.Consent
		want          []consent.ConsentID
		links         consent.Links
	}{
		"alone":                              {[]consent.Consent{c("a", 0, "u1")}, []consent.Consent{c("a", 0, "u1")}, []consent.ConsentID{"a"}, nil},
		"an earlier one":                     {[]consent.Consent{c("b", 0, "u1")}, []consent.Consent{c("b", 0, "u1"), c("a", 0, "u1")}, []consent.ConsentID{"b", "a"}, nil},
		"of more identifiers":                {[]consent.Consent{c("b", 0, "u1")}, []consent.Consent{c("a", 0, "u1", "e1")}, []consent.ConsentID{"b", "a"}, nil},
		"of fewer":                           {[]consent.Consent{c("b", 0, "u1", "e1")}, []consent.Consent{c("a", 0, "e1")}, []consent.ConsentID{"b", "a"}, nil},
		"a sibling's":                        {[]consent.Consent{c("b", 0, "u1", "mail")}, []consent.Consent{c("a", 0, "u2", "mail")}, []consent.ConsentID{"b"}, nil},
		"withdrawn already":                  {[]consent.Consent{c("a", 4, "u1")}, []consent.Consent{c("a", 4, "u1")}, nil, nil},
		"repeated after a new one was given": {[]consent.Consent{c("a", 4, "u1")}, []consent.Consent{c("b", 0, "u1")}, nil, nil},
		"another activity":                   {[]consent.Consent{c("a", 0, "u1")}, []consent.Consent{elsewhere}, []consent.ConsentID{"a"}, nil},
		"under a linked one":                 {[]consent.Consent{c("b", 0, "e1")}, []consent.Consent{c("a", 0, "u1")}, []consent.ConsentID{"b", "a"}, siblings},
		"a sibling's under a shared one":     {[]consent.Consent{c("b", 0, "u1", "mail")}, []consent.Consent{c("a", 0, "u2", "mail")}, []consent.ConsentID{"b"}, siblings},
		"of more, where all are linked":      {[]consent.Consent{c("b", 0, "u1")}, []consent.Consent{c("a", 0, "e1", "mail")}, []consent.ConsentID{"b", "a"}, siblings},
	} {
		if d := cmp.Diff(test.want, consent.Withdrawing(test.named, test.linked, test.links)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}
