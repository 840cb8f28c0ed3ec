// Package memory answers the questions of the hot path from what this replica remembers of the database: activities, and what
// decides about a person under one pseudonym. What it remembers is bounded, whatever the number of people.
//
// # When a memory may be used
//
// Every change takes the controller's next revision and says in the database what it has changed (consent.Change). Of each
// controller the memory knows up to which revision it has taken the changes in, and that everything it remembers of the
// controller holds at that revision. A question is answered from memory only if that revision is not older than the newest
// one that is proven (redis.Revisions: at most two seconds ago), nor than the one that the asker has seen. Otherwise the
// changes in between are read first, and what they touched is forgotten. Nothing depends on a message arriving: notices
// between replicas only make the news come sooner.
//
// Where the newest revision cannot be proven, because the database does not answer, there is no answer either
// ([ErrUnproven]): a withdrawal that cannot be seen must not be passed over (GDPR art. 7(3)).
//
// # One state for one answer
//
// The answer to a question never mixes two states: either everything comes from memory at one revision, or it is read from
// one snapshot of the database.
package memory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

const (
	// DefaultSize bounds the memory for people, in bytes.
	DefaultSize = 256 << 20
	// takenAtOnce is how many changes are read at once. A memory that is further behind is emptied instead.
	takenAtOnce = 1000
	// restAge is how long a memory may rest before it is emptied rather than brought up to date: long before changes are
	// deleted from the database.
	restAge = time.Hour
	// attempts is how often an answer is put together from memory, while other calls change it, before it is read from the
	// database alone.
	attempts = 3
)

// ErrUnproven says that nobody can tell whether what is remembered still holds.
var ErrUnproven = errors.New("memory: the newest revision cannot be proven")

// Revisions prove the newest revision of a controller; redis.Revisions do.
type Revisions interface {
	Fresh(controller redis.Controller) (revision int64, provenAt time.Time, ok bool)
	Prove(ctx context.Context, controller redis.Controller) (revision int64, provenAt time.Time, err error)
}

// Database runs reads on snapshots; *sqldb.DB does.
type Database interface {
	Read(ctx context.Context, fn func(ctx context.Context, q sqldb.Querier) error) error
}

// Store reads what is remembered; consent.Store does.
type Store interface {
	Revision(ctx context.Context, q sqldb.Querier, controller consent.ControllerID) (consent.Revision, error)
	Activity(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, id consent.ActivityID) (consent.Activity, error)
	ChangesAfter(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, after consent.Revision, limit int) ([]consent.Change, error)
	People(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, refs []consent.SubjectRef) (map[consent.SubjectRef]consent.Person, error)
}

// Config is what a memory is made of. All but Size is required.
type Config struct {
	DB        Database
	Store     Store
	Revisions Revisions
	Clock     clock.Clock
	// Size bounds the memory for people in bytes; default DefaultSize.
	Size int64
}

// Memory is what one replica remembers. It is safe for concurrent use.
type Memory struct {
	cfg    Config
	people *people
	flight singleflight.Group // by controller

	mu      sync.Mutex
	schools map[consent.ControllerID]*school
	nextKey uint32
}

// New makes an empty memory.
func New(cfg Config) (*Memory, error) {
	if cfg.DB == nil || cfg.Store == nil || cfg.Revisions == nil || cfg.Clock == nil || cfg.Size < 0 {
		return nil, errors.New("memory: database, store, revisions and clock are required")
	}
	if cfg.Size == 0 {
		cfg.Size = DefaultSize
	}
	return &Memory{cfg: cfg, people: newPeople(cfg.Size), schools: map[consent.ControllerID]*school{}}, nil
}

// Close gives the room back. Nothing may be asked afterwards.
func (m *Memory) Close() { m.people.cache.Reset() }

// Asked is what an answer needs to know.
type Asked struct {
	Activity consent.ActivityID
	Subjects []consent.SubjectRef
}

// Freshness is what the asker demands.
type Freshness struct {
	// Seen is the newest revision that the asker has seen.
	Seen consent.Revision
	// Full asks for the newest state of the database, past every memory.
	Full bool
}

// Known is what is known of one question.
type Known struct {
	// Activity is nil where the controller has none with the id.
	Activity *consent.Activity
	// People are what decides about each of the subjects, and about all that are linked to one of them.
	People []consent.Person
}

// Snapshot gives what is known of questions about one controller, all at one revision. The error is ErrUnproven where
// freshness cannot be shown, and a fault of kind NotFound where the register does not have the controller.
func (m *Memory) Snapshot(ctx context.Context, controller consent.ControllerID, asked []Asked, f Freshness) ([]Known, consent.Revision, error) {
	if f.Full {
		return m.readAll(ctx, controller, asked)
	}
	proven, err := m.newest(ctx, controller)
	if err != nil {
		return nil, 0, err
	}
	s := m.school(controller)
	for range attempts {
		known, at, missing := s.lookUp(asked, max(proven, f.Seen))
		if missing == nil {
			return known, at, nil
		}
		if err := m.learn(ctx, s, *missing); err != nil {
			return nil, 0, unproven(err)
		}
	}
	known, at, err := m.readAll(ctx, controller, asked)
	if err == nil && at < proven {
		return nil, 0, fmt.Errorf("%w: the database has gone back from revision %d to %d", ErrUnproven, proven, at)
	}
	return known, at, err
}

