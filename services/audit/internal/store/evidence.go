package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/evidence"
)

// JobGather is the kind of job that gathers evidence, with [EvidenceArgs].
const JobGather = "evidence.gather"

// EvidenceArgs names evidence.
type EvidenceArgs struct {
	Controller evidence.ControllerID `json:"controller"`
	Evidence   evidence.ID           `json:"evidence"`
}

// Ref is the evidence's name.
func (a EvidenceArgs) Ref() evidence.Ref {
	return evidence.Ref{Controller: a.Controller, ID: a.Evidence}
}

// Recorder writes the event of a change in the change's own transaction; see outbox.Outbox.
type Recorder interface {
	Record(ctx context.Context, tx sqldb.Tx, e outbox.Event) (string, error)
}

// Evidence implements evidence.Store, and what the handlers need. It is safe for concurrent use.
type Evidence struct {
	db       *sqldb.DB
	recorder Recorder
	watched  watched
}

var _ evidence.Store = (*Evidence)(nil)

// NewEvidence returns a store on db, whose schema is up to date.
func NewEvidence(db *sqldb.DB, recorder Recorder) *Evidence {
	return &Evidence{db: db, recorder: recorder}
}

const evidenceColumns = `controller, id, state, start_time, end_time, language, event_count, event_total, create_time, expire_time, reason,
	package_file, package_sha256, package_size, package_key, package_secret`

func scanEvidence(row sqldb.Row) (*evidence.Evidence, error) {
	var e evidence.Evidence
	var p evidence.Package
	var start, end, created, expires int64
	err := row.Scan(&e.Controller, &e.ID, &e.State, &start, &end, &e.Language, &e.Events, &e.Total, &created, &expires, &e.Reason,
		&p.File, &p.SHA256, &p.Size, &p.Key, &p.Secret)
	if err != nil {
		return nil, err
	}
	e.Start, e.End, e.Created, e.Expires = sqldb.Time(start), sqldb.Time(end), sqldb.Time(created), sqldb.Time(expires)
	if e.State == evidence.Ready {
		e.Package = &p
	}
	return &e, nil
}

