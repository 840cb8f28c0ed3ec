package evidencecheck

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"

	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

// walked is what going through the entries found.
type walked struct {
	// before and after are the numbers of the entries at the two sides of the period, 0 where there is none.
	before, after uint64
	first, last   uint64 // in the period; 0 where there is none
	previous      uint64 // number of the entry before
	unreadable    int64
	hashes        int64
	entries       int64
	events        int64
	gap           error
}

// stream is a member that is read from begin to end.
type stream struct {
	*bufio.Reader
	io.Closer
}

func (v *verifier) stream(path string) (*stream, error) {
	r, err := v.members[path].Open()
	if err != nil {
		return nil, bad(path, "cannot be unpacked")
	}
	return &stream{bufio.NewReaderSize(r, 1<<16), r}, nil
}

// proof computes the root of each shard from all entries and the hashes between them.
func (v *verifier) proof() error {
	leaves, err := v.stream(dossier.LeavesPath)
	if err != nil {
		return err
	}
	defer leaves.Close()
	hashes, err := v.stream(dossier.ProofPath)
	if err != nil {
		return err
	}
	defer hashes.Close()
	p := &placed{from: leaves}
	if err := p.advance(); err != nil {
		return err
	}
	for _, t := range v.trees {
		if err := v.tree(t, p, hashes); err != nil {
			return err
		}
	}
	if p.more {
		return bad(dossier.LeavesPath, "has an entry that is in none of the shards").at(p.index)
	}
	if _, err := hashes.ReadByte(); !errors.Is(err, io.EOF) {
		return bad(dossier.ProofPath, "has more hashes than are needed")
	}
	return nil
}

// placed goes through the entries.
type placed struct {
	from  *stream
	buf   []byte
	index uint64
	leaf  dossier.Hash
	more  bool
}

func (p *placed) advance() error {
	at := p.index
	index, leaf, err := dossier.ReadLeaf(p.from, p.buf)
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		p.more = false
		return nil
	}
	if err != nil {
		return bad(dossier.LeavesPath, "cannot be read behind").at(at)
	}
	p.buf, p.index, p.leaf, p.more = leaf, index, dossier.LeafHash(leaf), true
	return nil
}

// tree computes one root.
func (v *verifier) tree(t tree, p *placed, hashes *stream) error {
	at := p.index
	root, err := dossier.Fold(t.size, func() (uint64, dossier.Hash, bool, error) {
		if !p.more || p.index >= t.first+t.size {
			return 0, dossier.Hash{}, false, nil
		}
		at = p.index
		index, leaf := p.index-t.first, p.leaf
		return index, leaf, true, p.advance()
	}, func(lo, _ uint64) (h dossier.Hash, err error) {
		v.walked.hashes++
		if _, err := io.ReadFull(hashes, h[:]); err != nil {
			return h, bad(dossier.ProofPath, "has too few hashes").at(t.first + lo)
		}
		return h, nil
	})
	var failed *VerifyError
	switch {
	case errors.As(err, &failed):
		return err
	case err != nil:
		return bad(dossier.LeavesPath, "is not in the order of the log").at(at)
	case root != t.root:
		return bad(dossier.LeavesPath, "the entries are not those of the log: they do not lead to the root that it signed")
	}
	return nil
}

// events makes the line of each entry of the period anew, and compares. On the way it gathers what the later checks need.
func (v *verifier) events() error {
	leaves, err := v.stream(dossier.LeavesPath)
	if err != nil {
		return err
	}
	defer leaves.Close()
	lines, err := v.stream(dossier.EventsPath)
	if err != nil {
		return err
	}
	defer lines.Close()
	v.tally, v.announced = dossier.NewTally(v.manifest.StartTime, v.manifest.EndTime), map[dossier.Hash]bool{}
	scan := bufio.NewScanner(lines)
	scan.Buffer(make([]byte, 0, 1<<16), maxLine)
	var buf []byte
	for {
		index, leaf, err := dossier.ReadLeaf(leaves, buf)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return bad(dossier.LeavesPath, "cannot be read")
		}
		buf = leaf
		if err := v.entry(index, leaf, scan); err != nil {
			return err
		}
	}
	if scan.Scan() || scan.Err() != nil {
		return bad(dossier.EventsPath, "has lines that no entry stands behind")
	}
	return v.counts()
}

