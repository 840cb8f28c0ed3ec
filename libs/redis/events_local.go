package redis

import (
	"context"
	"maps"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
)

// LocalEvents is [Events] in one process. What it holds ends with the process, as a FLUSHALL would end it.
type LocalEvents struct {
	clock clock.Clock

	mu      sync.Mutex
	streams map[Controller]*stream
}

type stream struct {
	events []Event
	last   int64
	ends   time.Time
	groups map[string]*group
}

type group struct {
	delivered int64
	pending   map[int64]time.Time // when it was given, by sequence
}

// NewLocalEvents makes empty streams.
func NewLocalEvents(c clock.Clock) *LocalEvents {
	return &LocalEvents{clock: c, streams: map[Controller]*stream{}}
}

// get finds a stream; create says to make one. The lock is held.
func (l *LocalEvents) get(controller Controller, create bool) *stream {
	now := l.clock.Now()
	s := l.streams[controller]
	if s != nil && now.After(s.ends) {
		delete(l.streams, controller)
		s = nil
	}
	if s == nil {
		s = &stream{groups: map[string]*group{}}
		if create {
			l.streams[controller] = s
		}
	}
	if create {
		s.ends = now.Add(StreamAge)
	}
	return s
}

// Append fulfils [Events].
func (l *LocalEvents) Append(_ context.Context, controller Controller, e Event) error {
	if err := e.valid(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.get(controller, true)
	if e.Sequence <= s.last {
		return nil
	}
	e.Fields = maps.Clone(e.Fields)
	e.Time = e.Time.UTC().Truncate(time.Microsecond)
	s.events, s.last = append(s.events, e), e.Sequence
	if extra := len(s.events) - StreamLength; extra > StreamLength/10 { // now and then, so that it costs little
		s.events = slices.Clone(s.events[extra:])
	}
	return nil
}

// after finds up to limit events after a sequence.
func (s *stream) after(sequence int64, limit int) []Event {
	from := sort.Search(len(s.events), func(i int) bool { return s.events[i].Sequence > sequence })
	return copies(s.events[from:min(from+limit, len(s.events))])
}

func copies(events []Event) []Event {
	var list []Event
	for _, e := range events {
		e.Fields = maps.Clone(e.Fields)
		list = append(list, e)
	}
	return list
}

// Read fulfils [Events].
func (l *LocalEvents) Read(_ context.Context, controller Controller, after int64, limit int) (Page, error) {
	limit = pageLimit(limit)
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.get(controller, false)
	events := s.after(after, limit)
	return follow(events, after, s.last, len(events) < limit), nil
}

// Join fulfils [Events].
func (l *LocalEvents) Join(_ context.Context, controller Controller, name string, after int64) error {
	if !namePattern.MatchString(name) || after < 0 {
		return errNames
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.get(controller, true)
	if s.groups[name] == nil {
		s.groups[name] = &group{delivered: after, pending: map[int64]time.Time{}}
	}
	return nil
}

// Take fulfils [Events].
func (l *LocalEvents) Take(_ context.Context, controller Controller, name, consumer string, limit int) (Page, error) {
	if !namePattern.MatchString(name) || !namePattern.MatchString(consumer) {
		return Page{}, errNames
	}
	limit = pageLimit(limit)
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.get(controller, false)
	g := s.groups[name]
	if g == nil {
		return Page{}, ErrNoGroup
	}
	now := l.clock.Now()
	if again := s.claim(g, now, limit); len(again.Events)+len(again.Gaps) > 0 {
		return again, nil
	}
	events := s.after(g.delivered, limit)
	page := follow(events, g.delivered, s.last, len(events) < limit)
	for _, e := range events {
		g.pending[e.Sequence] = now
		g.delivered = e.Sequence
	}
	return page, nil
}

// claim gives what was taken long ago. What was trimmed meanwhile is a gap.
func (s *stream) claim(g *group, now time.Time, limit int) Page {
	var p Page
	for _, sequence := range slices.Sorted(maps.Keys(g.pending)) {
		if now.Sub(g.pending[sequence]) < Redelivery || len(p.Events) == limit {
			continue
		}
		found := s.after(sequence-1, 1)
		if len(found) == 0 || found[0].Sequence != sequence {
			delete(g.pending, sequence)
			p.Gaps = append(p.Gaps, Gap{After: sequence - 1, Through: sequence})
			continue
		}
		g.pending[sequence] = now
		p.Events = append(p.Events, found[0])
	}
	return p
}

// Acknowledge fulfils [Events].
func (l *LocalEvents) Acknowledge(_ context.Context, controller Controller, name string, sequences ...int64) error {
	if !namePattern.MatchString(name) {
		return errNames
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.get(controller, false).groups[name]; g != nil {
		for _, sequence := range sequences {
			delete(g.pending, sequence)
		}
	}
	return nil
}

// Leave fulfils [Events].
func (l *LocalEvents) Leave(_ context.Context, controller Controller, name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.get(controller, false).groups, name)
	return nil
}
