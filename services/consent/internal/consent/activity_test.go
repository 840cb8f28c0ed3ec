package consent_test

import (
	"strings"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

func TestActivityRules(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change          func(*consent.Activity)
		reason, article string
	}{
		"as it should be":             {func(*consent.Activity) {}, "", ""},
		"no basis":                    {func(a *consent.Activity) { a.Basis = "" }, "LEGAL_BASIS_REQUIRED", "6(1)"},
		"made-up basis":               {func(a *consent.Activity) { a.Basis = "CONSENT,CONTRACT" }, "LEGAL_BASIS_REQUIRED", "6(1)"},
		"period of nothing":           {func(a *consent.Activity) { a.Retention.Period = "P" }, "RETENTION_PERIOD_INVALID", "5(1)(e)"},
		"a period":                    {func(a *consent.Activity) { a.Retention.Period = "P6M" }, "", ""},
		"protected with ground":       {func(a *consent.Activity) { a.Retention.Protected, a.Retention.Ground = true, "Arkivloven" }, "", ""},
		"protected without ground":    {func(a *consent.Activity) { a.Retention.Protected = true }, "RETENTION_GROUND_REQUIRED", "17(3)"},
		"protected with blank ground": {func(a *consent.Activity) { a.Retention.Protected, a.Retention.Ground = true, " \t" }, "RETENTION_GROUND_REQUIRED", "17(3)"},
		"protected consent": {func(a *consent.Activity) {
			a.Basis, a.Retention.Protected, a.Retention.Ground = consent.BasisConsent, true, "Arkivloven"
		}, "CONSENT_CANNOT_PROTECT", "17(1)(b)"},
		"consent that ends":         {func(a *consent.Activity) { a.Basis, a.Retention.Period = consent.BasisConsent, "P1Y" }, "", ""},
		"special without condition": {func(a *consent.Activity) { a.DataCategories = []string{"identity", "health-notes"} }, "SPECIAL_CATEGORY_CONDITION_REQUIRED", "9(2)"},
		"special with condition":    {func(a *consent.Activity) { a.DataCategories, a.SpecialCondition = []string{"health"}, "h" }, "", ""},
		"condition without special": {func(a *consent.Activity) { a.SpecialCondition = "g" }, "", ""},
		"outside the EEA":           {func(a *consent.Activity) { a.Locations = []string{"DK", "US"} }, "TRANSFER_GROUND_REQUIRED", "44-46"},
		"outside the EEA with ground": {func(a *consent.Activity) {
			a.Locations, a.Transfers = []string{"DK", "US"}, []consent.Transfer{{Location: "US", Ground: consent.AdequacyDecision}}
		}, "", ""},
		"one of two without ground": {func(a *consent.Activity) {
			a.Locations, a.Transfers = []string{"GB", "US"}, []consent.Transfer{{Location: "US", Ground: consent.AdequacyDecision}}
		}, "TRANSFER_GROUND_REQUIRED", "44-46"},
		"in the EEA": {func(a *consent.Activity) { a.Locations = []string{"DK", "NO", "IS", "LI", "GR"} }, "", ""},
		"a transfer to nowhere": {func(a *consent.Activity) {
			a.Locations, a.Transfers = []string{"DK"}, []consent.Transfer{{Location: "US", Ground: consent.StandardClauses}}
		}, "TRANSFER_UNFOUNDED", "44"},
		"a transfer within the EEA": {func(a *consent.Activity) {
			a.Locations, a.Transfers = []string{"DK"}, []consent.Transfer{{Location: "DK", Ground: consent.StandardClauses}}
		}, "TRANSFER_UNFOUNDED", "44"},
		"two grounds for one place": {func(a *consent.Activity) {
			a.Locations = []string{"US"}
			a.Transfers = []consent.Transfer{{Location: "US", Ground: consent.StandardClauses}, {Location: "US", Ground: consent.Derogation}}
		}, "TRANSFER_UNFOUNDED", "44"},
		"legitimate interests stand": {func(a *consent.Activity) { a.Basis = consent.BasisLegitimateInterests }, "", ""},
	} {
		a := consent.Activity{Basis: consent.BasisPublicTask, DataCategories: []string{"identity"}}
		test.change(&a)
		err := a.Check()
		if test.reason == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		f := fault.From(err)
		if f.Kind() != fault.Invalid || f.Reason() != test.reason || !strings.Contains(f.Message(), "GDPR art. "+test.article) || len(f.Violations()) != 1 {
			t.Errorf("%s: %v (%v), want %s with art. %s", name, err, f.Violations(), test.reason, test.article)
		}
	}
}

