package consent_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// Every basis, with and without direct marketing as the purpose: who may object, and what comes of it.
func TestObject(t *testing.T) {
	t.Parallel()
	type outcome struct {
		reason, says string
		state        consent.ObjectionState
	}
	plain := map[consent.LegalBasis]outcome{
		consent.BasisConsent:             {reason: "WITHDRAW_CONSENT", says: "withdraw the consent instead (art. 7(3))"},
		consent.BasisContract:            {reason: "NOT_OBJECTIONABLE", says: "GDPR art. 6(1)(b)"},
		consent.BasisLegalObligation:     {reason: "NOT_OBJECTIONABLE", says: "GDPR art. 6(1)(c)"},
		consent.BasisVitalInterests:      {reason: "NOT_OBJECTIONABLE", says: "GDPR art. 6(1)(d)"},
		consent.BasisPublicTask:          {state: consent.ObjectionOpen},
		consent.BasisLegitimateInterests: {state: consent.ObjectionOpen},
	}
	for _, b := range bases {
		for marketing, want := range map[bool]outcome{false: plain[b], true: {state: consent.ObjectionUpheld}} {
			a := consent.Activity{Controller: "a", ID: "x", Basis: b, DirectMarketing: marketing}
			o, err := consent.Object("o1", []consent.SubjectRef{"u1"}, &a, noon, 7)
			if want.reason != "" {
				if f := fault.From(err); f.Kind() != fault.Invalid || f.Reason() != want.reason || !strings.Contains(f.Message(), want.says) {
					t.Errorf("%s: %v", b, err)
				}
				continue
			}
			expected := consent.Objection{Controller: "a", ID: "o1", Activity: "x", Subjects: []consent.SubjectRef{"u1"}, State: want.state,
				CreateTime: noon, CreateRevision: 7}
			if marketing {
				expected.ResolveTime, expected.ResolveRevision = noon, 7
			}
			if d := cmp.Diff(expected, o); d != "" || err != nil || !o.Holds() {
				t.Errorf("%s, direct marketing %v: %v %s", b, marketing, err, d)
			}
		}
	}
	if _, err := consent.Object("o1", nil, nil, noon, 7); !fault.Is(err, "UNKNOWN_ACTIVITY") || fault.From(err).Kind() != fault.Invalid {
		t.Errorf("unknown: %v", err)
	}
	ended := consent.Activity{Basis: consent.BasisPublicTask, Archived: true}
	if _, err := consent.Object("o1", nil, &ended, noon, 7); !fault.Is(err, "ACTIVITY_ARCHIVED") || fault.From(err).Kind() != fault.Precondition {
		t.Errorf("archived: %v", err)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	later := noon.Add(time.Hour)
	for name, test := range map[string]struct {
		state, outcome consent.ObjectionState
		marketing      bool
		changed        bool
		reason         string
	}{
		"upheld":                 {consent.ObjectionOpen, consent.ObjectionUpheld, false, true, ""},
		"rejected":               {consent.ObjectionOpen, consent.ObjectionRejected, false, true, ""},
		"upheld twice":           {consent.ObjectionUpheld, consent.ObjectionUpheld, false, false, ""},
		"rejected twice":         {consent.ObjectionRejected, consent.ObjectionRejected, false, false, ""},
		"upheld, then rejected":  {consent.ObjectionUpheld, consent.ObjectionRejected, false, false, "OBJECTION_RESOLVED"},
		"rejected, then upheld":  {consent.ObjectionRejected, consent.ObjectionUpheld, false, false, "OBJECTION_RESOLVED"},
		"direct marketing":       {consent.ObjectionUpheld, consent.ObjectionRejected, true, false, "DIRECT_MARKETING"},
		"became marketing since": {consent.ObjectionOpen, consent.ObjectionRejected, true, false, "DIRECT_MARKETING"},
		"marketing upheld again": {consent.ObjectionUpheld, consent.ObjectionUpheld, true, false, ""},
	} {
		o := consent.Objection{ID: "o1", State: test.state, CreateTime: noon, CreateRevision: 7}
		a := consent.Activity{Basis: consent.BasisPublicTask, DirectMarketing: test.marketing}
		got, changed, err := o.Resolve(test.outcome, a, later, 9)
		want := o
		if test.changed {
			want.State, want.ResolveTime, want.ResolveRevision = test.outcome, later, 9
		}
		if d := cmp.Diff(want, got); d != "" || changed != test.changed {
			t.Errorf("%s: changed %v %s", name, changed, d)
		}
		if test.reason == "" && err != nil || test.reason != "" && (!fault.Is(err, test.reason) || fault.From(err).Kind() != fault.Precondition) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRestrictAndLift(t *testing.T) {
	t.Parallel()
	if _, err := consent.Restrict(consent.Restriction{Activity: "x"}, nil, noon, 7); !fault.Is(err, "UNKNOWN_ACTIVITY") {
		t.Errorf("unknown: %v", err)
	}
	for _, r := range []consent.Restriction{{ID: "r1"}, {ID: "r1", Activity: "x"}} {
		made, err := consent.Restrict(r, &consent.Activity{Archived: true}, noon, 7)
		if err != nil || made.CreateRevision != 7 || !made.CreateTime.Equal(noon) || made.LiftRevision != 0 {
			t.Errorf("%+v, %v", made, err)
		}
		once, changed := made.Lift(noon.Add(time.Hour), 8)
		if !changed || once.LiftRevision != 8 || !once.LiftTime.Equal(noon.Add(time.Hour)) {
			t.Errorf("%+v, %v", once, changed)
		}
		again, changed := once.Lift(noon.Add(2*time.Hour), 9)
		if d := cmp.Diff(once, again); d != "" || changed {
			t.Errorf("lifted twice: %v %s", changed, d)
		}
	}
	if r := (consent.Restriction{}); !r.Covers("x") || !r.Covers("y") {
		t.Error("a restriction of all covers each")
	}
	if r := (consent.Restriction{Activity: "x"}); !r.Covers("x") || r.Covers("y") {
		t.Error("a restriction covers its own activity only")
	}
}

// What people have demanded reaches the decision: of whichever pseudonym it is known, for the activity it is about.
func TestDemandsReachTheSnapshot(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		person               consent.Person
		restricted, objected bool
	}{
		"nothing":            {consent.Person{}, false, false},
		"restricted here":    {consent.Person{Restricted: []consent.ActivityID{"z", "x"}}, true, false},
		"restricted in all":  {consent.Person{Restricted: []consent.ActivityID{""}}, true, false},
		"restricted else":    {consent.Person{Restricted: []consent.ActivityID{"y"}}, false, false},
		"objected here":      {consent.Person{Objected: []consent.ActivityID{"w", "x"}}, false, true},
		"objected elsewhere": {consent.Person{Objected: []consent.ActivityID{"y"}}, false, false},
	} {
		s := consent.SnapshotOf(&consent.Activity{ID: "x"}, []consent.Person{{}, test.person}, noon)
		if s.Restricted != test.restricted || s.Objected != test.objected {
			t.Errorf("%s: %+v", name, s)
		}
	}
	all := consent.Person{Restricted: []consent.ActivityID{""}, Objected: []consent.ActivityID{""}}
	if s := consent.SnapshotOf(nil, []consent.Person{all}, noon); s.Restricted || s.Objected || s.Activity != nil {
		t.Errorf("of an unknown activity: %+v", s)
	}
}

// Direct marketing is denied after an objection whatever its basis.
func TestDirectMarketingIsObjectedToOnEveryBasis(t *testing.T) {
	t.Parallel()
	for _, b := range bases {
		q, s := good(b)
		s.Activity.DirectMarketing, s.Objected = true, true
		if d := consent.Decide(q, s); d.Allowed || d.Reason != consent.Objected {
			t.Errorf("%s: %+v", b, d)
		}
	}
}

func TestGather(t *testing.T) {
	t.Parallel()
	known := map[consent.SubjectRef]consent.Person{
		"u1": {Linked: []consent.SubjectRef{"e1", "m1"}}, "e1": {Erased: true, Linked: []consent.SubjectRef{"m1", "u1"}}, "x": {},
	}
	get := func(ref consent.SubjectRef) (consent.Person, bool) { p, ok := known[ref]; return p, ok }
	refs := []consent.SubjectRef{"x", "u1"}
	people, missing := consent.Gather(refs, get)
	if d := cmp.Diff([]consent.Person{known["x"], known["u1"], known["e1"]}, people); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]consent.SubjectRef{"m1"}, missing); d != "" {
		t.Error(d)
	}
}
