package evidencecheck

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/dossier"
	"github.com/privacyops/privacyops/services/audit/internal/entryline"
	"github.com/privacyops/privacyops/services/audit/internal/evidence"
)

// forged makes a package anew with some members changed, and signs it with the log's own key: what a processor could do that wants to
// deceive. A member that becomes nil is left out.
func (w *world) forged(change func(path string, raw []byte) []byte, manifest func(*dossier.Manifest)) []byte {
	w.Helper()
	return w.forgedWith(change, manifest, "")
}

// forgedWith is forged, with one member more where there is a name for it.
func (w *world) forgedWith(change func(path string, raw []byte) []byte, manifest func(*dossier.Manifest), more string) []byte {
	w.Helper()
	members, m := w.unpacked()
	if more != "" {
		members = append(members, named{more, []byte("more")})
	}
	if manifest != nil {
		manifest(&m)
	}
	return w.packed(members, m, change)
}

// named is a member of a package.
type named struct {
	path string
	raw  []byte
}

// unpacked makes a package and takes it apart.
func (w *world) unpacked() (members []named, m dossier.Manifest) {
	w.Helper()
	file := w.file()
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	must(w, err)
	v := &verifier{}
	must(w, v.open(bytes.NewReader(file), int64(len(file))))
	must(w, v.readManifest())
	for _, f := range z.File {
		if f.Name != dossier.ManifestPath && f.Name != dossier.SignaturePath {
			members = append(members, named{f.Name, w.content(f)})
		}
	}
	return members, v.manifest
}

// packed makes a package of members, which change may change, and signs it.
func (w *world) packed(members []named, m dossier.Manifest, change func(path string, raw []byte) []byte) []byte {
	w.Helper()
	var out bytes.Buffer
	to := dossier.NewWriter(&out)
	for _, member := range members {
		raw := bytes.Clone(member.raw)
		if change != nil {
			raw = change(member.path, raw)
		}
		if raw == nil {
			continue
		}
		must(w, to.Member(member.path, func(m io.Writer) error {
			_, err := m.Write(raw)
			return err
		}))
	}
	must(w, to.Finish(&m, w.signer))
	return out.Bytes()
}

// replaced changes one text of one member.
func replaced(path, old, with string) func(string, []byte) []byte {
	return func(name string, raw []byte) []byte {
		if name == path {
			return bytes.Replace(raw, []byte(old), []byte(with), 1)
		}
		return raw
	}
}

// TestForgeriesAreFound: also with the log's own signature over it, a package cannot say what the log does not.
func TestForgeriesAreFound(t *testing.T) {
	t.Parallel()
	same := func(_ string, raw []byte) []byte { return raw }
	for _, c := range []struct {
		name     string
		change   func(string, []byte) []byte
		manifest func(*dossier.Manifest)
		check    Check
		file     string
		index    uint64
	}{
		{name: "a refusal that was none", change: replaced(dossier.EventsPath, `"outcome":"DENIED"`, `"outcome":"OK"`), check: CheckEvents, file: dossier.EventsPath, index: 5},
		{name: "another actor in the entry", change: replaced(dossier.LeavesPath, "usr_1", "usr_2"), check: CheckProof, file: dossier.LeavesPath},
		{name: "another hash in the proof", change: func(name string, raw []byte) []byte {
			if name == dossier.ProofPath {
				raw[40]++
			}
			return raw
		}, check: CheckProof, file: dossier.LeavesPath},
		{name: "a hash too many", change: func(name string, raw []byte) []byte {
			if name == dossier.ProofPath {
				return append(raw, make([]byte, 32)...)
			}
			return raw
		}, check: CheckProof, file: dossier.ProofPath},
		{name: "a line left out", change: func(name string, raw []byte) []byte {
			if name == dossier.EventsPath {
				return raw[bytes.IndexByte(raw, '\n')+1:]
			}
			return raw
		}, check: CheckEvents, file: dossier.EventsPath, index: 3},
		{name: "a line added", change: func(name string, raw []byte) []byte {
			if name == dossier.EventsPath {
				return append(raw, raw[:bytes.IndexByte(raw, '\n')+1]...)
			}
			return raw
		}, check: CheckEvents, file: dossier.EventsPath},
		{name: "another key", change: replaced(dossier.EventsPath, `"key":"CQkJ`, `"key":"CQkK`), check: CheckEvents, file: dossier.EventsPath, index: 11},
		{name: "prettier figures", change: replaced(dossier.FiguresPath, `"denied": `, `"denied": 1`), check: CheckFigures, file: dossier.FiguresPath},
		{name: "another certificate", change: replaced(dossier.CertificateFolder+"0190d3c0-0000-7000-8000-00000000abcd.json", `"erased":3`, `"erased":4`),
			check: CheckCertificates, file: dossier.CertificateFolder + "0190d3c0-0000-7000-8000-00000000abcd.json"},
		{name: "a script", change: replaced(dossier.DanishPath, "</main>", "<script>x()</script></main>"), check: CheckReport, file: dossier.DanishPath},
		{name: "no report", change: func(name string, raw []byte) []byte {
			if name == dossier.EnglishPath {
				return nil
			}
			return raw
		}, check: CheckFiles, file: dossier.EnglishPath},
		{name: "a shorter period", change: same, manifest: func(m *dossier.Manifest) { m.StartTime = m.StartTime.AddDate(0, 6, 0) }, check: CheckEvents, file: dossier.LeavesPath, index: 3},
		{name: "other numbers", change: same, manifest: func(m *dossier.Manifest) { m.Numbers.Last++ }, check: CheckCompleteness, file: dossier.ManifestPath},
		{name: "another tree", change: same, manifest: func(m *dossier.Manifest) { m.Log.Size++ }, check: CheckCheckpoint, file: dossier.CheckpointPath},
		{name: "another controller", change: same, manifest: func(m *dossier.Manifest) {
			m.Controller, m.Evidence = "south", "controllers/south/evidence/0190d3c0-0000-7000-8000-00000000ffff"
		}, check: CheckEvents, file: dossier.LeavesPath, index: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 12)
			w.unsealed = true
			_, err := check(w.forged(c.change, c.manifest), Trust{LogKeys: []string{w.key}})
			var failed *VerifyError
			if !errors.As(err, &failed) || failed.Check != c.check || failed.File != c.file || failed.Index != c.index {
				t.Errorf("got %v, want %s of %s at index %d", err, c.check, c.file, c.index)
			}
		})
	}
}

