package logcheck

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/privacyops/privacyops/libs/logkey"
)

// Part is a shard of a log: a log of its own, or what is left of one that was dropped.
type Part struct {
	// Year of its entries; 0 for the first shard.
	Year int
	// Source is where it is read from.
	Source Source
	// Opening is its first entry, for a source that has no entries.
	Opening []byte
	// Tombstone, unless nil, is what stands in its place.
	Tombstone []byte
}

// Sharded is a source of a log that is divided into shards.
type Sharded interface {
	// Parts lists all shards, in the order of their years; the first one is that of the year 0.
	Parts(ctx context.Context) ([]Part, error)
}

// ShardReport is what is known of a shard.
type ShardReport struct {
	Origin string `json:"origin"`
	// First is the place of its first entry among those of all shards, and Size how many it has.
	First uint64 `json:"first"`
	Size  uint64 `json:"size"`
	Root  []byte `json:"root,omitempty"`
	// Dropped: a tombstone stands in its place.
	Dropped bool `json:"dropped,omitempty"`
}

// walker follows a log from shard to shard.
type walker struct {
	o       Options
	report  Report
	known   map[string][]byte // checkpoints that were seen earlier, by origin
	before  *link             // the shard before
	end     uint64            // the place behind it
	numbers *numbers

	notes [][]byte

	live       []live
	tombstones []named
}

// link is the final checkpoint of a shard.
type link struct {
	origin string
	head
	dropped bool
}

func verifyParts(ctx context.Context, parts []Part, o Options) (Report, error) {
	w := &walker{o: o, known: map[string][]byte{}, numbers: &numbers{last: map[string]uint64{}, continued: o.Continued},
		report: Report{Origin: o.Key.Name(), Entries: parts[0].Source.HasEntries()}}
	for _, n := range logkey.SplitNotes(o.Known) {
		origin, _, _ := strings.Cut(string(n), "\n")
		w.known[origin] = n
	}
	for i, p := range parts {
		key, err := shardKey(o.Key, p.Year)
		if err != nil {
			return Report{}, err
		}
		if err := w.part(ctx, p, key, i == len(parts)-1); err != nil {
			return Report{}, err
		}
		delete(w.known, key.Name())
	}
	if err := w.recorded(ctx); err != nil {
		return Report{}, err
	}
	for _, origin := range sortedKeys(w.known) {
		w.find(Rollback, w.end, "", fmt.Sprintf("the shard %s was seen earlier and is not there any more", origin))
	}
	w.report.Size, w.report.Note = w.end, logkey.JoinNotes(w.notes)
	w.report.sort()
	return w.report, nil
}

func sortedKeys(m map[string][]byte) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// shardKey is the key of the shard of a year: the log's own, under the shard's name.
func shardKey(key note.Verifier, year int) (note.Verifier, error) {
	if year == 0 {
		return key, nil
	}
	raw, ok := key.(fmt.Stringer)
	if !ok {
		return nil, errors.New("logcheck: the log has shards; their keys follow from the log's, which must be one of Key")
	}
	text, err := logkey.Shard(raw.String(), year)
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(text)
}

// pinned is a verifier that knows its own text.
type pinned struct {
	note.Verifier
	text string
}

func (p pinned) String() string { return p.text }

// Key reads a log's public key, in the text form of signed notes. The keys of all its shards follow from it.
func Key(text string) (note.Verifier, error) {
	v, err := note.NewVerifier(text)
	return pinned{v, text}, err
}

func (w *walker) find(kind Kind, at uint64, file, problem string) {
	w.report.add(Finding{Kind: kind, First: at, Last: at, File: file, Problem: problem})
}

// folderOf is where the shard of a year is, below the log's address or folder.
func folderOf(year int) string {
	if year == 0 {
		return ""
	}
	return fmt.Sprintf("shards/%04d/", year)
}

