package redis

import (
	"sync"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
)

// How much is remembered.
const (
	maxControllers  = 10_000
	maxObservations = 8
	// interest is how long after the last question a controller's proof is renewed.
	interest = 10 * time.Second
)

// standing is what one replica knows of one controller.
type standing struct {
	revision int64
	provenAt time.Time // zero: never
	askedAt  time.Time
	seen     []observation // of the tickets in Redis, oldest first
}

// observation says: at this moment or later, this many tickets of this era had been drawn.
type observation struct {
	at    time.Time
	era   string
	drawn int64
}

// standings is what one replica knows. Revisions and proofs only go forward.
type standings struct {
	clock clock.Clock

	mu       sync.Mutex
	of       map[Controller]*standing
	watchers map[int]func(Controller, int64)
	watched  int
}

func newStandings(c clock.Clock) *standings {
	return &standings{clock: c, of: map[Controller]*standing{}, watchers: map[int]func(Controller, int64){}}
}

// get finds or makes a standing. The lock is held.
func (s *standings) get(controller Controller) *standing {
	st := s.of[controller]
	if st == nil {
		s.makeRoom()
		st = &standing{}
		s.of[controller] = st
	}
	return st
}

// makeRoom forgets controllers that nobody asks for, or else any: what is forgotten is unproven.
func (s *standings) makeRoom() {
	if len(s.of) < maxControllers {
		return
	}
	now := s.clock.Now()
	for controller, st := range s.of {
		if now.Sub(st.askedAt) > interest || len(s.of) > maxControllers*7/8 {
			delete(s.of, controller)
		}
	}
}

// learn raises a revision and tells the watchers.
func (s *standings) learn(controller Controller, revision int64) {
	s.prove(controller, revision, time.Time{})
}

// prove raises a revision and the moment for which it is proven.
func (s *standings) prove(controller Controller, revision int64, at time.Time) {
	s.mu.Lock()
	st := s.get(controller)
	if at.After(st.provenAt) {
		st.provenAt = at
	}
	var tell []func(Controller, int64)
	if revision > st.revision {
		st.revision = revision
		for _, fn := range s.watchers {
			tell = append(tell, fn)
		}
	}
	s.mu.Unlock()
	for _, fn := range tell {
		fn(controller, revision)
	}
}

func (s *standings) fresh(controller Controller) (int64, time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	st := s.get(controller)
	st.askedAt = now
	return st.revision, st.provenAt, youngerThan(now, st.provenAt, ProofAge)
}

// read gives what is known, without counting as interest.
func (s *standings) read(controller Controller) (int64, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.get(controller)
	return st.revision, st.provenAt
}

// youngerThan reports whether at is no longer than age before now by the monotonic clock and by the wall clock: the first stands
// still while a machine is suspended, the second may be set back. In doubt a proof has ended.
func youngerThan(now, at time.Time, age time.Duration) bool {
	if at.IsZero() {
		return false
	}
	monotonic, wall := now.Sub(at), now.Round(0).Sub(at.Round(0))
	return monotonic >= 0 && monotonic <= age && wall >= 0 && wall <= age
}

// asked lists the controllers that were asked for lately.
func (s *standings) asked() []Controller {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	var list []Controller
	for controller, st := range s.of {
		if youngerThan(now, st.askedAt, interest) {
			list = append(list, controller)
		}
	}
	return list
}

// due reports whether a proof is older than age.
func (s *standings) due(controller Controller, age time.Duration) bool {
	_, at := s.read(controller)
	return !youngerThan(s.clock.Now(), at, age)
}

// observe notes how many tickets were drawn.
func (s *standings) observe(controller Controller, o observation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.get(controller)
	st.seen = append(st.seen, o)
	if len(st.seen) > maxObservations {
		st.seen = st.seen[1:]
	}
}

// provenBy gives the latest moment at which the ticket had certainly not been drawn: the read of the database for which it was
// drawn came later. False: there is none.
func (s *standings) provenBy(controller Controller, era string, ticket int64) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.get(controller).seen
	for i := len(seen) - 1; i >= 0; i-- {
		if seen[i].era == era && seen[i].drawn < ticket {
			return seen[i].at, true
		}
	}
	return time.Time{}, false
}

func (s *standings) watch(fn func(Controller, int64)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.watched
	s.watched++
	s.watchers[id] = fn
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, id)
	}
}
