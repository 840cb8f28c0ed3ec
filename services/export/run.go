package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/jobs"
	"github.com/privacyops/privacyops/libs/sqldb"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	domain "github.com/privacyops/privacyops/services/export/internal/export"
	"github.com/privacyops/privacyops/services/export/internal/store"
)

const (
	// stopTime is how long a stopping service lets its work go on before it puts it back.
	stopTime = 5 * time.Second
	// flushTime is how long it then tries to hand over its last events. What is left waits in the database.
	flushTime = 5 * time.Second
	// tidyEvery is how often files without an export, and answers that are older than any key is honoured, are looked for.
	tidyEvery = time.Hour
	// overdueEvery is how often exports are looked for whose time to answer is over, and overdueAgain how often one of them is told of.
	overdueEvery = 30 * time.Second
	overdueAgain = 24 * time.Hour
)

// Run works on exports, deletes packages whose time has come, and hands audit events to auditd, until ctx ends. Work that
// does not end soon after is put back, and what auditd has not taken stays in the database: both for the next start.
//
// With [Config.Exclusive] the error is [sqldb.ErrLocked] while another replica runs after all.
func (s *Service) Run(ctx context.Context) (err error) {
	ctx = sqldb.WithAllControllers(ctx) // jobs narrow it to their own
	if s.cfg.Exclusive {
		unlock, lerr := s.takeOver(ctx)
		if lerr != nil {
			return lerr
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	runner, err := jobs.NewRunner(s.db, jobs.Config{
		Handlers: s.handlers(), Workers: s.cfg.Workers, Timeout: jobTimeout, Exclusive: s.cfg.Exclusive,
		Logger: s.cfg.Telemetry.Log, Tracer: s.cfg.Telemetry.Tracer,
	})
	if err != nil {
		return err
	}
	if err := runner.Start(ctx); err != nil {
		return err
	}
	client := auditv1.NewAuditIngestClient(s.cfg.Audit)
	var wait sync.WaitGroup
	wait.Go(func() { s.outbox.Relay(ctx, client, s.cfg.Telemetry.Log) })
	wait.Go(func() { s.every(ctx, "sweep", s.cfg.Sweep, s.sweep) })
	wait.Go(func() { s.every(ctx, "tidy", tidyEvery, s.tidy) })
	late := map[domain.Ref]time.Time{}
	wait.Go(func() {
		s.every(ctx, "overdue", overdueEvery, func(ctx context.Context) error { return s.overdue(ctx, late) })
	})
	<-ctx.Done()

	last := context.WithoutCancel(ctx)
	soon, cancel := context.WithTimeout(last, stopTime)
	defer cancel()
	err = runner.Stop(soon)
	wait.Wait()
	flush, cancelFlush := context.WithTimeout(last, flushTime)
	defer cancelFlush()
	if ferr := s.outbox.Flush(flush, client); ferr != nil {
		s.cfg.Telemetry.Log.WarnContext(last, "audit events wait for the next start", "error_kind", fmt.Sprintf("%T", ferr))
	}
	return err
}

// takeOver keeps other replicas out and frees the exports that a dead one held.
func (s *Service) takeOver(ctx context.Context) (unlock func() error, err error) {
	if unlock, err = s.db.Lock(ctx, "exports"); err != nil {
		return nil, fmt.Errorf("export: run exclusively: %w", err)
	}
	if err := s.store.FreeAll(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("export: free what a crash left: %w", err), unlock())
	}
	return unlock, nil
}

// every does something now and at intervals, and logs that it failed.
func (s *Service) every(ctx context.Context, job string, interval time.Duration, do func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Telemetry.Log.WarnContext(ctx, "periodic work failed", "job", job, "error_kind", fmt.Sprintf("%T", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sweep enqueues a job for whatever is due: nothing is ever stuck for longer than this interval.
func (s *Service) sweep(ctx context.Context) error { return s.store.Sweep(ctx, s.cfg.Clock.Now()) }

// overdue tells the audit log of exports that are not ready within their time (GDPR art. 12(3)), so that it raises an alert. What was
// told is remembered as long as the process lives: another one tells again, and the alert is counted on.
func (s *Service) overdue(ctx context.Context, told map[domain.Ref]time.Time) error {
	now := s.cfg.Clock.Now()
	refs, err := s.store.Overdue(ctx, now)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if last, before := told[ref]; before && now.Sub(last) < overdueAgain {
			continue
		}
		if err := s.store.TellOverdue(sqldb.WithController(ctx, string(ref.Controller)), ref); err != nil {
			return err
		}
		told[ref] = now
	}
	maps.DeleteFunc(told, func(_ domain.Ref, last time.Time) bool { return now.Sub(last) >= overdueAgain })
	return nil
}

// tidy deletes files that no export refers to: a crash between two steps may leave one. A file's name is in its export's row
// before there is a file, so one without a row belongs to nobody, however new it is.
func (s *Service) tidy(ctx context.Context) error {
	files, err := s.folder.List()
	if err != nil {
		return err
	}
	for _, f := range files {
		found, err := s.store.Refers(ctx, f)
		if err != nil {
			return err
		}
		if !found {
			if err := s.folder.Remove(ctx, f); err != nil {
				return err
			}
		}
	}
	return s.replies.Forget(ctx, idempotency.Keep)
}

// advance carries an export on until it ends or has to wait.
func (s *Service) advance(ctx context.Context, job jobs.Job) error {
	ref, err := refOf(job)
	if err != nil {
		return jobs.Cancel(err)
	}
	ctx = sqldb.WithController(ctx, string(ref.Controller))
	for {
		more, err := s.engine.Advance(ctx, ref)
		if err != nil || !more {
			return err
		}
	}
}

// expire deletes a package.
func (s *Service) expire(ctx context.Context, job jobs.Job) error {
	ref, err := refOf(job)
	if err != nil {
		return jobs.Cancel(err)
	}
	ctx = sqldb.WithController(ctx, string(ref.Controller))
	return s.engine.Expire(ctx, ref)
}

func refOf(job jobs.Job) (domain.Ref, error) {
	var args store.JobArgs
	if json.Unmarshal(job.Args, &args) != nil || args.Controller == "" || args.Export == "" {
		return domain.Ref{}, errors.New("export: a job names no export")
	}
	return args.Ref(), nil
}
