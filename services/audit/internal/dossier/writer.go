package dossier

import (
	"archive/zip"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// memberTime is the time of every member: the times that count are in the manifest.
var memberTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// Writer writes a package. Nothing is held in memory but the list of its members.
type Writer struct {
	zip     *zip.Writer
	packer  *flate.Writer // used again for each member: a new one takes nearly a megabyte
	stored  *meter        // of the member that was begun last
	members []member
	paths   map[string]bool
	open    bool
}

// member is one that is written, but for its compressed bytes, which end when the next one begins.
type member struct {
	file   File
	stored *meter
}

// NewWriter writes a package to w.
func NewWriter(w io.Writer) *Writer {
	out := &Writer{zip: zip.NewWriter(w), paths: map[string]bool{}}
	out.zip.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		out.stored = newMeter(w)
		if out.packer != nil {
			out.packer.Reset(out.stored)
			return out.packer, nil
		}
		var err error
		out.packer, err = flate.NewWriter(out.stored, flate.DefaultCompression)
		return out.packer, err
	})
	return out
}

// Member writes a member. Members are written one after the other, each path once.
func (w *Writer) Member(path string, write func(io.Writer) error) error {
	if w.open || w.paths[path] {
		return errors.New("dossier: members are written one after the other, each once")
	}
	w.open, w.paths[path] = true, true
	defer func() { w.open = false }()
	to, err := w.create(path, zip.Deflate)
	if err != nil {
		return err
	}
	content := newMeter(to)
	if err := write(content); err != nil {
		return err
	}
	w.members = append(w.members, member{File{Path: path, Size: content.size, SHA256: content.sum()}, w.stored})
	return nil
}

func (w *Writer) create(path string, method uint16) (io.Writer, error) {
	to, err := w.zip.CreateHeader(&zip.FileHeader{Name: path, Method: method, Modified: memberTime})
	if err != nil {
		return nil, fmt.Errorf("dossier: begin a member: %w", err)
	}
	return to, nil
}

// Finish writes manifest and signature, and ends the package.
func (w *Writer) Finish(m *Manifest, signer note.Signer) error {
	to, err := w.create(ManifestPath, zip.Store)
	if err != nil {
		return err
	}
	m.Files = nil
	for _, written := range w.members {
		f := written.file
		f.StoredSize, f.StoredSHA256 = written.stored.size, written.stored.sum()
		m.Files = append(m.Files, f)
	}
	raw, err := m.Marshal()
	if err != nil {
		return fmt.Errorf("dossier: manifest: %w", err)
	}
	if _, err := to.Write(raw); err != nil {
		return fmt.Errorf("dossier: write: %w", err)
	}
	signed, err := note.Sign(&note.Note{Text: SignedText(raw)}, signer)
	if err != nil {
		return fmt.Errorf("dossier: sign: %w", err)
	}
	if to, err = w.create(SignaturePath, zip.Store); err != nil {
		return err
	}
	if _, err := to.Write(signed); err != nil {
		return fmt.Errorf("dossier: write: %w", err)
	}
	return w.zip.Close()
}

// meter counts and hashes what goes through it.
type meter struct {
	to   io.Writer
	hash hash.Hash
	size int64
}

func newMeter(w io.Writer) *meter { return &meter{to: w, hash: sha256.New()} }

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.to.Write(p)
	m.hash.Write(p[:n])
	m.size += int64(n)
	return n, err
}

func (m *meter) sum() string { return hex.EncodeToString(m.hash.Sum(nil)) }
