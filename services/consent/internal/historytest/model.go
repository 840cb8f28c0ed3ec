package historytest

import (
	"slices"
	"time"
)

// Said is an answer of the model.
type Said struct {
	Reason  string
	Version int64
	Consent string
}

// Model answers questions about a history by going through it. The zero Model is right; each mistake makes it wrong in one way, so
// that a test can show that it would notice.
type Model struct {
	// Forgets makes it pass over acts of a kind.
	Forgets Kind
	// Early makes it leave out what happens at the moment itself.
	Early bool
	// AllKnowing makes it know at all times what is known now.
	AllKnowing bool
}

// Says is the model's answer.
func (m Model) Says(h *Record, q Asked) Said {
	asOf, knownAt := q.Moment.AsOf, q.Moment.KnownAt
	if m.AllKnowing {
		knownAt = h.Now
	}
	var was []Act // what had happened then, each with its place
	var places []int
	for i, a := range h.Acts {
		if a.Kind == m.Forgets || a.Kind == Erase || a.Kind == Link || m.after(a.At, asOf) {
			continue
		}
		was, places = append(was, a), append(places, i)
	}
	who := m.same(h, q.Who, knownAt)

	var now Act
	version := int64(0)
	for _, a := range was {
		if a.Kind == Instruct {
			now = a
		}
	}
	for _, a := range h.Acts {
		if a.Kind == Instruct {
			version++
			if a.ID == now.ID {
				break
			}
		}
	}
	switch {
	case now.Kind == "":
		return Said{Reason: "UNKNOWN_ACTIVITY"}
	case now.Archived:
		return Said{Reason: "ACTIVITY_ARCHIVED", Version: version}
	case !now.Wide && !q.Narrow:
		return Said{Reason: "RECIPIENT_NOT_INSTRUCTED", Version: version}
	case m.gone(h, who, asOf, knownAt):
		return Said{Reason: "SUBJECT_ERASED", Version: version}
	}
	objectable := now.Basis == "PUBLIC_TASK" || now.Basis == "LEGITIMATE_INTERESTS"
	for _, a := range was {
		if a.Kind == Restrict && !a.Elsewhere && meet(a.Who, who) && !ended(was, Lift, a.ID) {
			return Said{Reason: "RESTRICTED", Version: version}
		}
	}
	for _, a := range was {
		if a.Kind == Object && !a.Elsewhere && objectable && meet(a.Who, who) && !rejected(was, a.ID) {
			return Said{Reason: "OBJECTED", Version: version}
		}
	}
	if now.Basis != "CONSENT" {
		return Said{Reason: "LEGAL_BASIS_HOLDS", Version: version}
	}
	return m.agreed(was, places, who, asOf, version)
}

// agreed looks for the consent that counts: a guardian's or an adult's before a child's, then the one about which something was
// said last.
func (m Model) agreed(was []Act, places []int, who []int, asOf time.Time, version int64) Said {
	best, bestSaid := -1, 0
	for i, a := range was {
		if a.Kind != Give || a.Elsewhere || !meet(a.Who, who) {
			continue
		}
		said := places[i]
		for j, w := range was {
			if w.Kind == Withdraw && w.ID == a.ID {
				said = max(said, places[j])
			}
		}
		if best < 0 || was[best].Alone && !a.Alone || was[best].Alone == a.Alone && said > bestSaid {
			best, bestSaid = i, said
		}
	}
	switch {
	case best < 0:
		return Said{Reason: "NO_CONSENT", Version: version}
	case ended(was, Withdraw, was[best].ID):
		return Said{Reason: "CONSENT_WITHDRAWN", Version: version, Consent: was[best].ID}
	case !was[best].Ends.IsZero() && !was[best].Ends.After(asOf):
		return Said{Reason: "CONSENT_EXPIRED", Version: version, Consent: was[best].ID}
	case was[best].Alone:
		return Said{Reason: "GUARDIAN_CONSENT_REQUIRED", Version: version, Consent: was[best].ID}
	}
	return Said{Reason: "CONSENT_HOLDS", Version: version, Consent: was[best].ID}
}

func (m Model) after(t, moment time.Time) bool {
	return t.After(moment) || m.Early && t.Equal(moment)
}

// same lists who was known to be the same as one of the asked.
func (m Model) same(h *Record, who []int, knownAt time.Time) []int {
	person := make([]int, len(h.People)) // -1: linked to nobody
	for i := range person {
		person[i] = -1
	}
	for _, a := range h.Acts {
		switch {
		case a.Kind != Link || m.Forgets == Link || a.At.After(knownAt):
		case a.Shared:
			person[a.Who[0]] = -1
		default:
			person[a.Who[0]] = a.Person
		}
	}
	var out []int
	for i := range h.People {
		for _, w := range who {
			if i == w || person[i] >= 0 && person[i] == person[w] {
				out = append(out, i)
			}
		}
	}
	return out
}

// gone tells whether somebody was erased. Of several erasures under one identifier the first that was noted is kept.
func (m Model) gone(h *Record, who []int, asOf, knownAt time.Time) bool {
	noted := map[int]bool{}
	for _, a := range h.Acts {
		if a.Kind != Erase || m.Forgets == Erase {
			continue
		}
		done := a.Done
		if done.IsZero() || a.At.Before(done) { // a clock that was ahead
			done = a.At
		}
		for _, w := range a.Who {
			if !noted[w] && slices.Contains(who, w) && !m.after(done, asOf) && !a.At.After(knownAt) {
				return true
			}
			noted[w] = true
		}
	}
	return false
}

func meet(a, b []int) bool {
	return slices.ContainsFunc(a, func(i int) bool { return slices.Contains(b, i) })
}

func ended(was []Act, kind Kind, id string) bool {
	return slices.ContainsFunc(was, func(a Act) bool { return a.Kind == kind && a.ID == id })
}

func rejected(was []Act, id string) bool {
	return slices.ContainsFunc(was, func(a Act) bool { return a.Kind == Resolve && a.ID == id && !a.Upheld })
}
