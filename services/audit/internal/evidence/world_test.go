package evidence_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/services/audit/internal/dossier"
	"github.com/privacyops/privacyops/services/audit/internal/evidence"
	"github.com/privacyops/privacyops/services/audit/internal/packages"
)

var (
	begin = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	end   = begin.AddDate(0, 1, 0)
	ref   = evidence.Ref{Controller: "north", ID: "0190d3c0-0000-7000-8000-00000000ffff"}
)

// errFault is what everything here fails with that is made to fail.
var errFault = errors.New("fault")

// world is all that an engine works with: entries 1 to 200 of a controller that has the log to itself, of which the first is before the
// period and the last behind it. Each part can be made to fail.
type world struct {
	t      *testing.T
	store  *memory
	folder *folder
	clock  *clock.Fake
	signer note.Signer
	key    string
	policy []byte
	hashes []tlog.Hash
	files  int
	// covered is how many entries the checkpoint covers.
	covered int64
	// fault names what fails, and onEntries is called each time that entries are read.
	fault     string
	faultErr  error
	onEntries func(after uint64)
	checked   int
	badCheck  bool
}

// The controller's entries, and all of the log: some of others follow.
const (
	entries = 200
	total   = 300
)

func newWorld(t *testing.T) *world {
	t.Helper()
	secret, public, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{7}, 64)), "log.example")
	must(t, err)
	signer, err := note.NewSigner(secret)
	must(t, err)
	dir := t.TempDir()
	disk, err := packages.Open(dir)
	must(t, err)
	w := &world{t: t, store: &memory{rows: map[evidence.Ref]evidence.Evidence{}}, folder: &folder{Folder: disk, disk: disk, dir: dir},
		clock: clock.NewFake(end.Add(time.Hour)), signer: signer, key: public, covered: total, faultErr: errFault}
	for i := range int64(total) {
		more, err := tlog.StoredHashes(i, leaf(uint64(i+1)), tlog.HashReaderFunc(w.read))
		must(t, err)
		w.hashes = append(w.hashes, more...)
	}
	e, err := evidence.New(ref, begin, end, "en", w.clock.Now())
	must(t, err)
	w.store.rows[ref] = *e
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// leaf is the bytes of an entry; they do not shrink, so that a package is larger than any buffer.
func leaf(number uint64) []byte {
	raw := make([]byte, 3000)
	for i := range raw {
		raw[i] = byte((number*31 + uint64(i)) * uint64(i) >> 3)
	}
	return append(fmt.Appendf(nil, "entry %d ", number), raw...)
}

func received(number uint64) time.Time {
	switch number {
	case 1:
		return begin.Add(-time.Hour)
	case entries:
		return end.Add(time.Minute)
	}
	return begin.Add(time.Duration(number) * time.Hour)
}

func (w *world) fails(what string) error {
	if w.fault == what {
		return w.faultErr
	}
	return nil
}

// engine is a new one on what there is, as after a start.
func (w *world) engine() *evidence.Engine {
	ring, err := keyring.New(bytes.Repeat([]byte{7}, keyring.KeySize))
	must(w.t, err)
	return &evidence.Engine{
		Sources: evidence.Sources{Entries: w, Log: w, Keys: w, Register: w, Certificates: w, Signer: w.signer, Report: w,
			Read: func(leaf, _ []byte) (dossier.Entry, error) {
				var number uint64
				if _, err := fmt.Sscanf(string(leaf), "entry %d", &number); err != nil {
					return dossier.Entry{}, err
				}
				return dossier.Entry{Controller: "north", Number: number, Received: received(number), Lines: []dossier.Line{{ID: fmt.Sprint(number)}}}, nil
			},
			Spool: func() (*os.File, error) {
				if err := w.fails("spool"); err != nil {
					return nil, err
				}
				return w.folder.disk.Spool()
			}},
		Store: w.store, Folder: w.folder, Keyring: ring, Clock: w.clock,
		NewID: func() string { w.files++; return fmt.Sprintf("0190d3c0-0000-7000-8000-%012x", w.files) },
		Check: func(r io.ReaderAt, size int64) error {
			w.checked++
			if w.badCheck {
				return errors.New("it does not verify")
			}
			_, err := dossier.OpenContainer(r, size)
			return err
		},
	}
}

func (w *world) Span(context.Context, evidence.ControllerID, time.Time, time.Time) (evidence.Span, error) {
	return evidence.Span{Before: evidence.Cursor{Received: received(1), Number: 1}, After: entries, AfterIndex: entries - 1, Events: entries - 2}, w.fails("span")
}