// newest is the newest proven revision.
func (m *Memory) newest(ctx context.Context, controller consent.ControllerID) (consent.Revision, error) {
	rev, _, ok := m.cfg.Revisions.Fresh(redis.Controller(controller))
	if ok {
		return consent.Revision(rev), nil
	}
	rev, _, err := m.cfg.Revisions.Prove(ctx, redis.Controller(controller))
	return consent.Revision(rev), unproven(err)
}

// unproven turns the database's silence into ErrUnproven.
func unproven(err error) error {
	if errors.Is(err, sqldb.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrUnproven, err)
	}
	return err
}

// readAll reads everything from one snapshot of the database and remembers nothing.
func (m *Memory) readAll(ctx context.Context, controller consent.ControllerID, asked []Asked) ([]Known, consent.Revision, error) {
	need := wanted(asked)
	var got learned
	err := m.cfg.DB.Read(ctx, func(ctx context.Context, q sqldb.Querier) (err error) {
		got, err = m.read(ctx, q, controller, need)
		return err
	})
	if err != nil {
		return nil, 0, unproven(err)
	}
	known := make([]Known, len(asked))
	for i, a := range asked {
		known[i].Activity = got.activities[a.Activity]
		known[i].People, _ = consent.Gather(a.Subjects, func(ref consent.SubjectRef) (consent.Person, bool) { return got.people[ref], true })
	}
	return known, got.revision, nil
}

// learn reads what is missing. Calls that miss nothing but the latest changes share one read.
func (m *Memory) learn(ctx context.Context, s *school, need needs) error {
	if !need.none() {
		return m.readInto(ctx, s, need)
	}
	done := m.flight.DoChan(string(s.controller), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), redis.ProofAge)
		defer cancel()
		return nil, m.readInto(ctx, s, needs{})
	})
	select {
	case <-ctx.Done():
		return ctx.Err()
	case result := <-done:
		return result.Err
	}
}

// readInto reads what is missing, and the changes since the memory was last brought up to date, from one snapshot, and
// remembers it.
func (m *Memory) readInto(ctx context.Context, s *school, need needs) error {
	since, rested := s.since(m.cfg.Clock.Now())
	var got learned
	var changes []consent.Change
	err := m.cfg.DB.Read(ctx, func(ctx context.Context, q sqldb.Querier) (err error) {
		if got, err = m.read(ctx, q, s.controller, need); err != nil || rested || got.revision == since {
			return err
		}
		changes, err = m.cfg.Store.ChangesAfter(ctx, q, s.controller, since, takenAtOnce)
		return err
	})
	if err != nil {
		return err
	}
	s.take(got, changes, rested || len(changes) == takenAtOnce, m.cfg.Clock.Now())
	return nil
}

// learned is what was read from one snapshot.
type learned struct {
	revision   consent.Revision
	activities map[consent.ActivityID]*consent.Activity
	people     map[consent.SubjectRef]consent.Person
}

func (m *Memory) read(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, need needs) (got learned, err error) {
	if got.revision, err = m.cfg.Store.Revision(ctx, q, controller); err != nil {
		return got, err
	}
	got.activities = make(map[consent.ActivityID]*consent.Activity, len(need.activities))
	for _, id := range need.activities {
		a, err := m.cfg.Store.Activity(ctx, q, controller, id)
		switch {
		case err == nil:
			got.activities[id] = &a
		case !isMissing(err):
			return got, err
		}
	}
	got.people, err = m.readPeople(ctx, q, controller, need.subjects)
	return got, err
}

// readPeople reads what is known under the refs and under all that are linked to one of them. Who is linked to whom is the same
// seen from either side, so that the second step finds nobody new.
func (m *Memory) readPeople(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, refs []consent.SubjectRef) (map[consent.SubjectRef]consent.Person, error) {
	people, err := m.cfg.Store.People(ctx, q, controller, refs)
	if err != nil {
		return nil, err
	}
	var linked []consent.SubjectRef
	for _, p := range people {
		for _, ref := range p.Linked {
			if _, read := people[ref]; !read {
				linked = append(linked, ref)
			}
		}
	}
	if len(linked) == 0 {
		return people, nil
	}
	more, err := m.cfg.Store.People(ctx, q, controller, linked)
	if err != nil {
		return nil, err
	}
	maps.Copy(people, more)
	return people, nil
}

// school finds or makes the memory of one controller.
func (m *Memory) school(id consent.ControllerID) *school {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.schools[id]
	if s == nil {
		s = &school{controller: id, people: m.people, newKey: m.newKey}
		s.key = m.nextKeyLocked()
		m.schools[id] = s
	}
	return s
}

// newKey makes a number under which a school's people are remembered.
func (m *Memory) newKey() uint32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nextKeyLocked()
}

func (m *Memory) nextKeyLocked() uint32 {
	m.nextKey++
	return m.nextKey
}
