package consent_test

import (
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// at is noon, some microseconds later.
func at(micros int) time.Time { return noon.Add(time.Duration(micros) * time.Microsecond) }

func moment(asOf, knownAt int) consent.Moment {
	return consent.Moment{AsOf: at(asOf), KnownAt: at(knownAt)}
}

// past is a history in which everything happens at one microsecond after another.
//
//	10 instructed on consent    20 consent of u1 given      30 withdrawn       40 given anew, to 50
//	60 instructed on a task     70 u1 objects               80 rejected        90 u1 objects again    100 upheld
//	110 instructed on a contract 120 restricted             130 lifted         140 erased, noted at 150
//	160 archived                u2 linked to u1 at 200, and at 300 found to be shared
func past() consent.History {
	version := func(n int64, t int, basis consent.LegalBasis) consent.Activity {
		return consent.Activity{ID: "learning", Basis: basis, Version: n, CreateTime: at(10), UpdateTime: at(t)}
	}
	u1 := []consent.SubjectRef{"u1"}
	archived := version(4, 160, consent.BasisContract)
	archived.Archived = true
	return consent.History{
		Versions: []consent.Activity{archived, version(1, 10, consent.BasisConsent), version(2, 60, consent.BasisPublicTask), version(3, 110, consent.BasisContract)},
		Consents: []consent.Consent{
			{ID: "c1", Activity: "learning", Subjects: u1, Sufficient: true, GiveTime: at(20), GiveRevision: 2, WithdrawTime: at(30), WithdrawRevision: 3},
			{ID: "c2", Activity: "learning", Subjects: u1, Sufficient: true, GiveTime: at(40), GiveRevision: 4, ExpireTime: at(50)},
		},
		Objections: []consent.Objection{
			{Activity: "learning", Subjects: u1, State: consent.ObjectionRejected, CreateTime: at(70), CreateRevision: 6, ResolveTime: at(80), ResolveRevision: 7},
			{Activity: "learning", Subjects: u1, State: consent.ObjectionUpheld, CreateTime: at(90), CreateRevision: 8, ResolveTime: at(100), ResolveRevision: 9},
		},
		Restrictions: []consent.Restriction{{Subjects: u1, CreateTime: at(120), CreateRevision: 11, LiftTime: at(130), LiftRevision: 12}},
		Erasures:     []consent.Erasure{{Subjects: u1, Time: at(140), RecordTime: at(150)}},
		Links: []consent.LinkVersion{
			{Link: consent.Link{Subject: "u1", Person: "u1"}, Time: at(200), Revision: 20},
			{Link: consent.Link{Subject: "u2", Person: "u1", Shared: true}, Time: at(300), Revision: 21},
			{Link: consent.Link{Subject: "u2", Person: "u1"}, Time: at(200), Revision: 20},
		},
	}
}

func TestSnapshotAt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		ref  consent.SubjectRef
		at   consent.Moment
		want consent.Reason
	}{
		{"before anything", "u1", moment(9, 9), consent.UnknownActivity},
		{"instructed", "u1", moment(10, 10), consent.NoConsent},
		{"just before it was given", "u1", moment(19, 400), consent.NoConsent},
		{"given", "u1", moment(20, 20), consent.ConsentHolds},
		{"given, although withdrawn since", "u1", moment(29, 400), consent.ConsentHolds},
		{"withdrawn", "u1", moment(30, 30), consent.ConsentWithdrawn},
		{"withdrawn, although given anew since", "u1", moment(39, 400), consent.ConsentWithdrawn},
		{"given anew", "u1", moment(49, 49), consent.ConsentHolds},
		{"expired", "u1", moment(50, 50), consent.ConsentExpired},
		{"another basis", "u1", moment(60, 60), consent.LegalBasisHolds},
		{"objected, although rejected since", "u1", moment(70, 400), consent.Objected},
		{"rejected", "u1", moment(80, 80), consent.LegalBasisHolds},
		{"objected again", "u1", moment(90, 90), consent.Objected},
		{"upheld", "u1", moment(100, 100), consent.Objected},
		{"no matter any more", "u1", moment(110, 110), consent.LegalBasisHolds},
		{"restricted, although lifted since", "u1", moment(129, 400), consent.Restricted},
		{"lifted", "u1", moment(130, 130), consent.LegalBasisHolds},
		{"just before the erasure", "u1", moment(139, 400), consent.LegalBasisHolds},
		{"erased, and nobody knew", "u1", moment(140, 149), consent.LegalBasisHolds},
		{"erased, as is known since", "u1", moment(140, 150), consent.SubjectErased},
		{"not archived yet", "u1", moment(159, 159), consent.SubjectErased},
		{"archived", "u1", moment(160, 160), consent.ActivityArchived},
		{"nobody knew whose identifier it was", "u2", moment(30, 199), consent.NoConsent},
		{"it was known whose it was", "u2", moment(30, 200), consent.ConsentWithdrawn},
		{"it was found to be shared", "u2", moment(30, 300), consent.NoConsent},
		{"somebody else", "u3", moment(30, 400), consent.NoConsent},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := consent.Decide(consent.Question{Activity: "learning"}, consent.SnapshotAt(past(), []consent.SubjectRef{c.ref}, c.at))
			if d.Reason != c.want {
				t.Errorf("%s, want %s", d.Reason, c.want)
			}
		})
	}
}