// gappy leaves an entry out, and numbers the others as they are.
type gappy struct {
	*world
	out uint64
}

func (g gappy) Following(ctx context.Context, c evidence.ControllerID, after evidence.Cursor, limit int) ([]evidence.Entry, error) {
	found, err := g.world.Following(ctx, c, after, limit)
	for i := range found {
		if found[i].Number >= g.out { // the next entry takes its number, but not its bytes
			next := found[i]
			next.Index += 2
			entry := g.entry(int(next.Index))
			entry.ControllerSequence = next.Number + 1
			if next.Leaf, err = entry.Leaf(); err != nil {
				return nil, err
			}
			found[i] = next
		}
	}
	return found, err
}

// TestAGapIsFound: an entry that is left out, with a proof that fits what is there, leaves a gap in the numbers.
func TestAGapIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 12)
	var out bytes.Buffer
	e, err := evidence.New(evidence.Ref{Controller: "north", ID: "0190d3c0-0000-7000-8000-00000000ffff"}, begin, begin.AddDate(1, 0, 0), "en", begin.AddDate(2, 0, 0))
	must(t, err)
	s := w.sources()
	s.Entries = shortened{gappy{w, 6}}
	must(t, s.Gather(t.Context(), e, &out, begin.AddDate(1, 0, 1), func(int64) error { return nil }))
	_, err = check(out.Bytes(), Trust{})
	var failed *VerifyError
	if !errors.As(err, &failed) || failed.Check != CheckCompleteness || failed.Index != 13 {
		t.Errorf("got %v, want a gap at index 13", err)
	}
}

// shortened says that there is one entry less.
type shortened struct{ gappy }

func (s shortened) Span(ctx context.Context, c evidence.ControllerID, start, end time.Time) (evidence.Span, error) {
	span, err := s.gappy.Span(ctx, c, start, end)
	span.After--
	return span, err
}

// TestIndexThatContradictsTheLog: what the index has and the log has not is never packed.
func TestIndexThatContradictsTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 12)
	e, err := evidence.New(evidence.Ref{Controller: "north", ID: "0190d3c0-0000-7000-8000-00000000ffff"}, begin, begin.AddDate(1, 0, 0), "en", begin.AddDate(2, 0, 0))
	must(t, err)
	s := w.sources()
	s.Entries = altered{w}
	if err := s.Gather(t.Context(), e, io.Discard, begin.AddDate(1, 0, 1), func(int64) error { return nil }); !errors.Is(err, evidence.ErrContradiction) {
		t.Errorf("got %v", err)
	}
}

type altered struct{ *world }

func (a altered) Following(ctx context.Context, c evidence.ControllerID, after evidence.Cursor, limit int) ([]evidence.Entry, error) {
	found, err := a.world.Following(ctx, c, after, limit)
	for i := range found {
		found[i].Leaf = bytes.Replace(found[i].Leaf, []byte("usr_1"), []byte("usr_9"), 1)
	}
	return found, err
}

// TestLinesOfDecisions: an entry that stands for decisions has a line for each.
func TestLinesOfDecisions(t *testing.T) {
	t.Parallel()
	id := func(n byte) []byte { return []byte{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, 10, 11, 12, 13, 14, 15, n} }
	e := audit.Entry{ReceivedTime: begin, ControllerSequence: 1, Event: audit.Event{ID: "0190d3c0-0000-7000-8000-000000000001", Controller: "north",
		Service: "consent", Actor: audit.Actor{Kind: audit.ActorService, Ref: "consent"}, Action: audit.DecisionAction, Kind: audit.KindDecision,
		Outcome: audit.OutcomeOK, OccurredTime: begin, Batch: &audit.Batch{Actors: []audit.Actor{{Kind: audit.ActorCaller, Ref: "usr_1"}},
			Texts: []string{"photos", "CONSENT_HOLDS"}, Decisions: []audit.Decision{
				{ID: id(1), People: []audit.KeyID{{1}}, Allowed: true, Reason: 1, Version: 1}, {ID: id(2), People: []audit.KeyID{{2}}, Reason: 1, Version: 1}}}}}
	leaf, err := e.Leaf()
	must(t, err)
	got, err := entryline.Read(leaf, nil)
	must(t, err)
	if len(got.Lines) != 2 || got.Lines[0].Detail["decision"] != "ALLOW" || got.Lines[1].Detail["decision"] != "DENY" ||
		got.Lines[1].Place != 2 || len(got.Lines[0].People) != 1 || got.Lines[0].Reading != dossier.Open {
		t.Errorf("%+v", got.Lines)
	}
	if _, err := entryline.Read(leaf, make([]byte, 32)); !errors.Is(err, entryline.ErrKey) {
		t.Errorf("a key for what is not sealed: %v", err)
	}
}
