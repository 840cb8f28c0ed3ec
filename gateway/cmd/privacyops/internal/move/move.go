package move

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/suite"
	"github.com/privacyops/privacyops/libs/sqldb"
)

// Service is one service with a database of its own.
type Service struct {
	// Name is also the name of its schema and, with hyphens, of its SQLite file.
	Name string
	// Migrate brings its tables in a PostgreSQL schema up to date; database is the URL with the parameter schema. It tells of
	// each change.
	Migrate func(ctx context.Context, database string, tell func(change string)) error
}

// Step is a part of a move.
type Step string

// The steps, in their order.
const (
	Survey Step = "read"
	Copy   Step = "copy"
	Verify Step = "verify"
)

// Progress is how far a step is with a table.
type Progress struct {
	Step    Step
	Service string
	Table   string
	// Rows of Total are done.
	Rows, Total int64
}

// Options say what is moved where.
type Options struct {
	// DataDir is the data folder of the embedded installation.
	DataDir string
	// To is the URL of the PostgreSQL database.
	To string
	// Services are those whose databases are moved.
	Services []Service
	// Note writes, into the audit service's SQLite database, that the installation is moved, before it is; may be nil.
	Note func(ctx context.Context, database string) error
	// Progress is told how far the move is; may be nil.
	Progress func(Progress)
	// Now tells the time.
	Now func() time.Time
}

// Report is the end of a move.
type Report struct {
	// To says where, without user and password.
	To string `json:"to"`
	// Verified: every table holds the same rows on both sides.
	Verified bool `json:"verified"`
	// Resumed: an earlier move was interrupted, and this one went on with it.
	Resumed bool `json:"resumed"`
	// Before is when the installation was moved, where that had been done and verified before; nothing was read then.
	Before *time.Time `json:"moved_before,omitempty"`
	Rows   int64      `json:"rows"`
	Tables []Table    `json:"tables,omitempty"`
}

// mover is a move under way.
type mover struct {
	Options
	folder *suite.Folder
	target *target
	logKey string
	tasks  []*task
	report Report
}

// Run moves an installation, or goes on with a move that was interrupted. An error means that it has to be run again; a report
// that is not verified, that the target does not hold what it should. Neither error nor report hold a value of any row.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	m := &mover{Options: o}
	if m.report.To, err = Place(o.To); err != nil {
		return nil, err
	}
	if m.folder, err = suite.HoldFolder(o.DataDir); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.folder.Release()) }()
	if m.target, err = openTarget(ctx, o.To); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.target.db.Close()) }()
	unlock, err := m.target.db.Lock(ctx, "move")
	if errors.Is(err, sqldb.ErrLocked) {
		return nil, errors.New("another move into this database is under way")
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = unlock() }()
	defer m.closeSources()
	if err := m.run(ctx); err != nil {
		return nil, err
	}
	return &m.report, nil
}

func (m *mover) run(ctx context.Context) error {
	before, done, err := m.identify(ctx)
	if err != nil || done {
		return err
	}
	if m.Note != nil && before == (installation{}) {
		if err := m.Note(ctx, "sqlite:"+m.folder.Database("audit")); err != nil {
			return err
		}
	}
	if err := m.openSources(); err != nil {
		return err
	}
	if before == (installation{}) {
		if err := m.claim(ctx); err != nil {
			return err
		}
	}
	if err := m.prepare(ctx); err != nil {
		return err
	}
	if err := m.folder.SetMark(suite.Mark{State: suite.MoveBegun, To: m.report.To, Time: m.Now().UTC()}); err != nil {
		return err
	}
	m.report.Resumed = before != (installation{})
	if before.begun.IsZero() {
		err = m.target.begin(ctx, m.logKey, m.Now(), m.tasks)
	} else {
		err = m.target.resume(ctx, m.tasks)
	}
	if err != nil {
		return err
	}
	if err := m.copyAll(ctx); err != nil {
		return err
	}
	if err := m.verifyAll(ctx); err != nil || !m.report.Verified {
		return err
	}
	return m.end(ctx)
}

