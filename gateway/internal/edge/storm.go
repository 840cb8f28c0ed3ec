package edge

import (
	"sync"
	"time"
)

// A storm is this many refused calls of one caller within this time: more than a client makes that slows down when it is told to.
const (
	stormCalls  = 100
	stormPeriod = time.Minute
)

// storms notices callers of whom many calls are refused.
type storms struct {
	mu      sync.Mutex
	callers map[string]*storm
}

type storm struct {
	begin time.Time
	calls int
}

func newStorms() *storms { return &storms{callers: map[string]*storm{}} }

// refused counts a refused call, and reports whether with it there is a storm: once a period for each caller.
func (s *storms) refused(caller string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.callers[caller]
	if one == nil {
		if len(s.callers) >= maxKeys {
			s.forget(now)
		}
		if len(s.callers) >= maxKeys {
			return false
		}
		one = &storm{begin: now}
		s.callers[caller] = one
	}
	if now.Sub(one.begin) >= stormPeriod {
		one.begin, one.calls = now, 0
	}
	one.calls++
	return one.calls == stormCalls
}

// forget drops those whose time is over.
func (s *storms) forget(now time.Time) {
	for caller, one := range s.callers {
		if now.Sub(one.begin) >= stormPeriod {
			delete(s.callers, caller)
		}
	}
}
