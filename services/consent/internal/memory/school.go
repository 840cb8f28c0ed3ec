package memory

import (
	"slices"
	"sync"
	"time"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// maxActivities bounds how many activities of one controller are remembered. Real registers have some dozens.
const maxActivities = 4096

// school is what is remembered of one controller. Everything in it holds at the revision `at`.
type school struct {
	controller consent.ControllerID
	people     *people
	newKey     func() uint32

	mu         sync.RWMutex
	key        uint32 // of its people among all; another one empties the memory at once
	at         consent.Revision
	takenAt    time.Time
	activities map[consent.ActivityID]*consent.Activity
}

// needs are what has to be read.
type needs struct {
	activities []consent.ActivityID
	subjects   []consent.SubjectRef
}

// wanted lists what questions ask for, each once.
func wanted(asked []Asked) needs {
	var n needs
	for _, a := range asked {
		n.activities = append(n.activities, a.Activity)
		n.subjects = append(n.subjects, a.Subjects...)
	}
	return n.once()
}

func (n needs) none() bool { return len(n.activities)+len(n.subjects) == 0 }

func (n needs) once() needs {
	slices.Sort(n.activities)
	slices.Sort(n.subjects)
	return needs{slices.Compact(n.activities), slices.Compact(n.subjects)}
}

// lookUp puts answers together from memory. Where the memory is older than need, or something is missing, it tells what has
// to be read.
func (s *school) lookUp(asked []Asked, need consent.Revision) ([]Known, consent.Revision, *needs) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	known := make([]Known, len(asked))
	var n needs
	for i, a := range asked {
		if known[i].Activity = s.activities[a.Activity]; known[i].Activity == nil {
			n.activities = append(n.activities, a.Activity)
		}
		var missing []consent.SubjectRef
		known[i].People, missing = consent.Gather(a.Subjects, func(ref consent.SubjectRef) (consent.Person, bool) {
			return s.people.get(s.key, ref, a.Activity)
		})
		n.subjects = append(n.subjects, missing...)
	}
	if s.at >= need && s.at > 0 && n.none() {
		return known, s.at, nil
	}
	n = n.once()
	return nil, 0, &n
}

// since tells up to which revision changes were taken in, and whether that is so long ago that the memory is to be emptied.
func (s *school) since(now time.Time) (at consent.Revision, rested bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.at, s.at == 0 || now.Sub(s.takenAt) > restAge
}

// take brings the memory to the revision of what was learned. Changes are all since a revision that the memory had; whole says
// that some are missing, so that everything may have changed.
func (s *school) take(got learned, changes []consent.Change, whole bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case got.revision < s.at:
		return // others know more by now: what was read may be outdated, and is read again
	case whole:
		s.key, s.activities = s.newKey(), nil
	default:
		for _, c := range changes {
			s.forget(c)
		}
	}
	s.at, s.takenAt = got.revision, now
	if s.activities == nil || len(s.activities) > maxActivities {
		s.activities = map[consent.ActivityID]*consent.Activity{}
	}
	for id, a := range got.activities {
		s.activities[id] = a
	}
	for ref, p := range got.people {
		s.people.set(s.key, ref, p)
	}
}

// forget drops what a change has touched.
func (s *school) forget(c consent.Change) {
	if c.Kind == consent.OfActivity {
		delete(s.activities, c.Activity)
	}
	for _, ref := range c.Subjects {
		s.people.drop(s.key, ref)
	}
}

func isMissing(err error) bool { return fault.From(err).Kind() == fault.NotFound }