// Legitimate interests are no basis for a public authority's tasks, whichever comes first: the activity, or the controller's kind.
func TestLegitimateInterestsOfAnAuthority(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind   consent.ControllerKind
		a      consent.Activity
		barred bool
	}{
		"an authority":             {consent.PublicAuthority, consent.Activity{Basis: consent.BasisLegitimateInterests}, true},
		"outside its tasks":        {consent.PublicAuthority, consent.Activity{Basis: consent.BasisLegitimateInterests, OutsideAuthorityTasks: true}, false},
		"an activity of the past":  {consent.PublicAuthority, consent.Activity{Basis: consent.BasisLegitimateInterests, Archived: true}, false},
		"a public task":            {consent.PublicAuthority, consent.Activity{Basis: consent.BasisPublicTask}, false},
		"a private school":         {consent.Private, consent.Activity{Basis: consent.BasisLegitimateInterests}, false},
		"one that does not say so": {"", consent.Activity{Basis: consent.BasisLegitimateInterests}, false},
	} {
		c := consent.Controller{Kind: test.kind}
		test.a.ID = "newsletter"
		fine := consent.Activity{ID: "learning", Basis: consent.BasisPublicTask}
		for field, err := range map[string]error{
			"activity.legal_basis": test.a.CheckUnder(c), "controller.kind": c.CheckOver([]consent.Activity{fine, test.a}),
		} {
			if !test.barred {
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			f := fault.From(err)
			if f.Kind() != fault.Invalid || f.Reason() != "LEGITIMATE_INTERESTS_OF_AUTHORITY" || !strings.Contains(f.Message(), "GDPR art. 6(1), second subparagraph") ||
				len(f.Violations()) != 1 || f.Violations()[0].Field != field {
				t.Errorf("%s: %v %v", name, err, f.Violations())
			}
			if field == "controller.kind" && (!strings.Contains(f.Message(), "newsletter") || strings.Contains(f.Message(), "learning")) {
				t.Errorf("%s: the message names the wrong activities: %s", name, f.Message())
			}
		}
	}
}

func TestEEA(t *testing.T) {
	t.Parallel()
	for country, want := range map[string]bool{"DK": true, "NO": true, "IS": true, "LI": true, "GR": true, "HR": true,
		"GB": false, "CH": false, "US": false, "EL": false, "GL": false, "": false} {
		if got := consent.InEEA(country); got != want {
			t.Errorf("InEEA(%q) = %v", country, got)
		}
	}
}

func TestSpecialCategories(t *testing.T) {
	t.Parallel()
	for category, want := range map[string]bool{
		"health": true, "health-notes": true, "special-needs-diagnosis": true, "religion": true, "ethnic-origin": true, "ethnicity": true,
		"political-opinions": true, "trade-union-membership": true, "biometric-templates": true, "genetic-data": true, "sexual-orientation": true,
		"sex-life": true, "identity": false, "usage": false, "assignments": false, "unionised": false, "healthy-food-project": false, "grades": false,
	} {
		if got := consent.Special(category); got != want {
			t.Errorf("Special(%q) = %v", category, got)
		}
	}
}

func TestETags(t *testing.T) {
	t.Parallel()
	a := consent.Activity{Controller: "a", ID: "x", Version: 1}
	seen := map[string]bool{a.ETag(): true}
	for name, other := range map[string]string{
		"version":    consent.Activity{Controller: "a", ID: "x", Version: 2}.ETag(),
		"controller": consent.Activity{Controller: "b", ID: "x", Version: 1}.ETag(),
		"kind":       consent.System{Controller: "a", ID: "x", Version: 1}.ETag(),
		"id":         consent.Activity{Controller: "a", ID: "x1", Version: 1}.ETag(),
		"top":        consent.Controller{ID: "a", Version: 1}.ETag(),
	} {
		if seen[other] {
			t.Errorf("another %s has the same etag", name)
		}
		seen[other] = true
	}
	if again := (consent.Activity{Controller: "a", ID: "x", Version: 1, Purpose: "p"}).ETag(); consent.MatchETag(again, a.ETag()) != nil {
		t.Error("the same version has another etag")
	}
	if err := consent.MatchETag("", a.ETag()); err != nil {
		t.Errorf("no etag is no condition: %v", err)
	}
	if err := consent.MatchETag("stale", a.ETag()); fault.From(err).Kind() != fault.Aborted || !fault.Is(err, "ETAG_MISMATCH") {
		t.Errorf("a stale etag: %v", err)
	}
}

func TestControllerDefaults(t *testing.T) {
	t.Parallel()
	c := consent.Controller{}.WithDefaults()
	if c.TimeZone != "Europe/Copenhagen" || c.Language != "da" || c.RequiredApprovals != 1 || c.PrimaryIdentifierType != "UNILOGIN" || c.GracePeriod != 0 {
		t.Errorf("defaults: %+v", c)
	}
	said := consent.Controller{TimeZone: "Europe/Oslo", Language: "en", RequiredApprovals: 2, PrimaryIdentifierType: "EMAIL", GracePeriod: time.Hour}
	if got := said.WithDefaults(); got != said {
		t.Errorf("what was said was changed: %+v", got)
	}
	for zone, ok := range map[string]bool{"Europe/Copenhagen": true, "UTC": true, "Local": false, "": false, "Europe/Atlantis": false, "../etc/passwd": false} {
		if err := (consent.Controller{TimeZone: zone}).Check(); (err == nil) != ok {
			t.Errorf("zone %q: %v", zone, err)
		}
	}
}