func (w *walker) part(ctx context.Context, p Part, key note.Verifier, last bool) error {
	if p.Tombstone != nil {
		w.dropped(p, key, last)
		return nil
	}
	o, file := w.o, folderOf(p.Year)
	o.Key, o.Known = key, w.known[key.Name()]
	known, err := openKnown(o.Known, key)
	if err != nil {
		return err
	}
	c := newChecker(&loader{source: p.Source, cache: o.Cache, compare: differences}, o, known)
	c.numbers = w.numbers
	switch err := c.check(ctx); {
	case errors.Is(err, ErrNoLog) && p.Year == 0 && w.before == nil && last:
		return err
	case errors.Is(err, ErrNoLog):
		w.find(Chain, w.end, file+"checkpoint", fmt.Sprintf("the shard %s is missing and has no tombstone", key.Name()))
		w.before, w.numbers = nil, nil
		return nil
	case err != nil:
		return err
	}
	for _, f := range c.report.Findings {
		f.First, f.Last, f.File = f.First+w.end, f.Last+w.end, prefixed(file, f.File)
		w.report.add(f)
	}
	w.numbers = c.numbers
	w.merge(c.report)
	if p.Year != 0 {
		if err := w.chain(ctx, p, c); err != nil {
			return err
		}
	}
	w.live = append(w.live, live{p.Source, w.end, c.signed.size})
	w.report.Shards = append(w.report.Shards, ShardReport{Origin: key.Name(), First: w.end, Size: c.signed.size, Root: c.report.Root})
	w.before, w.end = &link{origin: key.Name(), head: c.signed}, w.end+c.signed.size
	w.notes = append(w.notes, c.report.Note)
	return nil
}

func prefixed(folder, file string) string {
	if file == "" {
		return strings.TrimSuffix(folder, "/")
	}
	return folder + file
}

// merge adds what was found in a shard.
func (w *walker) merge(r Report) {
	w.report.Root, w.report.Controllers = r.Root, max(w.report.Controllers, r.Controllers)
	w.report.KnownSize += r.KnownSize
	w.report.Cosigned = r.Cosigned
	if !r.First.IsZero() && (w.report.First.IsZero() || r.First.Before(w.report.First)) {
		w.report.First = r.First
	}
	if r.Last.After(w.report.Last) {
		w.report.Last = r.Last
	}
}

// opening is the part of a shard's first entry that is looked at.
type opening struct {
	Schema     string            `json:"schema"`
	Action     string            `json:"action"`
	Service    string            `json:"service"`
	Controller string            `json:"controller"`
	Detail     map[string]string `json:"detail"`
}

// chain checks that a shard's first entry holds the final checkpoint of the shard before it.
func (w *walker) chain(ctx context.Context, p Part, c *checker) error {
	file := folderOf(p.Year)
	if c.signed.size == 0 {
		w.find(Chain, w.end, file+"checkpoint", "a shard that follows another has no entries")
		return nil
	}
	raw, err := firstEntry(ctx, p, c.signed.size)
	if err != nil {
		return err
	}
	tile, problem, err := readTile(ctx, p.Source, 0, 0, int(min(c.signed.size, tileWidth)))
	if err != nil || problem != "" {
		return err // the problem is a finding already
	}
	if raw == nil || tlog.RecordHash(raw) != hashesOf(tile[:tlog.HashSize])[0] {
		w.find(Chain, w.end, file, "the first entry, which holds the checkpoint of the shard before it, is missing or another one")
		return nil
	}
	var first opening
	if sound := json.Unmarshal(raw, &first) == nil; !sound || first.Action != "log.open" || first.Service != "audit" || first.Controller != "" {
		w.find(Chain, w.end, file, "the first entry does not say what shard was before it")
		return nil
	}
	switch d := first.Detail; {
	case w.before == nil:
	case d["previousOrigin"] != w.before.origin:
		w.find(Chain, w.end, file, fmt.Sprintf("it continues the shard %s, which is missing and has no tombstone", d["previousOrigin"]))
	case d["previousSize"] != strconv.FormatUint(w.before.size, 10), d["previousRoot"] != hex.EncodeToString(w.before.root[:]):
		w.find(Chain, w.end-min(w.end, w.before.size), folderOfOrigin(w.o.Key.Name(), w.before.origin),
			fmt.Sprintf("the shard %s is not the one that was sealed: the next one begins with another checkpoint of it", w.before.origin))
	case d["position"] != strconv.FormatUint(w.end, 10):
		w.find(Chain, w.end, file, "its first entry says another place than it has")
	}
	return nil
}

func folderOfOrigin(log, origin string) string {
	year, _ := logkey.YearOf(log, origin)
	return prefixed(folderOf(year), "")
}

// firstEntry is the first entry of a shard; nil where it cannot be had.
func firstEntry(ctx context.Context, p Part, size uint64) ([]byte, error) {
	if !p.Source.HasEntries() {
		return p.Opening, nil
	}
	return entryOf(ctx, p.Source, 0, size)
}
