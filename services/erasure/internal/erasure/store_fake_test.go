package erasure

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"
)

var errCrash = errors.New("the worker crashed")

// memory is a Store in memory: documents go through JSON, as in the real one.
type memory struct {
	t        failer
	now      func() time.Time
	document []byte
	state    State
	fence    int64
	sealed   []Identifier
	graves   []string
	events   []Event
	// crash, where it is above 0, counts calls down and fails the one at which it arrives at 0.
	crash int
	// crashAfter makes the failing call take effect first, as when the answer of a commit is lost.
	crashAfter bool
}

func (m *memory) put(e *Erasure) {
	raw, err := json.Marshal(e)
	if err != nil {
		m.t.Fatalf("document: %v", err)
	}
	m.document, m.state = raw, e.State
}

func (m *memory) get() *Erasure {
	e := &Erasure{Controller: controller, ID: theID, State: m.state, Fence: m.fence}
	if err := json.Unmarshal(m.document, e); err != nil {
		m.t.Fatalf("document: %v", err)
	}
	return e
}

func (m *memory) crashes(effect func() error) error {
	if m.crash > 0 {
		if m.crash--; m.crash == 0 {
			if m.crashAfter {
				_ = effect()
			}
			return errCrash
		}
	}
	return effect()
}

func (m *memory) Take(ctx context.Context, _ ControllerID, _ ID, now time.Time) (e *Erasure, ids []Identifier, err error) {
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	err = m.crashes(func() error {
		if at, ok := m.get().NextWork(); !ok || at.After(now) {
			return ErrNoWork
		}
		m.fence++
		e, ids = m.get(), slices.Clone(m.sealed)
		return nil
	})
	return e, ids, err
}

var (
	auditKey   = regexp.MustCompile(`^[a-z][A-Za-z0-9_.-]{0,63}$`)
	auditValue = regexp.MustCompile(`^[A-Za-z0-9._:~/+=,-]{0,512}$`)
	auditName  = regexp.MustCompile(`^[a-z_]{1,40}\.[a-z_]{1,40}$`)
)

func (m *memory) Save(ctx context.Context, c Change) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return m.crashes(func() error {
		if c.Erasure.Fence != m.fence {
			return ErrFenced
		}
		m.checkEvent(c.Event)
		if m.state.Final() {
			m.t.Fatalf("%s was changed after its end", m.state)
		}
		m.put(c.Erasure)
		m.events = append(m.events, c.Event)
		switch {
		case c.DestroyIdentifiers:
			m.sealed = nil
		case c.Identifiers != nil:
			m.sealed = slices.Clone(c.Identifiers)
		}
		m.graves = append(m.graves, c.Tombstones...)
		return nil
	})
}

// checkEvent holds an event against what the audit service takes.
func (m *memory) checkEvent(e Event) {
	if !auditName.MatchString(e.Action) || (e.Reason != "" && !reasonPattern.MatchString(e.Reason)) || len(e.Detail) > 50 {
		m.t.Fatalf("the audit log refuses %+v", e)
	}
	for k, v := range e.Detail {
		if !auditKey.MatchString(k) || !auditValue.MatchString(v) {
			m.t.Fatalf("the audit log refuses the detail %q = %q", k, v)
		}
	}
}

// actions lists the events so far, with the reasons of those that failed.
func (m *memory) actions() (out []string) {
	for _, e := range m.events {
		name := strings.TrimPrefix(e.Action, "erasure.")
		if e.Reason != "" {
			name += ":" + e.Reason
		}
		out = append(out, name)
	}
	return out
}
