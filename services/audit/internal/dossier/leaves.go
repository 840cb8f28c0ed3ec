package dossier

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxLeaf bounds an entry's bytes in leaves.bin: a log of tiles writes the length of each in two bytes.
const maxLeaf = 1<<16 - 1

const leafHead = 8 + 4

// WriteLeaf writes an entry to leaves.bin: its index in the log (8 bytes), the number of its bytes (4 bytes), both big-endian, and its
// bytes.
func WriteLeaf(w io.Writer, index uint64, leaf []byte) error {
	if len(leaf) > maxLeaf {
		return errors.New("dossier: an entry is too large")
	}
	var head [leafHead]byte
	binary.BigEndian.PutUint64(head[:], index)
	binary.BigEndian.PutUint32(head[8:], uint32(len(leaf)))
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	_, err := w.Write(leaf)
	return err
}

// ReadLeaf reads the next entry of leaves.bin; io.EOF says that there is none. The bytes are in buf where they fit.
func ReadLeaf(r io.Reader, buf []byte) (index uint64, leaf []byte, err error) {
	var head [leafHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, nil, io.EOF
		}
		return 0, nil, fmt.Errorf("dossier: an entry is cut off: %w", err)
	}
	length := int(binary.BigEndian.Uint32(head[8:]))
	if length > maxLeaf {
		return 0, nil, errors.New("dossier: an entry is too large")
	}
	if cap(buf) < length {
		buf = make([]byte, length)
	}
	if _, err := io.ReadFull(r, buf[:length]); err != nil {
		return 0, nil, fmt.Errorf("dossier: an entry is cut off: %w", io.ErrUnexpectedEOF)
	}
	return binary.BigEndian.Uint64(head[:]), buf[:length], nil
}
