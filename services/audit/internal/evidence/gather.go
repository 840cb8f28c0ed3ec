package evidence

import (
	"bufio"
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
	// Witnesses is how many others than the log signed the enclosed checkpoint.
	Witnesses int
	// Destroyed is whether there are entries that nobody can read any more.
	Destroyed int64
	Origin    string
}

// gathering is one package on its way.
type gathering struct {
	Sources
	ctx        context.Context //nolint:containedctx // one piece of work, whose every step ends with it
	evidence   *Evidence
	span       Span
	log        []Shard // as it is at the beginning
	shards     []Shard // that entries are in, from the first one to the last
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

// Covered finds the entries of a period, and whether the log's checkpoint covers them and the one after them.
func (s Sources) Covered(ctx context.Context, e *Evidence) (Span, []Shard, error) {
	span, err := s.Entries.Span(ctx, e.Controller, e.Start, e.End)
	if err != nil {
		return span, nil, fmt.Errorf("evidence: find the entries: %w", err)
	}
	if span.After == 0 {
		return span, nil, ErrNotYet
	}
	shards, err := s.Log.Shards(ctx)
	if err != nil {
		return span, nil, fmt.Errorf("evidence: read the checkpoints: %w", err)
	}
	for _, shard := range shards {
		if span.Before.Number == 0 && shard.Dropped[e.Controller] > 0 {
			return span, nil, ErrDropped
		}
	}
	if shards[len(shards)-1].End() <= span.AfterIndex {
		return span, nil, ErrNotYet
	}
	return span, shards, nil
}

// between are the shards from that of one place to that of another.
func between(shards []Shard, first, last uint64) []Shard {
	for len(shards) > 1 && shards[1].First <= first {
		shards = shards[1:]
	}
	for len(shards) > 1 && shards[len(shards)-1].First > last {
		shards = shards[:len(shards)-1]
	}
	return shards
}

// logOf says what the entries lead to.
func (g *gathering) logOf() dossier.Log {
	last := g.shards[len(g.shards)-1]
	log := dossier.Log{Origin: g.Signer.Name(), Key: g.Log.Public(), Size: last.End(), Root: hex.EncodeToString(last.Root)}
	if len(g.shards) == 1 && last.Year == 0 {
		return log
	}
	for _, s := range g.shards {
		log.Shards = append(log.Shards, dossier.Shard{Origin: s.Origin, First: s.First, Size: s.Size, Root: hex.EncodeToString(s.Root)})
	}
	return log
}

// witnesses is how many others than the log have signed every one of the checkpoints.
func (g *gathering) witnesses() int {
	least := -1
	for _, s := range g.shards {
		if n := max(0, bytes.Count(s.Checkpoint, []byte("\n\u2014 "))-1); least < 0 || n < least {
			least = n
		}
	}
	return max(0, least)
}

func (g *gathering) begin(now time.Time) (err error) {
	if g.span, g.log, err = g.Covered(g.ctx, g.evidence); err != nil {
		return err
	}
	if g.controller, err = g.Register.Controller(g.ctx, g.evidence.Controller); err != nil {
		return fmt.Errorf("evidence: read the register: %w", err)
	}
	controller, origin := g.controller, g.Signer.Name()
	g.facts = Facts{RequiredApprovals: controller.RequiredApprovals, GracePeriod: controller.GracePeriod, Origin: origin}
	g.manifest = dossier.Manifest{
		Format: dossier.Format, Evidence: g.evidence.Name(), Controller: string(g.evidence.Controller), DisplayName: controller.DisplayName,
		StartTime: g.evidence.Start, EndTime: g.evidence.End, CreateTime: now.UTC().Truncate(time.Microsecond), Language: g.evidence.Language,
		Numbers: dossier.Numbers{Before: g.span.Before.Number, First: g.span.Before.Number + 1, Last: g.span.After - 1, After: g.span.After},
		Proves:  dossier.Proves(), DoesNotProve: dossier.DoesNotProve(),
	}
	return nil
}

// leaves writes the entries and, on the way, finds the hashes that prove them. Those wait in a file without a name: there may be more
// of them than the memory should hold, and a ZIP takes one member after the other.
func (g *gathering) leaves() error {
	spool, err := g.Spool()
	if err != nil {
		return fmt.Errorf("evidence: spool: %w", err)
	}
	defer spool.Close()
	buffer := bufio.NewWriterSize(spool, 1<<16)
	err = g.w.Member(dossier.LeavesPath, func(w io.Writer) error { return g.trees(w, buffer) })
	if err != nil {
		return fmt.Errorf("evidence: entries: %w", err)
	}
	if err := buffer.Flush(); err != nil {
		return fmt.Errorf("evidence: spool: %w", err)
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("evidence: spool: %w", err)
	}
	return g.w.Member(dossier.ProofPath, func(w io.Writer) error {
		_, err := io.Copy(w, spool)
		return err
	})
}

// trees goes through the shards that have the entries from the last one before the period to the first one after it.
func (g *gathering) trees(leaves, hashes io.Writer) error {
	from := g.span.Before
	if from.Number > 0 {
		from.Number-- // behind it is the last one before the period
	}
	next := g.each(from, g.span.After)
	entry, err := next() // there is one: that after the period
	if err != nil {
		return err
	}
	g.shards = between(g.log, entry.Index, g.span.AfterIndex)
	g.manifest.Log, g.facts.Witnesses = g.logOf(), g.witnesses()
	for _, s := range g.shards {
		more := true
		wanted := func() (uint64, dossier.Hash, bool, error) {
			if !more || entry.Index >= s.End() {
				return 0, dossier.Hash{}, false, nil
			}
			index, leaf := entry.Index-s.First, dossier.LeafHash(entry.Leaf)
			if err := dossier.WriteLeaf(leaves, entry.Index, entry.Leaf); err != nil {
				return 0, leaf, false, err
			}
			if entry, err = next(); errors.Is(err, io.EOF) {
				more, err = false, nil
			}
			return index, leaf, true, err
		}
		if err := g.tree(s, wanted, hashes); err != nil {
			return err
		}
	}
	return nil
}

// tree computes a shard's root from the wanted entries and the hashes between them, which it writes.
func (g *gathering) tree(s Shard, wanted dossier.Wanted, hashes io.Writer) error {
	nodes := dossier.NewNodes(s.Size, func(level, index uint64, width uint8) ([]byte, error) {
		return g.Log.Tile(g.ctx, s.Year, level, index, width)
	})
	root, err := dossier.Fold(s.Size, wanted, func(lo, hi uint64) (dossier.Hash, error) {
		h, err := nodes.Part(lo, hi)
		if err == nil {
			g.manifest.Counts.Hashes++
			_, err = hashes.Write(h[:])
		}
		return h, err
	})
	if err == nil && !bytes.Equal(root[:], s.Root) {
		err = fmt.Errorf("%w: the index has other entries than the log", ErrContradiction)
	}
	return err
}

// each gives the entries behind a place up to a number, included, one after the other; io.EOF after the last. It refuses a gap.
func (g *gathering) each(at Cursor, to uint64) func() (Entry, error) {
	var page []Entry
	return func() (Entry, error) {
		if at.Number >= to {
			return Entry{}, io.EOF
		}
		if len(page) == 0 {
			var err error
			if page, err = g.Entries.Following(g.ctx, g.evidence.Controller, at, int(min(pageSize, to-at.Number))); err != nil {
				return Entry{}, err
			}
		}
		if len(page) == 0 || page[0].Number != at.Number+1 {
			return Entry{}, fmt.Errorf("%w: an entry is missing", ErrContradiction)
		}
		entry := page[0]
		page, at = page[1:], entry.Cursor
		return entry, nil
	}
}

func (g *gathering) checkpoint() error {
	return g.w.Member(dossier.CheckpointPath, func(w io.Writer) error {
		var notes [][]byte
		for _, s := range g.shards {
			notes = append(notes, s.Checkpoint)
		}
		_, err := w.Write(logkey.JoinNotes(notes))
		return err
	})
}

// events writes the lines of the period's entries.
func (g *gathering) events() error {
	err := g.w.Member(dossier.EventsPath, func(w io.Writer) error {
		next, noted := g.each(g.span.Before, g.span.After-1), int64(0)
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
