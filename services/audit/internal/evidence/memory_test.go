package evidence_test

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/evidence"
)

// memory is a store with the rules of the real one, which has tests of its own, and a log of what was done.
type memory struct {
	mu    sync.Mutex
	rows  map[evidence.Ref]evidence.Evidence
	files []evidence.FileID // that Begin was told
	done  []string
	fault string
	due   []*evidence.Evidence
}

func (m *memory) Get(_ context.Context, ref evidence.Ref) (*evidence.Evidence, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.rows[ref]
	if !ok {
		return nil, evidence.ErrMissing
	}
	return &e, m.fails("get")
}

func (m *memory) fails(what string) error {
	if m.fault == what {
		return errFault
	}
	return nil
}

func (m *memory) change(ref evidence.Ref, what string, states string, change func(*evidence.Evidence)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fails(what); err != nil {
		return err
	}
	e := m.rows[ref]
	if !strings.Contains(states, string(e.State)) {
		return evidence.ErrEnded
	}
	change(&e)
	m.rows[ref] = e
	m.done = append(m.done, what)
	return nil
}

func (m *memory) Begin(_ context.Context, ref evidence.Ref, total int64, file evidence.FileID) error {
	return m.change(ref, "begin", "PENDING GATHERING", func(e *evidence.Evidence) {
		e.State, e.Total = evidence.Gathering, total
		m.files = append(m.files, file)
	})
}

func (m *memory) Progress(_ context.Context, ref evidence.Ref, events int64) error {
	return m.change(ref, "progress", "GATHERING", func(e *evidence.Evidence) { e.Events = events })
}

func (m *memory) Finish(_ context.Context, done *evidence.Evidence) error {
	return m.change(done.Ref, "finish", "PENDING GATHERING", func(e *evidence.Evidence) { *e = *done })
}

func (m *memory) Due(context.Context, time.Time, int) ([]*evidence.Evidence, error) {
	return m.due, m.fails("due")
}

func (m *memory) Expire(_ context.Context, gone *evidence.Evidence) error {
	return m.change(gone.Ref, "expire", "READY", func(e *evidence.Evidence) { e.State, e.Reason, e.Package = evidence.Expired, gone.Reason, nil })
}

func (m *memory) Refers(context.Context, evidence.FileID) (bool, error) { return false, nil }