// entry checks one entry and its lines.
func (v *verifier) entry(index uint64, leaf []byte, scan *bufio.Scanner) error {
	plain, err := v.read(leaf, nil)
	if err != nil {
		return bad(dossier.LeavesPath, "is no entry of such a log").at(index)
	}
	if plain.Controller != v.manifest.Controller {
		return bad(dossier.LeavesPath, "the entry is another controller's").at(index)
	}
	w := &v.walked
	if w.previous != 0 && plain.Number != w.previous+1 && w.gap == nil {
		w.gap = bad(dossier.LeavesPath, "number %d of the controller does not follow %d", plain.Number, w.previous).at(index)
	}
	w.previous = plain.Number
	switch {
	case plain.Received.Before(v.manifest.StartTime):
		if w.before != 0 || w.first != 0 || w.after != 0 {
			return bad(dossier.LeavesPath, "an entry is out of the order of time").at(index)
		}
		w.before = plain.Number
		return nil
	case !plain.Received.Before(v.manifest.EndTime):
		if w.after != 0 {
			return bad(dossier.LeavesPath, "there is more than one entry behind the period").at(index)
		}
		w.after = plain.Number
		return nil
	case w.after != 0:
		return bad(dossier.LeavesPath, "an entry is out of the order of time").at(index)
	}
	if w.first == 0 {
		w.first = plain.Number
	}
	w.last = plain.Number
	return v.lines(index, leaf, plain, scan)
}

// lines compares an entry's lines with those that follow from its bytes and the key that they give.
func (v *verifier) lines(index uint64, leaf []byte, entry dossier.Entry, scan *bufio.Scanner) error {
	for i := 0; i < len(entry.Lines); i++ {
		if !scan.Scan() {
			return bad(dossier.EventsPath, "an event has no line").at(index)
		}
		if i == 0 {
			var given struct {
				Key []byte `json:"key"`
			}
			if json.Unmarshal(scan.Bytes(), &given) != nil {
				return bad(dossier.EventsPath, "a line cannot be read").at(index)
			}
			if len(given.Key) > 0 {
				opened, err := v.read(leaf, given.Key)
				if err != nil || len(opened.Lines) != len(entry.Lines) {
					return bad(dossier.EventsPath, "the key of a line does not open its entry").at(index)
				}
				entry = opened
			}
		}
		line := &entry.Lines[i]
		line.Index, line.Number = index, entry.Number
		want, err := line.Marshal()
		if err != nil || !bytes.Equal(bytes.TrimSuffix(want, []byte{'\n'}), scan.Bytes()) {
			return bad(dossier.EventsPath, "a line does not say what its entry says").at(index)
		}
		v.walked.events++
		if line.Reading == dossier.Unreadable {
			v.walked.unreadable++
		}
		if hash := line.Detail["statementSha256"]; hash != "" && len(v.announced) < dossier.MaxMembers {
			v.announced[sha256.Sum256([]byte(hash))] = true
		}
	}
	v.walked.entries++
	v.tally.Entry(&entry)
	return nil
}

// counts compares what was found with the manifest.
func (v *verifier) counts() error {
	c, w := v.manifest.Counts, v.walked
	if c.Entries != w.entries || c.Events != w.events || c.Unreadable != w.unreadable || c.Hashes != w.hashes {
		return bad(dossier.ManifestPath, "counts other entries, events or hashes than there are")
	}
	if size := v.members[dossier.ProofPath].Size; size != w.hashes*sha256.Size {
		return bad(dossier.ProofPath, "is not as long as its hashes are")
	}
	v.report.Entries, v.report.Events, v.report.Unreadable = w.entries, w.events, w.unreadable
	return nil
}

// completeness checks that the controller's numbers run on from the last entry before the period to the first one after it. Where none
// is before it, the period's first entry is the controller's number 1; one after it there always is, as asking for the evidence is one.
func (v *verifier) completeness() error {
	w, n := v.walked, v.manifest.Numbers
	if w.gap != nil {
		return w.gap
	}
	if w.after == 0 {
		return bad(dossier.LeavesPath, "no entry after the period shows that it is all there")
	}
	first := w.first
	if first == 0 { // no entry in the period
		first, w.last = w.after, w.after-1
	}
	if w.before+1 != first {
		return bad(dossier.LeavesPath, "no entry before the period shows that it begins with number %d", first)
	}
	if n != (dossier.Numbers{Before: w.before, First: first, Last: w.last, After: w.after}) {
		return bad(dossier.ManifestPath, "names other numbers than the entries have")
	}
	v.report.FirstNumber, v.report.LastNumber = first, w.last
	return nil
}
