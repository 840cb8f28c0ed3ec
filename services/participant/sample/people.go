package sample

import (
	"fmt"
	"math/rand/v2" //nolint:depguard // foreseeable numbers are the point, see random
	"strings"
	"time"
)

// The two schools of the database, each a controller.
const (
	// Controller is the school that the demonstration is about, with 200 people.
	Controller = "soenderskolen"
	// OtherController is another school in the same database, with 40 people.
	OtherController = "vesterskolen"
)

// Person is somebody in the sample.
type Person struct {
	// Key is the row in the table users.
	Key int64
	// Controller is the school.
	Controller string
	// UniLogin, LocalPersonID and Email are always there; Phone may be empty.
	UniLogin, LocalPersonID, Email, Phone string
	// FirstName and LastName make the DisplayName by which others mention the person.
	FirstName, LastName, DisplayName string
	// Role is "elev", "lærer" or "leder".
	Role string
	// GuardianEmail is shared by siblings; empty for staff.
	GuardianEmail string

	born, guardianName, guardianPhone string
	class                             int // index in world.classes; for staff the class they are homeroom teacher of, or -1
}

// Values are all texts that name the person alone: what must not be found after an erasure.
func (p Person) Values() []string {
	out := []string{p.UniLogin, p.LocalPersonID, p.Email, p.DisplayName}
	if p.Phone != "" {
		out = append(out, p.Phone)
	}
	return out
}

// The keys of the people that the sample is told around.
const (
	pupilKey   = 161 // in 9a
	siblingKey = 77  // in 7a
	twinKey    = 100 // shares a telephone with the person before
)

// Pupil is the pupil to demonstrate with: she has a sibling who shares her parent's e-mail address, rows in every table that
// pupils have, a support ticket by e-mail and one by telephone, exam records, and classmates who mention her by name.
func Pupil() Person { return newWorld().person(pupilKey) }

// Sibling is the pupil's brother, whose rows must not change.
func Sibling() Person { return newWorld().person(siblingKey) }

// world is everybody, before there is a database.
type world struct {
	people  []Person // those of Controller first, by key from 1
	classes []class
}

type class struct {
	school  string
	name    string
	level   int
	teacher int64
	pupils  []int64
}

// plan of the schools: staff first, then the classes of pupils.
var plans = []struct {
	school  string
	staff   int
	classes []string
	size    int
}{
	{Controller, 24, []string{"6a", "6b", "7a", "7b", "8a", "8b", "9a", "9b"}, 22},
	{OtherController, 4, []string{"7x", "9x"}, 18},
}

// dice draw the numbers that vary the sample.
type dice = rand.Rand

// random gives the numbers of one part of the sample, so that a change in one part leaves the others as they are. They are
// chosen to be the same everywhere, not to be unforeseeable.
func random(part uint64) *dice {
	return rand.New(rand.NewPCG(20261121, part)) //nolint:gosec // nothing in the sample is secret
}

func pick[T any](r *dice, from []T) T { return from[r.IntN(len(from))] }

// The parts of the sample that draw numbers.
const (
	partPeople = iota
	partWork
	partTalk
	partTraces
)

// newWorld makes everybody.
func newWorld() *world {
	w, r := &world{}, random(partPeople)
	names := map[string]bool{}
	for _, p := range plans {
		for i := range p.staff {
			role := "lærer"
			if i == 0 {
				role = "leder"
			}
			w.add(r, names, Person{Controller: p.school, Role: role, class: -1})
		}
		first := int64(len(w.people) - p.staff + 1)
		for i, name := range p.classes {
			teacher := first + 1 + int64(i)
			n := len(w.classes)
			w.people[teacher-1].class = n
			w.classes = append(w.classes, class{school: p.school, name: name, level: int(name[0] - '0'), teacher: teacher})
			for range p.size {
				w.classes[n].pupils = append(w.classes[n].pupils, int64(len(w.people)+1))
				w.add(r, names, Person{Controller: p.school, Role: "elev", class: n})
			}
		}
	}
	return w
}

// person finds somebody by key.
func (w *world) person(key int64) Person { return w.people[key-1] }

// add completes a person and takes it in.
func (w *world) add(r *dice, names map[string]bool, p Person) {
	p.Key = int64(len(w.people) + 1)
	w.name(r, names, &p)
	ascii := plain(p.FirstName)
	p.UniLogin = fmt.Sprintf("%s%04d", (ascii + "xxxx")[:4], p.Key*37%10000)
	p.LocalPersonID = fmt.Sprintf("L%06d", 260000+p.Key*11)
	p.Email = ascii + "." + plain(p.LastName) + "@skole.example"
	p.Phone = fmt.Sprintf("+4500%06d", 100000+p.Key*613)
	if p.Key == twinKey {
		p.Phone = w.person(twinKey - 1).Phone
	}
	if p.Role == "elev" {
		w.grow(r, &p)
	}
	w.people = append(w.people, p)
}

// grow gives a pupil an age and a parent.
func (w *world) grow(r *dice, p *Person) {
	year := 2019 - w.classes[p.class].level
	p.born = time.Date(year, time.Month(1+r.IntN(12)), 1+r.IntN(28), 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	family := w.family(p.Key)
	p.guardianName = pick(r, firstNames) + " " + p.LastName
	if family != p.Key {
		p.guardianName = w.person(family).guardianName
	}
	p.guardianPhone = fmt.Sprintf("+4500%06d", 700000+family*311)
	p.GuardianEmail = fmt.Sprintf("forael%03d@skole.example", family)
}

// family is the key of the youngest sibling, or the person's own: every ninth pupil has a sibling a year below.
func (w *world) family(key int64) int64 {
	switch {
	case key == pupilKey:
		return siblingKey
	case key == twinKey:
		return twinKey - 1
	case key < 69, key > 200, key%9 != 4:
		return key
	}
	return key - 44 // two classes of 22
}

// name gives a person a name that nobody else has. Siblings have the same last name.
func (w *world) name(r *dice, names map[string]bool, p *Person) {
	for {
		p.FirstName, p.LastName = pick(r, firstNames), pick(r, lastNames)
		switch p.Key {
		case pupilKey:
			p.FirstName, p.LastName = "Freja", "Ågård"
		case siblingKey:
			p.FirstName, p.LastName = "Villads", "Ågård"
		default:
			if f := w.family(p.Key); f != p.Key {
				p.LastName = w.person(f).LastName
			}
		}
		p.DisplayName = p.FirstName + " " + p.LastName
		if !names[p.DisplayName] {
			names[p.DisplayName] = true
			return
		}
	}
}

// plain writes a name without the letters that addresses do not have.
func plain(name string) string {
	return strings.NewReplacer("æ", "ae", "ø", "oe", "å", "aa").Replace(strings.ToLower(name))
}
