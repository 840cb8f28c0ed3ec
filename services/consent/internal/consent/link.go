package consent

import (
	"context"
	"slices"
	"time"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/sqldb"
)

// Naming is one call's word that identifiers are one person's.
type Naming struct {
	Revision Revision
	// Time is when it was said; not kept with those of the past.
	Time time.Time
	// Subjects are the pseudonyms that were named, each once.
	Subjects []SubjectRef
	// Primary are those of them that are of the controller's primary identifier type: two of these are never one person's.
	Primary []SubjectRef
}

// Link says whose an identifier is.
type Link struct {
	Subject SubjectRef
	// Person stands for the person: the pseudonym of their primary identifier, or where none was named, one of their others.
	// Only the same under all of a person's identifiers; it is nobody's name.
	Person SubjectRef
	// Shared: it belongs to several people, as a family's mail address does, and links nothing, for good.
	Shared bool
}

// Links are what is known of identifiers: one for each that was ever named with another.
type Links []Link

// Union is what comes of one more naming.
type Union struct {
	// Revision and Time are those of the naming.
	Revision Revision
	Time     time.Time
	// Naming to keep; without subjects where it says nothing new.
	Naming Naming
	// Changed are the links that are others now.
	Changed Links
	// Subjects are all identifiers of the person, those that were named first in front.
	Subjects []SubjectRef
	// Shared are those of the named ones that were left out because they belong to several people.
	Shared []SubjectRef
	// Touched are all whose answers may be others now.
	Touched []SubjectRef
}

// LinkStore keeps which identifiers are one person's. Nothing of it is ever changed or deleted: it is pseudonyms, and who was
// taken for whom explains every answer that was given.
type LinkStore interface {
	// Links reads what is known of the refs, and of every identifier that is linked to one of them, as it is now.
	Links(ctx context.Context, q sqldb.Querier, controller ControllerID, refs []SubjectRef) (Links, error)
	// Namings reads every naming that a chain of namings, unbroken by shared identifiers, joins to one of the refs, oldest first.
	// Each has its subjects in the order of their pseudonyms.
	Namings(ctx context.Context, q sqldb.Querier, controller ControllerID, refs []SubjectRef) ([]Naming, error)
	// AddUnion adds what has come of a naming.
	AddUnion(ctx context.Context, tx sqldb.Tx, controller ControllerID, u Union) error
}

// Expand gives the refs, and after them all that are linked to one of them, each once.
func (l Links) Expand(refs []SubjectRef) []SubjectRef {
	out := slices.Clone(refs)
	for _, ref := range refs {
		person, ok := l.PersonOf(ref)
		if !ok {
			continue
		}
		for _, other := range l {
			if other.Person == person && !other.Shared && !slices.Contains(out, other.Subject) {
				out = append(out, other.Subject)
			}
		}
	}
	return out
}

// WithPersons gives the refs, and after them what stands for their persons, each once. What a person demands is kept under
// these, so that it stays theirs when the identifier they used turns out to be shared.
func (l Links) WithPersons(refs []SubjectRef) []SubjectRef {
	out := slices.Clone(refs)
	for _, ref := range refs {
		if person, ok := l.PersonOf(ref); ok && !slices.Contains(out, person) {
			out = append(out, person)
		}
	}
	return out
}

// PersonOf tells who is behind an identifier; false where it is linked to nothing.
func (l Links) PersonOf(ref SubjectRef) (SubjectRef, bool) {
	i := slices.IndexFunc(l, func(x Link) bool { return x.Subject == ref })
	if i < 0 || l[i].Shared {
		return ref, false
	}
	return l[i].Person, true
}

func (l Links) of(ref SubjectRef) (Link, bool) {
	i := slices.IndexFunc(l, func(x Link) bool { return x.Subject == ref })
	if i < 0 {
		return Link{}, false
	}
	return l[i], true
}

