package logcheck

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// tombstone is what the check needs of one.
type tombstone struct {
	head
	first   uint64
	entry   uint64 // place of the entry that records the drop
	lines   string // of the numbers
	numbers map[string]uint64
}

// dropped goes past a shard that has a tombstone.
func (w *walker) dropped(p Part, key note.Verifier, last bool) {
	file := folderOf(p.Year) + "tombstone"
	t, err := openTombstone(p.Tombstone, key)
	switch {
	case err != nil:
		w.find(Tombstone, w.end, file, err.Error())
		w.before, w.numbers = nil, nil
		return
	case last:
		w.find(Tombstone, w.end, file, "the last shard has a tombstone: nothing follows that says that it was dropped")
	case w.before != nil && !w.before.dropped:
		w.find(Tombstone, w.end, file, "a shard before it was not dropped: it cannot have been its turn")
	case t.first != w.end:
		w.find(Tombstone, w.end, file, fmt.Sprintf("it says that the shard began at index %d, which was at %d", t.first, w.end))
	}
	if known, err := openKnown(w.known[key.Name()], key); err == nil && (known.size > t.size || known.size == t.size && known.root != t.root) {
		w.find(Fork, w.end, file, "the tombstone is of another shard than the one that was seen earlier")
	}
	w.tombstones = append(w.tombstones, named{t, key.Name(), file})
	w.report.Shards = append(w.report.Shards, ShardReport{Origin: key.Name(), First: w.end, Size: t.size, Root: t.root[:], Dropped: true})
	w.before, w.end = &link{origin: key.Name(), head: t.head, dropped: true}, w.end+t.size
	if w.numbers != nil {
		w.numbers.last = t.numbers
	}
}

var errTombstone = errors.New("it is no tombstone of the shard")

// openTombstone reads a tombstone that the shard's key has signed.
func openTombstone(raw []byte, key note.Verifier) (t tombstone, err error) {
	n, err := note.Open(raw, note.VerifierList(key))
	if err != nil {
		return t, errors.New("the tombstone is not signed by the log's key")
	}
	for _, sig := range append(n.Sigs, n.UnverifiedSigs...) {
		if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
			return t, errors.New("a signature of the tombstone is not in canonical form")
		}
	}
	lines := strings.Split(strings.TrimSuffix(n.Text, "\n"), "\n")
	if len(lines) < 8 || lines[0] != "privacyops.audit.tombstone.v1" || lines[1] != "origin "+key.Name() {
		return t, errTombstone
	}
	if t.size, err = field(lines[2], "size "); err != nil || t.size > maxEntries {
		return t, errTombstone
	}
	root, err := hex.DecodeString(strings.TrimPrefix(lines[3], "root "))
	if err != nil || len(root) != tlog.HashSize {
		return t, errTombstone
	}
	t.root = tlog.Hash(root)
	if t.first, err = field(lines[4], "position "); err != nil || t.first > maxEntries {
		return t, errTombstone
	}
	if t.entry, err = field(lines[7], "entry "); err != nil {
		return t, errTombstone
	}
	if len(lines) > 8 {
		t.lines = strings.Join(lines[8:], "\n") + "\n"
	}
	t.numbers = map[string]uint64{}
	for _, line := range lines[8:] {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] != "number" {
			return t, errTombstone
		}
		name := fields[1]
		if name == "-" {
			name = "" // the suite
		}
		if t.numbers[name], err = field(fields[2], ""); err != nil {
			return t, errTombstone
		}
	}
	return t, nil
}

func field(line, prefix string) (uint64, error) {
	digits, ok := strings.CutPrefix(line, prefix)
	n, err := strconv.ParseUint(digits, 10, 63)
	if !ok || err != nil || strconv.FormatUint(n, 10) != digits {
		return 0, errTombstone
	}
	return n, nil
}

// named is a tombstone and where it was found.
type named struct {
	tombstone
	origin, file string
}

// recorded checks that the log says of each tombstone that the shard was dropped. An entry that was dropped itself since says nothing
// any more, and neither does a source without entries.
func (w *walker) recorded(ctx context.Context) error {
	for _, t := range w.tombstones {
		at := slices.IndexFunc(w.live, func(l live) bool { return t.entry >= l.first && t.entry-l.first < l.size })
		if at < 0 && t.entry < w.firstLive() || !w.report.Entries {
			continue
		}
		var said opening
		if at >= 0 {
			l := w.live[at]
			raw, err := entryOf(ctx, l.source, t.entry-l.first, l.size)
			if err != nil {
				return err
			}
			_ = json.Unmarshal(raw, &said)
		}
		sum := sha256.Sum256([]byte(t.lines))
		d := said.Detail
		if said.Action != "log.drop" || said.Service != "audit" || said.Controller != "" || d["origin"] != t.origin || d["size"] != strconv.FormatUint(t.size, 10) ||
			d["root"] != hex.EncodeToString(t.root[:]) || d["numbersSha256"] != hex.EncodeToString(sum[:]) {
			w.find(Tombstone, t.first, t.file, fmt.Sprintf("the entry at index %d does not record that this shard was dropped", t.entry))
		}
	}
	return nil
}

// live is a shard that is there.
type live struct {
	source      Source
	first, size uint64
}

// firstLive is the place of the first entry that is there.
func (w *walker) firstLive() uint64 {
	if len(w.live) == 0 {
		return w.end
	}
	return w.live[0].first
}

// entryOf reads one entry; nil where it cannot be had.
func entryOf(ctx context.Context, source Source, index, size uint64) ([]byte, error) {
	slab := index / tileWidth
	raw, _, err := read(ctx, source, entryLevel, slab, int(min(size-slab*tileWidth, tileWidth)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var entry []byte
	for ok := true; ok; index-- {
		if entry, raw, ok = split(raw); !ok || index%tileWidth == 0 {
			break
		}
	}
	return entry, nil
}
