package roster

import (
	"maps"
	"slices"
	"time"
)

// Pseudonym is a person's key in a [State]: opaque, made by the caller, the same for the same person.
type Pseudonym string

// Member is what is known of one person.
type Member struct {
	Roles Roles
	// DepartedTime is when the person was first missing; zero while they are in the roster.
	DepartedTime time.Time
}

// Present reports whether the person is in the roster.
func (m Member) Present() bool { return m.DepartedTime.IsZero() }

// State is what is known of one institution after the last extract that was applied. The zero State has seen none.
type State struct {
	Institution InstitutionNumber
	SchoolYear  string
	ExportTime  time.Time
	Members     map[Pseudonym]Member
}

// present counts the members who are in the roster.
func (s State) present() int {
	n := 0
	for _, m := range s.Members {
		if m.Present() {
			n++
		}
	}
	return n
}

// Decision says whether an extract was taken over.
type Decision string

// The decisions.
const (
	// Applied: Outcome.Next holds the new state.
	Applied Decision = "APPLIED"
	// Held: nothing changed; Outcome.HeldReason says why.
	Held Decision = "HELD"
)

// HeldReason says why an extract was held.
type HeldReason string

// The reasons, in the order in which they are looked for.
const (
	// HeldTruncated: the document ended early. It cannot be confirmed, only fetched again.
	HeldTruncated HeldReason = "TRUNCATED"
	// HeldOtherInstitution: it is another school's. It cannot be confirmed.
	HeldOtherInstitution HeldReason = "OTHER_INSTITUTION"
	// HeldOlder: it was made before the last one that was applied. It cannot be confirmed.
	HeldOlder HeldReason = "OLDER_THAN_LAST"
	// HeldEmpty: it names nobody.
	HeldEmpty HeldReason = "EMPTY"
	// HeldMuchSmaller: half or less of the people present before are in it.
	HeldMuchSmaller HeldReason = "MUCH_SMALLER"
	// HeldSchoolYear: its school year is another one, or is no longer named.
	HeldSchoolYear HeldReason = "SCHOOL_YEAR_CHANGED"
)

// Confirmable reports whether a person's confirmation can apply an extract that was held for this reason.
func (r HeldReason) Confirmable() bool {
	return r == HeldEmpty || r == HeldMuchSmaller || r == HeldSchoolYear
}

// Outcome is the result of [Diff]. Of a held extract that can be confirmed, the count and the lists say what applying it would do; of one
// that cannot, Present is what it was and the lists are empty.
type Outcome struct {
	Decision   Decision
	HeldReason HeldReason
	// Present is how many people the roster holds: present before + arrived + returned - left.
	Present int
	// Arrived, Left and Returned are sorted. Returned people were gone and take their departure back.
	Arrived, Left, Returned []Pseudonym
	// Next is the state to store. It equals the previous state where the extract was held.
	Next State
}

// Options are what [Diff] needs besides state and extract.
type Options struct {
	// Now is the present moment.
	Now time.Time
	// Key turns a user name into a pseudonym. It must be deterministic.
	Key func(UserID) Pseudonym
	// Confirmed says that a person has looked at the held extract and wants it applied. It lifts the reasons that are
	// [HeldReason.Confirmable].
	Confirmed bool
}

// Diff compares an extract with the state before it. It changes neither, and does the same twice for the same input; applying an
// extract a second time changes nothing.
func Diff(previous State, extract Extract, opts Options) Outcome {
	in := make(map[Pseudonym]Roles, len(extract.People))
	for _, person := range extract.People {
		in[opts.Key(person.UserID)] |= person.Roles
	}
	out := compare(previous, in)
	reason := hold(previous, extract, len(in), len(out.Left))
	if reason != "" && !(opts.Confirmed && reason.Confirmable()) {
		if !reason.Confirmable() {
			out = Outcome{Present: previous.present()}
		}
		out.Decision, out.HeldReason, out.Next = Held, reason, previous
		return out
	}
	out.Decision = Applied
	out.Next = apply(previous, extract, in, departure(extract.ExportTime, opts.Now))
	return out
}

// compare sorts the people into those who arrived, left and returned.
func compare(previous State, in map[Pseudonym]Roles) Outcome {
	var out Outcome
	for key := range in {
		switch m, known := previous.Members[key]; {
		case !known:
			out.Arrived = append(out.Arrived, key)
		case !m.Present():
			out.Returned = append(out.Returned, key)
		}
	}
	for key, m := range previous.Members {
		if _, still := in[key]; !still && m.Present() {
			out.Left = append(out.Left, key)
		}
	}
	slices.Sort(out.Arrived)
	slices.Sort(out.Left)
	slices.Sort(out.Returned)
	out.Present = len(in)
	return out
}

// hold returns why the extract is not to be trusted, or "".
func hold(previous State, extract Extract, people, left int) HeldReason {
	first := previous.Institution == ""
	before := previous.present()
	switch {
	case extract.Truncated:
		return HeldTruncated
	case !first && extract.Institution != previous.Institution:
		return HeldOtherInstitution
	case extract.ExportTime.Before(previous.ExportTime):
		return HeldOlder
	case people == 0:
		return HeldEmpty
	// Counting those who stay, and not only how many the extract names, also catches an extract of as many strangers.
	case before > 0 && 2*(before-left) <= before:
		return HeldMuchSmaller
	case !first && extract.SchoolYear != previous.SchoolYear:
		return HeldSchoolYear
	default:
		return ""
	}
}

// departure returns the moment that the six months of a leaver run from: when the extract was made, but never later than now, whatever
// the other side's clock says.
func departure(exported, now time.Time) time.Time {
	if exported.IsZero() || now.Before(exported) {
		return now
	}
	return exported
}

// apply returns the state after the extract. People who had left before stay in it with their first departure, until the caller has
// erased them and drops them.
func apply(previous State, extract Extract, in map[Pseudonym]Roles, departed time.Time) State {
	members := make(map[Pseudonym]Member, len(in))
	maps.Copy(members, previous.Members)
	for key, m := range members {
		if _, still := in[key]; !still && m.Present() {
			m.DepartedTime = departed
			members[key] = m
		}
	}
	for key, roles := range in {
		members[key] = Member{Roles: roles}
	}
	return State{
		Institution: extract.Institution,
		SchoolYear:  extract.SchoolYear,
		ExportTime:  extract.ExportTime,
		Members:     members,
	}
}