// What happened within one microsecond is in the order of revisions.
func TestSnapshotAtOneMicrosecond(t *testing.T) {
	t.Parallel()
	given := func(id consent.ConsentID, give, withdraw consent.Revision) consent.Consent {
		c := consent.Consent{ID: id, Activity: "learning", Subjects: []consent.SubjectRef{"u1"}, Sufficient: true, GiveTime: at(20), GiveRevision: give}
		if withdraw > 0 {
			c.WithdrawTime, c.WithdrawRevision = at(20), withdraw
		}
		return c
	}
	for name, c := range map[string]struct {
		consents []consent.Consent
		want     consent.Reason
	}{
		"withdrawn, then given anew": {[]consent.Consent{given("c2", 4, 0), given("c1", 2, 3)}, consent.ConsentHolds},
		"given twice, one withdrawn": {[]consent.Consent{given("c2", 3, 0), given("c1", 2, 4)}, consent.ConsentWithdrawn},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := consent.History{Versions: past().Versions[1:2], Consents: c.consents}
			for asOf, want := range map[int]consent.Reason{19: consent.NoConsent, 20: c.want, 21: c.want} {
				d := consent.Decide(consent.Question{Activity: "learning"}, consent.SnapshotAt(h, []consent.SubjectRef{"u1"}, moment(asOf, 30)))
				if d.Reason != want {
					t.Errorf("as of %d: %s, want %s", asOf, d.Reason, want)
				}
			}
		})
	}
}

// Where a clock was behind, a later version and a later link still replace the earlier ones, and what was withdrawn before it was
// given never held.
func TestSnapshotAtWithClocksThatDiffer(t *testing.T) {
	t.Parallel()
	h := past()
	h.Versions[2].UpdateTime = at(5) // version 2 before version 1
	h.Versions = h.Versions[1:3]
	if v := consent.SnapshotAt(h, []consent.SubjectRef{"u3"}, moment(10, 10)).Activity; v == nil || v.Version != 2 {
		t.Errorf("the activity was %v, want its version 2", v)
	}
	h = past()
	h.Links[1].Time = at(190) // found to be shared, by a clock that was behind that of the link
	for _, knownAt := range []int{190, 200, 400} {
		if c := consent.SnapshotAt(h, []consent.SubjectRef{"u2"}, moment(20, knownAt)).Consent; c != nil {
			t.Errorf("known at %d: a shared identifier linked to %s", knownAt, c.ID)
		}
	}
	h = past()
	h.Consents = h.Consents[:1]
	h.Consents[0].WithdrawTime = at(15)
	for asOf, want := range map[int]consent.Reason{15: consent.NoConsent, 19: consent.NoConsent, 20: consent.ConsentWithdrawn} {
		d := consent.Decide(consent.Question{Activity: "learning"}, consent.SnapshotAt(h, []consent.SubjectRef{"u1"}, moment(asOf, 30)))
		if d.Reason != want {
			t.Errorf("as of %d: %s, want %s", asOf, d.Reason, want)
		}
	}
}

// An erasure of which nobody said when it was done, or that would have been done later, was done when it was noted.
func TestWhenAnErasureWasDone(t *testing.T) {
	t.Parallel()
	for _, done := range []time.Time{{}, at(150), at(200)} {
		h := past()
		h.Erasures[0].Time = done
		for asOf, want := range map[int]bool{149: false, 150: true} {
			if got := consent.SnapshotAt(h, []consent.SubjectRef{"u1"}, moment(asOf, 400)).Erased; got != want {
				t.Errorf("done at %v, as of %d: %v, want %v", done, asOf, got, want)
			}
		}
	}
}

func TestMomentsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		moment consent.Moment
		reason string
	}{
		{"now", moment(0, 0), ""},
		{"the past", moment(-9, -9), ""},
		{"the past as known now", moment(-9, 0), ""},
		{"the future", moment(1, 1), "AS_OF_IN_FUTURE"},
		{"the future as known now", moment(1, 0), "AS_OF_IN_FUTURE"},
		{"known before it was", moment(-8, -9), "KNOWN_AT_BEFORE_AS_OF"},
		{"known in the future", moment(-9, 1), "KNOWN_AT_IN_FUTURE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := c.moment.Check(noon)
			if c.reason == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if f := fault.From(err); f.Kind() != fault.Invalid || f.Reason() != c.reason || len(f.Violations()) != 1 {
				t.Errorf("%v, want %s with one violation", err, c.reason)
			}
		})
	}
}
