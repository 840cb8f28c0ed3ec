package keys

import (
	"sync"
	"time"

	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Bounds of what is kept in memory.
const (
	// KeyTime is how long an unwrapped key is kept, unless Config has another time.
	KeyTime = 60 * time.Second
	// purgeEvery is how often keys that are too old are looked for; they are taken for too old that much earlier.
	purgeEvery = 5 * time.Second
	// mostKeys and mostControllers bound the unwrapped keys, and half of mostIDs the ids of keys: some 20 MiB.
	mostKeys        = 16 << 10
	mostControllers = 1024
	mostIDs         = 64 << 10
)

// person is a pseudonym of a controller.
type person struct {
	controller audit.ControllerID
	ref        audit.SubjectRef
}

// memory remembers keys and their ids. What was read before a destruction is not remembered after it: whoever reads asks for the
// age first, and what comes with an older one is dropped.
type memory struct {
	fresh time.Duration // how old a key may be that is used

	mu  sync.Mutex
	age uint64
	// ids of the people met lately, and of those met before them. The older half goes when the newer one is full.
	ids, older  map[person]audit.KeyID
	keys        map[audit.KeyID]*held
	controllers map[audit.ControllerID]*controllerKey
}

// held is an unwrapped key.
type held struct {
	secret     secret
	controller audit.ControllerID
	since      time.Time
}

// controllerKey is an unwrapped key of a controller.
type controllerKey struct {
	*keyring.Envelope
	wrapped []byte
	since   time.Time
}

func newMemory(keyTime time.Duration) *memory {
	return &memory{fresh: keyTime - purgeEvery, ids: map[person]audit.KeyID{}, keys: map[audit.KeyID]*held{}, controllers: map[audit.ControllerID]*controllerKey{}}
}

func (m *memory) now() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.age
}

// idsOf splits people into those whose ids are remembered and the others.
func (m *memory) idsOf(c audit.ControllerID, refs map[audit.SubjectRef]time.Time) (known map[audit.SubjectRef]audit.KeyID, unknown []audit.SubjectRef) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known = make(map[audit.SubjectRef]audit.KeyID, len(refs))
	for ref := range refs {
		p := person{c, ref}
		id, ok := m.ids[p]
		if !ok {
			if id, ok = m.older[p]; ok {
				m.keepID(p, id)
			}
		}
		if ok {
			known[ref] = id
		} else {
			unknown = append(unknown, ref)
		}
	}
	return known, unknown
}

func (m *memory) keepIDs(age uint64, c audit.ControllerID, ids map[audit.SubjectRef]audit.KeyID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if age != m.age {
		return
	}
	for ref, id := range ids {
		m.keepID(person{c, ref}, id)
	}
}

func (m *memory) keepID(p person, id audit.KeyID) {
	if len(m.ids) >= mostIDs/2 {
		m.ids, m.older = make(map[person]audit.KeyID, mostIDs/2), m.ids
	}
	m.ids[p] = id
}

// key copies a key, if it is remembered.
func (m *memory) key(id audit.KeyID, now time.Time, to *secret) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := m.keys[id]
	if !ok || now.Sub(h.since) >= m.fresh {
		return false
	}
	*to = h.secret
	return true
}

func (m *memory) keepKey(age uint64, c audit.ControllerID, id audit.KeyID, now time.Time, key *secret) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if age != m.age {
		return
	}
	if _, there := m.keys[id]; !there && len(m.keys) >= mostKeys {
		m.makeRoom()
	}
	if old := m.keys[id]; old != nil {
		clear(old.secret[:])
	}
	m.keys[id] = &held{*key, c, now}
}

// makeRoom forgets some keys, whichever.
func (m *memory) makeRoom() {
	n := mostKeys / 8
	for id := range m.keys {
		m.drop(id)
		if n--; n == 0 {
			return
		}
	}
}

func (m *memory) drop(id audit.KeyID) {
	clear(m.keys[id].secret[:])
	delete(m.keys, id)
}

func (m *memory) controller(c audit.ControllerID, now time.Time) *controllerKey {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.controllers[c]; k != nil && now.Sub(k.since) < m.fresh {
		return k
	}
	return nil
}

func (m *memory) keepController(age uint64, c audit.ControllerID, k *controllerKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if age != m.age {
		return
	}
	if len(m.controllers) >= mostControllers {
		clear(m.controllers)
	}
	m.controllers[c] = k
}

// replaced forgets a controller's key, in the place of which there is another one.
func (m *memory) replaced(c audit.ControllerID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.age++
	delete(m.controllers, c)
}

// purge forgets keys that are too old at a time.
func (m *memory) purge(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, h := range m.keys {
		if now.Sub(h.since) >= m.fresh {
			m.drop(id)
		}
	}
	for c, k := range m.controllers {
		if now.Sub(k.since) >= m.fresh {
			delete(m.controllers, c)
		}
	}
}

// forget forgets people and keys that are destroyed; without people, all of the controller.
func (m *memory) forget(c audit.ControllerID, people []Marked, ids []audit.KeyID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.age++
	for _, p := range people {
		delete(m.ids, person{c, p.Ref})
		delete(m.older, person{c, p.Ref})
	}
	for _, id := range ids {
		if m.keys[id] != nil {
			m.drop(id)
		}
	}
	if len(people) > 0 {
		return
	}
	delete(m.controllers, c)
	for _, of := range []map[person]audit.KeyID{m.ids, m.older} {
		for p := range of {
			if p.controller == c {
				delete(of, p)
			}
		}
	}
	for id, h := range m.keys {
		if h.controller == c {
			m.drop(id)
		}
	}
}
