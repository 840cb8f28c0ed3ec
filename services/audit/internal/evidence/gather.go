package evidence

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/libs/certificate"
	"github.com/privacyops/privacyops/libs/logkey"
	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

// pageSize is how many entries are read at a time. Entries may be large, and few are enough to be quick.
const pageSize = 64

// progressEvery is how many events pass between two notes of progress.
const progressEvery = 5000

// Sources are where a package comes from. Every field is required.
type Sources struct {
	Entries      Entries
	Log          Log
	Keys         Keys
	Register     Register
	Certificates Certificates
	// Read makes an entry's lines.
	Read dossier.Read
	// Signer signs the manifest: the log's own key.
	Signer note.Signer
	// Report writes the pages for people.
	Report Reporter
	// Spool gives a file without a name, which is gone when it is closed.
	Spool func() (*os.File, error)
}

// Reporter writes the pages for people.
type Reporter interface {
	// Page writes the report in a language.
	Page(w io.Writer, m *dossier.Manifest, f *dossier.Figures, language string) error
	// Readme writes the page that opens the report in the manifest's language.
	Readme(w io.Writer, m *dossier.Manifest) error
	// Measures writes the list of measures.
	Measures(w io.Writer, f Facts) error
}

// Facts are what the suite itself can say of its measures.
type Facts struct {
	// RequiredApprovals is how many people approve an erasure, and GracePeriod how long it can then be called back.
	RequiredApprovals int
	GracePeriod       time.Duration
	// Witnesses says who else than the log signed the enclosed checkpoint, of several the one that they signed least; nil where the log
	// has no witnesses.
	Witnesses *dossier.Cosigned
	// Checkpoints is how many are enclosed: one of each part of the log that the entries are in.
	Checkpoints int
	// Destroyed is whether there are entries that nobody can read any more.
	Destroyed int64
	Origin    string
}

// gathering is one package on its way.
type gathering struct {
	Sources
	ctx        context.Context //nolint:containedctx // one piece of work, whose every step ends with it
	evidence   *Evidence
	cover      Cover
	manifest   dossier.Manifest
	tally      *dossier.Tally
	w          *dossier.Writer
	facts      Facts
	controller Controller
	progress   func(events int64) error
}

// Gather writes the package of evidence to w. It fails with ErrNotYet while the log's checkpoint does not cover the entry that shows the
// period to be whole. Progress is called now and then with the number of events so far.
func (s Sources) Gather(ctx context.Context, e *Evidence, w io.Writer, now time.Time, progress func(events int64) error) error {
	g := &gathering{Sources: s, ctx: ctx, evidence: e, w: dossier.NewWriter(w), tally: dossier.NewTally(e.Start, e.End), progress: progress}
	if err := g.begin(now); err != nil {
		return err
	}
	for _, step := range []func() error{g.leaves, g.checkpoint, g.events, g.register, g.certificates, g.pages} {
		if err := errors.Join(ctx.Err(), step()); err != nil {
			return err
		}
	}
	return g.w.Finish(&g.manifest, s.Signer)
}

func (g *gathering) begin(now time.Time) (err error) {
	if g.cover, err = g.Covered(g.ctx, g.evidence, now); err != nil {
		return err
	}
	if g.controller, err = g.Register.Controller(g.ctx, g.evidence.Controller); err != nil {
		return fmt.Errorf("evidence: read the register: %w", err)
	}
	controller, origin := g.controller, g.Signer.Name()
	g.facts = Facts{RequiredApprovals: controller.RequiredApprovals, GracePeriod: controller.GracePeriod, Origin: origin,
		Witnesses: g.cover.cosigned, Checkpoints: len(g.cover.shards)}
	g.manifest = dossier.Manifest{
		Format: dossier.Format, Evidence: g.evidence.Name(), Controller: string(g.evidence.Controller), DisplayName: controller.DisplayName,
		StartTime: g.evidence.Start, EndTime: g.evidence.End, CreateTime: now.UTC().Truncate(time.Microsecond), Language: g.evidence.Language,
		Log: g.logOf(), Witnesses: g.cover.cosigned,
		Numbers: dossier.Numbers{Before: g.cover.Before.Number, First: g.cover.Before.Number + 1, Last: g.cover.After - 1, After: g.cover.After},
		Proves:  dossier.Proves(), DoesNotProve: dossier.DoesNotProve(),
	}
	return nil
}

// logOf says what the entries lead to.
func (g *gathering) logOf() dossier.Log {
	shards := g.cover.shards
	last := shards[len(shards)-1]
	log := dossier.Log{Origin: g.Signer.Name(), Key: g.Log.Public(), Size: last.End(), Root: hex.EncodeToString(last.Root)}
	if len(shards) == 1 && last.Year == 0 {
		return log
	}
	for _, s := range shards {
		log.Shards = append(log.Shards, dossier.Shard{Origin: s.Origin, First: s.First, Size: s.Size, Root: hex.EncodeToString(s.Root)})
	}
	return log
}