func (w *world) Following(_ context.Context, _ evidence.ControllerID, after evidence.Cursor, limit int) (out []evidence.Entry, err error) {
	if w.onEntries != nil {
		w.onEntries(after.Number)
	}
	if after.Number > entries/2 {
		if err := w.fails("entries"); err != nil {
			return nil, err
		}
	}
	for n := after.Number + 1; n <= entries && len(out) < limit; n++ {
		if n == 150 && w.fault == "gap" {
			continue
		}
		out = append(out, evidence.Entry{Cursor: evidence.Cursor{Received: received(n), Number: n}, Index: n - 1, Leaf: leaf(n)})
	}
	if w.fault == "another index" {
		out[0].Leaf = leaf(9999)
	}
	return out, nil
}

func (w *world) read(indexes []int64) (out []tlog.Hash, err error) {
	for _, i := range indexes {
		out = append(out, w.hashes[i])
	}
	return out, nil
}

func (w *world) Shards(context.Context, uint64) ([]evidence.Shard, error) {
	root, err := tlog.TreeHash(w.covered, tlog.HashReaderFunc(w.read))
	must(w.t, err)
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("log.example\n%d\n%s\n", w.covered, root)}, w.signer)
	must(w.t, err)
	if w.fault == "checkpoint of another" {
		signed = bytes.Replace(signed, []byte("log.example"), []byte("log.another"), 1)
	}
	return []evidence.Shard{{Head: evidence.Head{Size: uint64(w.covered), Root: root[:], Checkpoint: signed}, Origin: "log.example"}}, w.fails("head")
}

func (w *world) Tile(_ context.Context, _ int, level, index uint64, width uint8) ([]byte, error) {
	if err := w.fails("tile"); err != nil {
		return nil, err
	}
	n := int(width)
	if n == 0 {
		n = 256
	}
	return tlog.ReadTileData(tlog.Tile{H: 8, L: int(level), N: int64(index), W: n}, tlog.HashReaderFunc(w.read))
}

func (w *world) Policy() []byte { return w.policy }
func (w *world) Public() string { return w.key }

func (w *world) EntryKey(context.Context, evidence.ControllerID, []byte) ([]byte, error) {
	return nil, w.fails("keys")
}

func (w *world) Controller(context.Context, evidence.ControllerID) (evidence.Controller, error) {
	return evidence.Controller{DisplayName: "North", JSON: []byte("{}")}, w.fails("register")
}

func (w *world) Versions(_ context.Context, _ evidence.ControllerID, _, _ time.Time, each func([]byte) error) error {
	return errors.Join(each([]byte("{}")), w.fails("versions"))
}

func (w *world) Issued(_ context.Context, _ evidence.ControllerID, _, _ time.Time, each func(string, []byte) error) error {
	if w.fault == "certificate" {
		return each("x", []byte("not a certificate"))
	}
	return w.fails("certificates")
}

func (w *world) Page(to io.Writer, _ *dossier.Manifest, _ *dossier.Figures, _ string) error {
	_, err := io.WriteString(to, "<!doctype html>")
	return errors.Join(err, w.fails("report"))
}
func (w *world) Readme(io.Writer, *dossier.Manifest) error { return nil }
func (w *world) Measures(io.Writer, evidence.Facts) error  { return nil }
func (w *world) row() evidence.Evidence                    { return w.store.rows[ref] }
func (w *world) advance(last bool) error                   { return w.engine().Advance(w.t.Context(), ref, last) }
func (f *folder) left(t *testing.T) []evidence.FileID {
	t.Helper()
	l, err := f.disk.List()
	must(t, err)
	return l
}
func (f *folder) Remove(file evidence.FileID) error {
	return errors.Join(f.removeErr, f.Folder.Remove(file))
}

// folder is a real one on a disk that can be full.
type folder struct {
	evidence.Folder
	disk *packages.Folder
	dir  string
	// room is how many bytes can be written; 0: any number.
	room      int
	finishErr error
	removeErr error
}

func (f *folder) Create(file evidence.FileID) (evidence.Draft, error) {
	d, err := f.Folder.Create(file)
	return &draft{d, f, f.room}, err
}

type draft struct {
	evidence.Draft
	f    *folder
	left int
}

func (d *draft) Write(p []byte) (int, error) {
	if d.f.room > 0 {
		if d.left -= len(p); d.left < 0 {
			return 0, errFault
		}
	}
	return d.Draft.Write(p)
}

func (d *draft) Finish() (string, int64, string, error) {
	if d.f.finishErr != nil {
		return "", 0, "", d.f.finishErr
	}
	return d.Draft.Finish()
}