// identify finds out which installation this is and whether the target is free for it. Nothing is changed before it is known.
func (m *mover) identify(ctx context.Context) (before installation, done bool, err error) {
	key, err := os.ReadFile(m.folder.LogKey())
	if err != nil {
		return before, false, fmt.Errorf("%s has no key of an audit log: only an embedded installation that has been started can be moved", m.DataDir)
	}
	m.logKey = fmt.Sprintf("%x", sha256.Sum256(key))
	mark, err := m.folder.Mark()
	if err != nil {
		return before, false, err
	}
	err = m.target.read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		if before, err = begunBy(ctx, q); err != nil {
			return err
		}
		switch before.logKey {
		case m.logKey:
			return nil
		case "":
		default:
			return errors.New("the target holds another installation, moved there or on the way: name an empty database")
		}
		for _, s := range m.Services {
			if err := vacant(ctx, q, s.Name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return before, false, err
	}
	if mark.State != suite.MoveDone {
		return before, false, nil
	}
	if before.end.IsZero() {
		return before, false, fmt.Errorf("this installation was moved to PostgreSQL already (%s), and not to this database", mark.To)
	}
	m.report.Verified, m.report.Before = true, &before.end
	return before, true, nil
}

func (m *mover) openSources() error {
	for _, s := range m.Services {
		src, err := openSource(s.Name, m.folder.Database(strings.ReplaceAll(s.Name, "_", "-")))
		if err != nil {
			return err
		}
		m.tasks = append(m.tasks, &task{table: table{service: s.Name}, source: src})
	}
	return nil
}

func (m *mover) closeSources() {
	for _, t := range m.tasks {
		_ = t.source.close()
	}
}

// claim makes the journal, and takes a target that was found to be free.
func (m *mover) claim(ctx context.Context) error {
	if err := m.target.makeJournal(ctx); err != nil {
		return err
	}
	return m.target.claim(ctx, m.logKey)
}

// prepare makes the schemas, lists the tables, and reads those of the files.
func (m *mover) prepare(ctx context.Context) error {
	for _, s := range m.Services {
		if err := s.Migrate(ctx, inSchema(m.To, s.Name), func(string) {}); err != nil {
			return fmt.Errorf("make the tables of %s: %w", s.Name, err)
		}
	}
	err := m.target.read(ctx, func(ctx context.Context, q sqldb.Querier) error { return m.planAll(ctx, q) })
	if err != nil {
		return err
	}
	for _, t := range m.tasks {
		if err := t.survey(ctx); err != nil {
			return err
		}
		m.tell(Survey, t, t.total)
	}
	return nil
}

// planAll puts a task for each table in the place of the one for the service.
func (m *mover) planAll(ctx context.Context, q sqldb.Querier) error {
	var all []*task
	for _, t := range m.tasks {
		if err := sameVersions(ctx, t.source, q); err != nil {
			return err
		}
		tables, err := plan(ctx, t.source, q)
		if err != nil {
			return err
		}
		for _, found := range tables {
			all = append(all, &task{table: found, source: t.source})
		}
	}
	m.tasks = all
	return nil
}

func (m *mover) copyAll(ctx context.Context) error {
	for _, t := range m.tasks {
		if err := t.copy(ctx, m.target, func() { m.tell(Copy, t, t.copied) }); err != nil {
			return err
		}
	}
	return m.target.write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		tables := make([]table, 0, len(m.tasks))
		for _, t := range m.tasks {
			tables = append(tables, t.table)
		}
		return continueSequences(ctx, tx, tables)
	})
}

func (m *mover) verifyAll(ctx context.Context) error {
	m.report.Verified = true
	for _, t := range m.tasks {
		found, err := t.verify(ctx, m.target)
		if err != nil {
			return err
		}
		if found.SHA256 != t.sha256 {
			return fmt.Errorf("the table %s has changed in the data folder while it was moved", t)
		}
		m.report.Verified = m.report.Verified && found.Equal()
		m.report.Rows += found.TargetRows
		m.report.Tables = append(m.report.Tables, found)
		m.tell(Verify, t, found.TargetRows)
	}
	return nil
}

// end notes the end on both sides: in the target, then in the folder, which from then on cannot be started on its files.
func (m *mover) end(ctx context.Context) error {
	now := m.Now()
	if err := m.target.finish(ctx, now); err != nil {
		return err
	}
	return m.folder.SetMark(suite.Mark{State: suite.MoveDone, To: m.report.To, Time: now.UTC()})
}

func (m *mover) tell(step Step, t *task, rows int64) {
	if m.Progress != nil {
		m.Progress(Progress{Step: step, Service: t.service, Table: t.name, Rows: rows, Total: t.total})
	}
}
