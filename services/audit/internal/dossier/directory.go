package dossier

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// The ends of a ZIP, as APPNOTE.TXT of PKWARE has them. The longer ones come before the short one where there are more members, or more
// bytes, than it can tell.
const (
	endLength   = 22
	end64Length = 56
	end64Finder = 20
)

// boundDirectory refuses a file whose list of members would fill the memory, before anything reads it. The list must lie right before
// the end: a reader that is pointed elsewhere would read one of another length than is looked at here.
func boundDirectory(r io.ReaderAt, size int64) error {
	end, err := readEnd(r, size)
	if err != nil {
		return err
	}
	if end.members > MaxMembers || end.length > maxDirectory {
		return fmt.Errorf("%w: it lists too many members", ErrHostile)
	}
	if end.from > uint64(size) || end.from+end.length != end.at {
		return fmt.Errorf("%w: its list of members is not right before its end", ErrContainer)
	}
	return nil
}

// ending is what the end of a ZIP says of the list of members before it.
type ending struct{ members, length, from, at uint64 }

func readEnd(r io.ReaderAt, size int64) (ending, error) {
	var raw [end64Length + end64Finder + endLength]byte
	tail := raw[:min(size, int64(len(raw)))]
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return ending{}, err
	}
	if len(tail) < endLength || !bytes.HasPrefix(tail[len(tail)-endLength:], []byte("PK\x05\x06")) {
		return ending{}, fmt.Errorf("%w: it does not end as one", ErrContainer)
	}
	end, long, word := tail[len(tail)-endLength:], tail[:len(tail)-endLength], binary.LittleEndian
	short := ending{uint64(word.Uint16(end[10:])), uint64(word.Uint32(end[12:])), uint64(word.Uint32(end[16:])), uint64(size - endLength)}
	if short.members != 0xffff && short.length != 0xffffffff && short.from != 0xffffffff {
		return short, nil
	}
	if len(tail) < len(raw) || !bytes.HasPrefix(long, []byte("PK\x06\x06")) {
		return ending{}, fmt.Errorf("%w: the long form of its end is missing", ErrContainer)
	}
	return ending{word.Uint64(long[32:]), word.Uint64(long[40:]), word.Uint64(long[48:]), uint64(size) - uint64(len(raw))}, nil
}

// harmless refuses members that would harm who unpacks them.
func harmless(files []*zip.File) error {
	if len(files) > MaxMembers {
		return fmt.Errorf("%w: it has too many members", ErrHostile)
	}
	seen := make(map[string]bool, len(files))
	for _, f := range files {
		switch {
		case f.Name == "" || strings.HasPrefix(f.Name, "/") || strings.ContainsAny(f.Name, "\\:\x00") || path.Clean(f.Name) != f.Name ||
			f.Name == ".." || strings.HasPrefix(f.Name, "../"):
			return fmt.Errorf("%w: a member would be unpacked somewhere else", ErrHostile)
		case seen[f.Name]:
			return fmt.Errorf("%w: a member is in it twice", ErrHostile)
		case f.UncompressedSize64/maxExpansion > f.CompressedSize64+1:
			return fmt.Errorf("%w: a member claims to unpack to more than it can", ErrHostile)
		}
		seen[f.Name] = true
	}
	return nil
}