// Insert adds new evidence and the job that gathers it, in the caller's transaction.
func (s *Evidence) Insert(ctx context.Context, tx sqldb.Tx, e *evidence.Evidence) error {
	_, err := tx.Exec(ctx, `INSERT INTO evidence (`+evidenceColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, 0, '', '', '', 0, $8, $9)`, e.Controller, e.ID, e.State,
		sqldb.Micros(e.Start), sqldb.Micros(e.End), e.Language, sqldb.Micros(e.Created), []byte{}, []byte{})
	if err != nil {
		return fmt.Errorf("store: insert evidence: %w", err)
	}
	return tx.Enqueue(ctx, sqldb.Job{Kind: JobGather, Args: EvidenceArgs{e.Controller, e.ID}, UniqueKey: e.Name()})
}

// Get reads one; see evidence.Store.
func (s *Evidence) Get(ctx context.Context, ref evidence.Ref) (e *evidence.Evidence, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		e, err = readEvidence(ctx, q, ref)
		return err
	})
	return e, err
}

func readEvidence(ctx context.Context, q sqldb.Querier, ref evidence.Ref) (*evidence.Evidence, error) {
	e, err := scanEvidence(q.QueryRow(ctx, `SELECT `+evidenceColumns+` FROM evidence WHERE controller = $1 AND id = $2`, ref.Controller, ref.ID))
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, evidence.ErrMissing
	}
	return e, err
}

// List reads a controller's evidence, newest first, at most limit; with before what is older than it.
func (s *Evidence) List(ctx context.Context, c evidence.ControllerID, before evidence.ID, limit int) (out []*evidence.Evidence, err error) {
	if before == "" {
		before = "~" // sorts after every id
	}
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		out, err = collect(ctx, q, func(r sqldb.Rows) (*evidence.Evidence, error) { return scanEvidence(r) },
			`SELECT `+evidenceColumns+` FROM evidence WHERE controller = $1 AND id < $2 ORDER BY id DESC LIMIT $3`, c, before, limit)
		return err
	})
	return out, err
}

// Begin notes that gathering goes on; see evidence.Store.
func (s *Evidence) Begin(ctx context.Context, ref evidence.Ref, total int64, file evidence.FileID) error {
	return s.change(ctx, `UPDATE evidence SET state = $1, event_count = 0, event_total = $2, package_file = $3
		WHERE controller = $4 AND id = $5 AND state IN ('PENDING', 'GATHERING')`, evidence.Gathering, total, file, ref.Controller, ref.ID)
}

// Progress notes how many events are gathered; see evidence.Store.
func (s *Evidence) Progress(ctx context.Context, ref evidence.Ref, events int64) error {
	return s.change(ctx, `UPDATE evidence SET event_count = $1 WHERE controller = $2 AND id = $3 AND state = 'GATHERING'`,
		events, ref.Controller, ref.ID)
}

func (s *Evidence) change(ctx context.Context, query string, args ...any) error {
	return s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error { return changeEvidence(ctx, tx, query, args...) })
}

func changeEvidence(ctx context.Context, tx sqldb.Tx, query string, args ...any) error {
	n, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("store: change evidence: %w", err)
	}
	if n == 0 {
		return evidence.ErrEnded
	}
	return nil
}

// Finish notes the package, or why there is none; see evidence.Store.
func (s *Evidence) Finish(ctx context.Context, e *evidence.Evidence) error {
	p := evidence.Package{Key: []byte{}, Secret: []byte{}}
	event := outbox.Event{Controller: string(e.Controller), Action: "evidence.gather", Kind: outbox.AuditRead, Resource: e.Name(), Reason: e.Reason,
		Detail: map[string]string{"events": strconv.FormatInt(e.Events, 10)}}
	if e.Package != nil {
		p = *e.Package
		event.Detail["sha256"] = p.SHA256
	} else {
		event.Outcome = outbox.Failed
	}
	return s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		return s.recorded(ctx, tx, e.Ref, event, func() error {
			return changeEvidence(ctx, tx, `UPDATE evidence SET state = $1, event_count = $2, event_total = $3, expire_time = $4, reason = $5,
				package_file = $6, package_sha256 = $7, package_size = $8, package_key = $9, package_secret = $10
				WHERE controller = $11 AND id = $12 AND state IN ('PENDING', 'GATHERING')`, e.State, e.Events, e.Total, sqldb.Micros(e.Expires), e.Reason,
				p.File, p.SHA256, p.Size, p.Key, p.Secret, e.Controller, e.ID)
		})
	})
}

// recorded makes a change and writes its event, which tells by digests what the evidence was before and is now.
func (s *Evidence) recorded(ctx context.Context, tx sqldb.Tx, ref evidence.Ref, event outbox.Event, change func() error) error {
	before, err := readEvidence(ctx, tx, ref)
	if err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	after, err := readEvidence(ctx, tx, ref)
	if err != nil {
		return err
	}
	event.Before, event.After = before.Recorded(), after.Recorded()
	_, err = s.recorder.Record(ctx, tx, event)
	return err
}

// Expire forgets a package; see evidence.Store.
func (s *Evidence) Expire(ctx context.Context, e *evidence.Evidence) error {
	event := outbox.Event{Controller: string(e.Controller), Action: "evidence.expire", Kind: outbox.Delete, Resource: e.Name(), Reason: e.Reason}
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		return s.recorded(ctx, tx, e.Ref, event, func() error {
			return changeEvidence(ctx, tx, `UPDATE evidence SET state = 'EXPIRED', reason = $1, package_key = $2, package_secret = $3, package_file = ''
				WHERE controller = $4 AND id = $5 AND state = 'READY'`, e.Reason, []byte{}, []byte{}, e.Controller, e.ID)
		})
	})
	if err != nil {
		return err
	}
	return s.db.Scrub(ctx) // the key must not live on in the database's own log
}

// Refers reports whether some evidence has the file, as its package or as the one being written.
func (s *Evidence) Refers(ctx context.Context, file evidence.FileID) (found bool, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		var n int64
		err := q.QueryRow(ctx, `SELECT COUNT(*) FROM evidence WHERE package_file = $1 AND state IN ('GATHERING', 'READY')`, file).Scan(&n)
		found = n > 0
		return err
	})
	return found, err
}