// LinkTogether works out what comes of one more naming. Before are all namings that a chain joins to it (of a [LinkStore]), known
// the links of every identifier in it and in them.
//
// Identifiers are one person's when a chain of namings joins them in which none is shared. An identifier is shared once it was
// named with, or as, the identifiers of two persons: two primary identifiers are never one person's. From then on every chain
// through it is broken, so that what was joined by it alone comes apart again.
//
// A naming that itself holds two primary identifiers cannot be true. It is a fault of kind Invalid (TWO_PERSONS), and changes
// nothing.
func LinkTogether(n Naming, before []Naming, known Links) (Union, error) {
	g := newGraph(before, known)
	n.Primary = slices.DeleteFunc(slices.Clone(n.Subjects), func(r SubjectRef) bool { return !slices.Contains(n.Primary, r) && !g.primary[r] })
	if len(n.Primary) > 1 {
		return Union{}, fault.New(fault.Invalid, "TWO_PERSONS",
			"Two identifiers of the controller's primary type are two persons, who are never linked (GDPR art. 5(1)(d)). Name one person's identifiers.").
			WithViolations([]fault.Violation{{Field: "subjects", Description: "name two persons"}})
	}
	out := Union{Revision: n.Revision, Time: n.Time, Shared: g.split(n)}
	if !g.says(n) {
		out.Naming = n
		g.namings = append(g.namings, n)
	}
	now := g.links()
	for _, link := range now {
		if was, ok := known.of(link.Subject); !ok || was != link {
			out.Changed = append(out.Changed, link)
		}
	}
	for _, ref := range n.Subjects {
		if !g.shared[ref] {
			out.Subjects = append(out.Subjects, ref)
		}
	}
	out.Subjects = now.Expand(out.Subjects)
	if len(out.Changed) > 0 {
		out.Touched = g.all()
	}
	return out, nil
}

// graph is identifiers with the namings that join them.
type graph struct {
	namings []Naming
	primary map[SubjectRef]bool
	shared  map[SubjectRef]bool
}

func newGraph(namings []Naming, known Links) *graph {
	g := &graph{namings: slices.Clone(namings), primary: map[SubjectRef]bool{}, shared: map[SubjectRef]bool{}}
	for _, n := range namings {
		for _, ref := range n.Primary {
			g.primary[ref] = true
		}
	}
	for _, l := range known {
		g.shared[l.Subject] = l.Shared
	}
	return g
}

// split finds the identifiers of a naming that belong to several people and marks them: those that were shared already, and
// those of another person than the naming's primary identifier, or than each other where it has none.
func (g *graph) split(n Naming) (shared []SubjectRef) {
	var persons []SubjectRef // the primary identifiers that meet
	for _, ref := range n.Primary {
		g.primary[ref] = true
		persons = append(persons, ref)
	}
	whose := map[SubjectRef]SubjectRef{}
	for _, ref := range n.Subjects {
		if p, ok := g.primaryOf(ref, n.Primary); ok {
			whose[ref] = p
			persons = append(persons, p)
		}
	}
	slices.Sort(persons)
	conflict := len(slices.Compact(persons)) > 1
	for _, ref := range n.Subjects {
		p, known := whose[ref]
		if conflict && known && !slices.Contains(n.Primary, p) {
			g.shared[ref] = true
		}
		if g.shared[ref] {
			shared = append(shared, ref)
		}
	}
	return shared
}

// primaryOf finds the primary identifier that is joined to an identifier: one of the preferred, or else the first.
func (g *graph) primaryOf(ref SubjectRef, preferred []SubjectRef) (SubjectRef, bool) {
	var found []SubjectRef
	for _, r := range g.joined(ref) {
		switch {
		case slices.Contains(preferred, r):
			return r, true
		case g.primary[r]:
			found = append(found, r)
		}
	}
	if len(found) == 0 {
		return "", false
	}
	return found[0], true
}

// joined lists the identifiers of the same person, in order.
func (g *graph) joined(ref SubjectRef) []SubjectRef {
	out := []SubjectRef{ref}
	if g.shared[ref] {
		return out
	}
	for i := 0; i < len(out); i++ {
		for _, n := range g.namings {
			if !slices.Contains(n.Subjects, out[i]) {
				continue
			}
			for _, r := range n.Subjects {
				if !g.shared[r] && !slices.Contains(out, r) {
					out = append(out, r)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

// says reports whether an earlier naming has said as much.
func (g *graph) says(n Naming) bool {
	return slices.ContainsFunc(g.namings, func(x Naming) bool { return within(n.Subjects, x.Subjects) && within(n.Primary, x.Primary) })
}

// all lists every identifier, each once, in order.
func (g *graph) all() []SubjectRef {
	var out []SubjectRef
	for _, n := range g.namings {
		out = append(out, n.Subjects...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// links gives the link of every identifier.
func (g *graph) links() Links {
	var out Links
	done := map[SubjectRef]bool{}
	for _, ref := range g.all() {
		if done[ref] {
			continue
		}
		same := g.joined(ref)
		person := same[0]
		if p, ok := g.primaryOf(ref, nil); ok {
			person = p
		}
		for _, r := range same {
			done[r] = true
			out = append(out, Link{Subject: r, Person: person, Shared: g.shared[r]})
		}
	}
	return out
}