// checkpoint writes the checkpoints of all shards and, where there are witnesses, who they are.
func (g *gathering) checkpoint() error {
	var notes [][]byte
	for _, s := range g.cover.shards {
		notes = append(notes, s.Checkpoint)
	}
	if err := g.write(dossier.CheckpointPath, logkey.JoinNotes(notes)); err != nil || g.cover.policy == nil {
		return err
	}
	return g.write(dossier.WitnessesPath, g.cover.policy.Marshal())
}

// events writes the lines of the period's entries.
func (g *gathering) events() error {
	err := g.w.Member(dossier.EventsPath, func(w io.Writer) error {
		next, noted := g.each(g.cover.Before, g.cover.After-1), int64(0)
		for {
			entry, err := next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err == nil {
				err = g.lines(w, entry)
			}
			if err != nil {
				return err
			}
			if n := g.manifest.Counts.Events; n-noted >= progressEvery {
				noted = n
				if err := errors.Join(g.ctx.Err(), g.progress(n)); err != nil {
					return err
				}
			}
		}
	})
	if err != nil {
		return fmt.Errorf("evidence: events: %w", err)
	}
	return nil
}

func (g *gathering) lines(w io.Writer, entry Entry) error {
	key, err := g.Keys.EntryKey(g.ctx, g.evidence.Controller, entry.Leaf)
	if err != nil {
		return err
	}
	read, err := g.Read(entry.Leaf, key)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrContradiction, err)
	}
	counts := &g.manifest.Counts
	for i := range read.Lines {
		line := &read.Lines[i]
		line.Index, line.Number = entry.Index, read.Number
		raw, err := line.Marshal()
		if err != nil {
			return err
		}
		if _, err := w.Write(raw); err != nil {
			return err
		}
		counts.Events++
		if line.Reading == dossier.Unreadable {
			counts.Unreadable++
		}
	}
	counts.Entries++
	g.tally.Entry(&read)
	return nil
}

func (g *gathering) register() error {
	if err := g.write(dossier.ControllerPath, append(bytes.TrimSpace(g.controller.JSON), '\n')); err != nil {
		return err
	}
	err := g.w.Member(dossier.ActivitiesPath, func(w io.Writer) error {
		return g.Register.Versions(g.ctx, g.evidence.Controller, g.evidence.Start, g.evidence.End, func(line []byte) error {
			g.manifest.Counts.ActivityVersions++
			_, err := w.Write(append(bytes.TrimSpace(line), '\n'))
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("evidence: read the register: %w", err)
	}
	return nil
}

func (g *gathering) certificates() error {
	err := g.Certificates.Issued(g.ctx, g.evidence.Controller, g.evidence.Start, g.evidence.End, func(erasure string, file []byte) error {
		found, err := certificate.Verify(file, certificate.Trust{LogKeys: []string{g.Log.Public()}})
		if err != nil {
			return fmt.Errorf("%w: the certificate of an erasure: %w", ErrContradiction, err)
		}
		g.manifest.Counts.Certificates++
		g.tally.Certificate(&found.Statement)
		return g.write(dossier.CertificateFolder+erasure+".json", file)
	})
	if err != nil {
		return fmt.Errorf("evidence: certificates: %w", err)
	}
	return nil
}

// pages writes what people read.
func (g *gathering) pages() error {
	figures := g.tally.Figures()
	raw, err := figures.Marshal()
	if err != nil {
		return err
	}
	if err := g.write(dossier.FiguresPath, raw); err != nil {
		return err
	}
	g.facts.Destroyed = figures.Unreadable
	for _, page := range []struct {
		path  string
		write func(io.Writer) error
	}{
		{dossier.MeasuresPath, func(w io.Writer) error { return g.Report.Measures(w, g.facts) }},
		{dossier.DanishPath, func(w io.Writer) error { return g.Report.Page(w, &g.manifest, figures, "da") }},
		{dossier.EnglishPath, func(w io.Writer) error { return g.Report.Page(w, &g.manifest, figures, "en") }},
		{dossier.ReadmePath, func(w io.Writer) error { return g.Report.Readme(w, &g.manifest) }},
	} {
		if err := g.w.Member(page.path, page.write); err != nil {
			return fmt.Errorf("evidence: %s: %w", page.path, err)
		}
	}
	return nil
}

func (g *gathering) write(path string, raw []byte) error {
	return g.w.Member(path, func(w io.Writer) error {
		_, err := w.Write(raw)
		return err
	})
}
