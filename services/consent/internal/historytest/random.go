package historytest

import (
	"fmt"
	"math/rand/v2" //nolint:depguard // a test's histories are drawn again from their seed
	"slices"
	"time"

	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// Kind is what kind of thing happened.
type Kind string

// The kinds of act.
const (
	Instruct Kind = "instruct" // a version of the activity
	Give     Kind = "give"
	Withdraw Kind = "withdraw"
	Object   Kind = "object"
	Resolve  Kind = "resolve"
	Restrict Kind = "restrict"
	Lift     Kind = "lift"
	Erase    Kind = "erase"
	Link     Kind = "link"
)

// Act is one thing that happened. Of its fields those are set that its kind needs.
type Act struct {
	Kind Kind
	// At is when it happened and, where that differs, was noted. Clocks of machines differ, so a later act may have an earlier time.
	At time.Time
	// Who are places in the people of the history.
	Who []int
	// ID of what was made, or is ended.
	ID string
	// Elsewhere: it is about another activity; Everywhere: about all (of restrictions).
	Elsewhere, Everywhere bool
	// Basis, Archived and Wide of a version: a wide one allows the recipient, place and category that are asked about.
	Basis          consent.LegalBasis
	Archived, Wide bool
	// Alone: a child consented without a guardian. Ends is when the consent ends by itself.
	Alone bool
	Ends  time.Time
	// Upheld is how an objection was decided.
	Upheld bool
	// Done is when an erasure was done, as far as somebody said.
	Done time.Time
	// Person and Shared are whom an identifier was linked to.
	Person int
	Shared bool
}

// Record is a history: what happened around one activity and some identifiers, in the order in which it was committed.
type Record struct {
	Controller consent.ControllerID
	Activity   consent.ActivityID
	// People are the identifiers.
	People []consent.SubjectRef
	Acts   []Act
	// theme is what the history is mostly about, so that what builds on one another meets often enough.
	theme theme
	// First is the revision of the first act; each act has the next one.
	First consent.Revision
	// Now is after all of it.
	Now time.Time
}

// theme is the kinds of act that a history is made of, and the bases of its activity.
type theme struct {
	kinds []Kind
	bases []consent.LegalBasis
}

var themes = []theme{
	{[]Kind{Give, Give, Withdraw}, []consent.LegalBasis{consent.BasisConsent}},
	{[]Kind{Give, Withdraw, Link, Link}, []consent.LegalBasis{consent.BasisConsent}},
	{[]Kind{Object, Resolve, Resolve}, []consent.LegalBasis{consent.BasisPublicTask, consent.BasisLegitimateInterests}},
	{[]Kind{Restrict, Lift, Lift, Give}, []consent.LegalBasis{consent.BasisConsent, consent.BasisContract}},
	{[]Kind{Erase, Link, Give}, []consent.LegalBasis{consent.BasisConsent, consent.BasisLegalObligation, consent.BasisVitalInterests}},
	{[]Kind{Instruct, Give, Withdraw, Object, Resolve, Restrict, Lift, Erase, Link}, []consent.LegalBasis{consent.BasisConsent,
		consent.BasisPublicTask, consent.BasisLegitimateInterests, consent.BasisContract}},
}

// Random makes a history with up to ten acts.
func Random(r *rand.Rand, controller consent.ControllerID, activity consent.ActivityID, people []consent.SubjectRef, from time.Time) Record {
	rec := Record{Controller: controller, Activity: activity, People: people, First: 2, theme: pick(r, themes...)}
	at := from
	for n := 2 + r.IntN(9); len(rec.Acts) < n; {
		at = at.Add(pick(r, 0, time.Microsecond, 2*time.Microsecond, time.Second, time.Hour, time.Hour, -time.Second))
		if act, ok := rec.draw(r, at); ok {
			rec.Acts = append(rec.Acts, act)
		}
	}
	rec.Now = at.Add(24 * time.Hour)
	return rec
}

// draw makes up the next act; false where there is nothing it could be about.
func (h *Record) draw(r *rand.Rand, at time.Time) (Act, bool) {
	kind := pick(r, h.theme.kinds...)
	if r.IntN(6) == 0 || len(h.of(Instruct)) == 0 && r.IntN(2) == 0 {
		kind = Instruct
	}
	act := Act{Kind: kind, At: at, Who: h.some(r), ID: h.id(), Elsewhere: r.IntN(8) == 0}
	switch kind {
	case Instruct:
		act.Elsewhere, act.Wide, act.Archived = false, r.IntN(4) > 0, r.IntN(10) == 0
		act.Basis = pick(r, h.theme.bases...)
	case Give:
		act.Alone = r.IntN(3) == 0
		if r.IntN(3) == 0 {
			act.Ends = at.Add(pick(r, time.Microsecond, time.Second, time.Hour, 2*time.Hour))
		}
	case Withdraw:
		return h.ending(r, act, Give)
	case Resolve:
		act.Upheld = r.IntN(2) == 0
		return h.ending(r, act, Object)
	case Object: // it needs nothing else
	case Lift:
		return h.ending(r, act, Restrict)
	case Restrict:
		act.Everywhere = !act.Elsewhere && r.IntN(2) == 0
	case Erase:
		act.Done = at.Add(-pick(r, 0, time.Microsecond, time.Second, time.Hour, 3*time.Hour, -time.Second))
		if r.IntN(8) == 0 {
			act.Done = time.Time{}
		}
	case Link:
		act.Who, act.Person, act.Shared = act.Who[:1], r.IntN(len(h.People)), r.IntN(6) == 0
	}
	return act, true
}

// ending makes act the end of something of the kind that has not ended.
func (h *Record) ending(r *rand.Rand, act Act, kind Kind) (Act, bool) {
	open := slices.DeleteFunc(h.of(kind), func(a Act) bool {
		return slices.ContainsFunc(h.of(act.Kind), func(end Act) bool { return end.ID == a.ID })
	})
	if len(open) == 0 {
		return act, false
	}
	of := open[r.IntN(len(open))]
	act.ID, act.Who, act.Elsewhere = of.ID, of.Who, of.Elsewhere
	return act, true
}

func (h *Record) of(kind Kind) []Act {
	return slices.DeleteFunc(slices.Clone(h.Acts), func(a Act) bool { return a.Kind != kind })
}

func (h *Record) some(r *rand.Rand) []int {
	return r.Perm(len(h.People))[:1+r.IntN(2)]
}

// id is that of the next act: a UUID which the activity and the act's place give.
func (h *Record) id() string {
	sum := uint64(14695981039346656037)
	for _, b := range []byte(h.Activity) {
		sum = (sum ^ uint64(b)) * 1099511628211
	}
	return fmt.Sprintf("%08x-%04x-7000-8000-%012x", sum>>32, sum&0xffff, (sum>>16&0xffff)<<32|uint64(len(h.Acts)))
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// Asked is one question about a history.
type Asked struct {
	Who []int
	// Narrow asks for no recipient, place or category.
	Narrow bool
	Moment consent.Moment
}

// Moments are all places of the history at which something may change: just before, at, and just after each act, each end and each
// thing done before it was noted; each as it was known at the time, as it is known now, and as it was known in between.
func (h *Record) Moments(r *rand.Rand) []consent.Moment {
	var times []time.Time
	for _, a := range h.Acts {
		for _, t := range []time.Time{a.At, a.Ends, a.Done} {
			if !t.IsZero() {
				times = append(times, t.Add(-time.Microsecond), t, t.Add(time.Microsecond))
			}
		}
	}
	var out []consent.Moment
	for _, t := range times {
		out = append(out, consent.Moment{AsOf: t, KnownAt: t}, consent.Moment{AsOf: t, KnownAt: h.Now})
		if between := times[r.IntN(len(times))]; between.After(t) {
			out = append(out, consent.Moment{AsOf: t, KnownAt: between})
		}
	}
	return out
}

// Asking makes up whom the questions are about.
func (h *Record) Asking(r *rand.Rand) Asked { return Asked{Who: h.some(r), Narrow: r.IntN(2) == 0} }

// Refs are the identifiers at places of the people.
func (h *Record) Refs(who []int) []consent.SubjectRef {
	out := make([]consent.SubjectRef, len(who))
	for i, w := range who {
		out[i] = h.People[w]
	}
	return out
}

// What the questions of all tests here are about, and what a wide version allows.
const (
	Recipient = "publisher"
	Location  = "DK"
	Category  = "identity"
)

// Question is the question as the domain asks it.
func (h *Record) Question(a Asked) consent.Question {
	if a.Narrow {
		return consent.Question{Activity: h.Activity}
	}
	return consent.Question{Activity: h.Activity, Recipient: Recipient, Location: Location, DataCategories: []string{Category}}
}

// String tells the history, for the report of a difference.
func (h *Record) String() string {
	text := fmt.Sprintf("%s/%s %v\n", h.Controller, h.Activity, h.People)
	for i, a := range h.Acts {
		text += fmt.Sprintf("  %d %s %+v\n", int(h.First)+i, a.At.Format(stamp), a)
	}
	return text
}

const stamp = "15:04:05.000000"
