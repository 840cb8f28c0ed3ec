package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"
)

// collect has every system hand over what it holds and seals the package. It is one piece of work, because a package that is
// half written when its writer dies cannot be carried on: only memory held its key.
func (e *Engine) collect(ctx context.Context, w *Work) error {
	snap, err := e.snapshot(ctx, w)
	if err != nil {
		return err
	}
	ids, err := e.known(w)
	if err != nil {
		return err
	}
	draft, err := e.startDraft(ctx, w)
	if err != nil {
		return err
	}
	defer draft.Abort()
	omitted, described := w.Omissions, map[SystemID]Description{}
	for i := range w.Systems {
		s := &w.Systems[i]
		if s.State == SystemFailed {
			continue // it gave no answer a moment ago
		}
		c := collection{engine: e, work: w, system: s, snapshot: snap, identifiers: ids, draft: draft}
		if err := c.run(ctx); err != nil {
			return err
		}
		described[s.System], omitted = c.description, append(omitted, c.omitted...)
		if err := e.save(ctx, w, nil, false); err != nil {
			return err
		}
	}
	if err := w.move(Packaging); err != nil {
		return err
	}
	if err := e.save(ctx, w, nil, false); err != nil {
		return err
	}
	return e.finish(ctx, w, draft, newManifest(w, snap, described, omitted, e.Clock.Now()))
}

// startDraft begins a package, after clearing away the one that an earlier attempt left half written.
func (e *Engine) startDraft(ctx context.Context, w *Work) (Draft, error) {
	if err := e.remove(ctx, []FileID{w.Draft}); err != nil {
		return nil, err
	}
	if w.State == Packaging {
		if err := w.move(Collecting); err != nil {
			return nil, err
		}
	}
	for i := range w.Systems {
		if s := &w.Systems[i]; s.State == SystemDone {
			s.State, s.Records, s.Bytes = SystemPending, 0, 0
		}
	}
	// The name is in the row before there is a file, so that no file is ever without a row that accounts for it.
	w.Draft = FileID(e.NewID())
	if err := e.save(ctx, w, nil, false); err != nil {
		return nil, err
	}
	return e.Packages.Create(ctx, w.Draft, w.Recipient, e.Clock.Now())
}

// finish seals the package and says how the export stands now.
func (e *Engine) finish(ctx context.Context, w *Work, draft Draft, m *Manifest) error {
	p, secret, err := draft.Finish(m)
	if err != nil {
		return err
	}
	if p.Secret, err = sealSecret(e.Keyring, w.Ref, secret); err != nil {
		return err
	}
	before, now := w.Package, e.Clock.Now()
	w.Package, w.Omissions, w.Draft = &p, m.Omissions, ""
	if err := e.conclude(w, now); err != nil {
		return err
	}
	if err := e.save(ctx, w, w.event("export.complete", ""), true); err != nil {
		if errors.Is(err, ErrFenced) {
			e.discard(ctx, []FileID{p.File})
		}
		return err
	}
	if before != nil {
		e.discard(ctx, []FileID{before.File})
	}
	return nil
}

func (e *Engine) conclude(w *Work, now time.Time) error {
	if len(w.Missing()) == 0 {
		if err := w.move(Ready); err != nil {
			return err
		}
		w.end()
		w.Failures, w.Expires = 0, now.Add(Keep)
		return nil
	}
	// Its time begins when nothing more will be added.
	w.Expires = now.Add(Keep)
	if now.Before(w.RetryUntil) {
		w.Expires = w.RetryUntil.Add(Keep)
	}
	w.wait(now, e.Retry)
	return w.move(Partial)
}

// collection takes in one system's data.
type collection struct {
	engine      *Engine
	work        *Work
	system      *System
	snapshot    Snapshot
	identifiers []Identifier
	draft       Draft

	description Description
	omitted     []Omission
}

// run asks the system and puts its answer into the draft. What the system does wrong is noted on the system; an error is ours.
func (c *collection) run(ctx context.Context) error {
	p, err := c.engine.Participants.Participant(c.system.Participant)
	if err == nil {
		c.description, err = p.Describe(ctx)
	}
	if err != nil {
		c.system.fail(err)
		return ctx.Err()
	}
	if c.description.Digest != "" {
		c.system.Digest = c.description.Digest
	}
	var wanted []string
	if c.work.Kind == Portability {
		wanted, c.omitted = portable(c.system.System, c.description, c.snapshot.Activities, c.system.Located)
		if len(wanted) == 0 {
			// Naming no dataset would ask for all.
			c.system.State = SystemDone
			return nil
		}
	}
	return c.receive(ctx, p, wanted)
}

func (c *collection) receive(ctx context.Context, p Participant, wanted []string) error {
	intake, err := c.draft.Intake(c.system.System)
	if err != nil {
		return err
	}
	defer intake.Drop()
	in := &sink{system: c.system.System, intake: intake, seen: map[string]bool{}}
	if c.work.Kind == Portability {
		in.allowed = map[string]bool{}
		for _, w := range wanted {
			in.allowed[w] = true
		}
	}
	err = p.Export(ctx, c.work.Controller, c.identifiers, wanted, in)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case in.local != nil:
		return in.local
	case err != nil:
		c.system.fail(err)
		return nil
	}
	columns := make(map[string][]string, len(c.description.Datasets))
	for _, d := range c.description.Datasets {
		columns[d.Name] = d.Columns
	}
	if err := intake.Keep(columns); err != nil {
		return err
	}
	c.system.State, c.system.Message = SystemDone, ""
	c.system.Records, c.system.Bytes = in.records, in.bytes
	c.omitted = append(c.omitted, in.omitted...)
	return nil
}

const (
	maxDatasetName = 200
	maxOmissions   = 10_000
)

// sink checks what a system hands over before it is taken in.
type sink struct {
	system  SystemID
	intake  Intake
	allowed map[string]bool // nil: every dataset
	seen    map[string]bool
	current string

	records, bytes int64
	omitted        []Omission
	// local is an error of our own, which says nothing about the system.
	local error
}

func (s *sink) Record(dataset string, object []byte) error {
	if dataset != s.current || !s.seen[dataset] {
		if err := s.admit(dataset); err != nil {
			return err
		}
		s.current, s.seen[dataset] = dataset, true
	}
	if trimmed := bytes.TrimLeft(object, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' || !utf8.Valid(object) || !json.Valid(object) {
		return answerError("Unusable answer: a record is not a JSON object. The system's participant has to be corrected; it is tried again.")
	}
	if err := s.intake.Record(dataset, object); err != nil {
		s.local = err
		return err
	}
	s.records, s.bytes = s.records+1, s.bytes+int64(len(object))
	return nil
}

func (s *sink) admit(dataset string) error {
	switch {
	case dataset == "" || len(dataset) > maxDatasetName || !utf8.ValidString(dataset):
		return answerError("Unusable answer: a record names no dataset, or one with an impossible name. The system's participant has to be corrected; it is tried again.")
	case s.allowed != nil && !s.allowed[dataset]:
		return answerError("Unusable answer: the system handed over a dataset that it was not asked for. Its participant has to be corrected; it is tried again.")
	case s.seen[dataset]:
		return answerError("Unusable answer: the records of a dataset did not come together. The system's participant has to be corrected; it is tried again.")
	}
	return nil
}

func (s *sink) Omission(o Omission) error {
	if len(s.omitted) >= maxOmissions {
		return answerError("Unusable answer: the system names more omissions than can be listed. Its participant has to be corrected; it is tried again.")
	}
	o.System = s.system
	s.omitted = append(s.omitted, o)
	return nil
}
