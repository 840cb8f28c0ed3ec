package logkey

import "bytes"

// JoinNotes writes signed notes one after the other, with an empty line between them.
func JoinNotes(notes [][]byte) []byte { return bytes.Join(notes, []byte("\n")) }

// SplitNotes takes apart what JoinNotes wrote: each note is a text without an empty line, an empty line and signatures. What is left over
// is returned too, as a last note that none is.
func SplitNotes(raw []byte) (notes [][]byte) {
	if raw == nil {
		return nil
	}
	blocks := bytes.Split(raw, []byte("\n\n"))
	for len(blocks) >= 2 {
		n := bytes.Join(blocks[:2], []byte("\n\n"))
		if len(blocks) > 2 {
			n = append(n, '\n')
		}
		notes, blocks = append(notes, n), blocks[2:]
	}
	if len(blocks) > 0 {
		notes = append(notes, blocks[0])
	}
	return notes
}
