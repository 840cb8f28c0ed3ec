package packaging

import (
	"archive/zip"
	"bufio"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/services/export/internal/document"
	"github.com/privacyops/privacyops/services/export/internal/export"
)

// bufferSize is how much is written to the disk at a time.
const bufferSize = 256 << 10

// draft is a package that is being written: zip → (count) → age → (count) → buffer → file.
type draft struct {
	ctx    context.Context //nolint:containedctx // the draft is one piece of work, and every write of it ends with that
	folder *Folder
	path   string
	id     export.FileID
	secret string
	now    time.Time

	file   *os.File
	buffer *bufio.Writer
	outer  *meter
	sealed io.WriteCloser
	inner  *meter
	zip    *zip.Writer

	names names
	files []export.File
	done  bool
}

func newDraft(ctx context.Context, f *Folder, path string, id export.FileID, to age.Recipient, secret string, now time.Time) (*draft, error) {
	file, err := os.OpenFile(path+partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("packaging: create: %w", err)
	}
	d := &draft{ctx: ctx, folder: f, path: path, id: id, secret: secret, now: now, file: file, names: names{}}
	d.buffer = bufio.NewWriterSize(file, bufferSize)
	d.outer = newMeter(d.buffer)
	if d.sealed, err = age.Encrypt(d.outer, to); err != nil {
		d.Abort()
		return nil, fmt.Errorf("packaging: encrypt: %w", err)
	}
	d.inner = newMeter(whileAlive{ctx, d.sealed})
	d.zip = zip.NewWriter(d.inner)
	d.zip.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	return d, nil
}

// entry writes one file of the package and notes its hash.
func (d *draft) entry(f export.File, write func(w io.Writer) (records int64, err error)) error {
	w, err := d.zip.CreateHeader(&zip.FileHeader{Name: f.Path, Method: zip.Deflate, Modified: d.now.UTC()})
	if err != nil {
		return fmt.Errorf("packaging: %w", err)
	}
	m := newMeter(w)
	out := newAhead(m)
	f.Records, err = write(whileAlive{d.ctx, out})
	if err = errors.Join(err, out.finish()); err != nil {
		return fmt.Errorf("packaging: write a file of the package: %w", err)
	}
	f.Bytes, f.SHA256 = m.size, m.sum()
	d.files = append(d.files, f)
	return nil
}

// Intake begins to take in one system's data; see export.Draft.
func (d *draft) Intake(s export.SystemID) (export.Intake, error) { return newIntake(d, s) }

// Finish completes the package; see export.Draft.
func (d *draft) Finish(m *export.Manifest) (export.Package, string, error) {
	m.Fill(d.files)
	err := d.entry(export.File{Path: "README.html", MediaType: "text/html"}, func(w io.Writer) (int64, error) {
		return 0, document.Readme(w, m)
	})
	if err != nil {
		return export.Package{}, "", err
	}
	// README.html is listed too; the manifest cannot list itself, nor its signature.
	m.Fill(d.files)
	if err := d.manifest(m); err != nil {
		return export.Package{}, "", err
	}
	if err := d.seal(); err != nil {
		return export.Package{}, "", fmt.Errorf("packaging: seal: %w", err)
	}
	if d.secret == "" {
		return export.Package{File: d.id, SHA256: d.outer.sum(), Size: d.outer.size, ContentType: Age}, "", nil
	}
	return export.Package{File: d.id, SHA256: d.inner.sum(), Size: d.inner.size, ContentType: ZIP}, d.secret, nil
}

func (d *draft) manifest(m *export.Manifest) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("packaging: manifest: %w", err)
	}
	text = append(text, '\n')
	sum := sha256.Sum256(text)
	signed, err := note.Sign(&note.Note{Text: SignedText(sum)}, d.folder.signer)
	if err != nil {
		return fmt.Errorf("packaging: sign: %w", err)
	}
	for _, f := range []struct {
		path, kind string
		text       []byte
	}{{"manifest.json", "application/json", text}, {"manifest.sig", "text/plain", signed}} {
		if err := d.entry(export.File{Path: f.path, MediaType: f.kind}, func(w io.Writer) (int64, error) {
			_, err := w.Write(f.text)
			return 0, err
		}); err != nil {
			return err
		}
	}
	return nil
}

// SignedText is the text of the note in manifest.sig: the format, and the SHA-256 of manifest.json in hex, a line each.
func SignedText(manifest [sha256.Size]byte) string {
	return export.Format + "\n" + hex.EncodeToString(manifest[:]) + "\n"
}

// seal ends every layer and makes the file durable under its name.
func (d *draft) seal() error {
	for _, step := range []func() error{
		d.zip.Close, d.sealed.Close, d.buffer.Flush, d.file.Sync, d.file.Close, d.ctx.Err,
		func() error { return os.Rename(d.path+partial, d.path) },
		func() error { return syncDir(filepath.Dir(d.path)) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	d.done = true
	return nil
}

// Abort deletes what was written; see export.Draft.
func (d *draft) Abort() {
	if d.done {
		return
	}
	d.done = true
	// The file may be closed already; what cannot be deleted now is deleted when the export is taken up again.
	_ = errors.Join(d.file.Close(), os.Remove(d.path+partial), os.Remove(d.path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// meter counts and hashes what goes through it.
type meter struct {
	io.Writer
	hash hash.Hash
	size int64
}

func newMeter(w io.Writer) *meter { return &meter{Writer: w, hash: sha256.New()} }

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.Writer.Write(p)
	m.hash.Write(p[:n])
	m.size += int64(n)
	return n, err
}

func (m *meter) sum() string { return hex.EncodeToString(m.hash.Sum(nil)) }

// whileAlive refuses to write once ctx has ended, so that work that nobody wants any more stops soon.
type whileAlive struct {
	ctx context.Context //nolint:containedctx // see draft
	io.Writer
}

func (w whileAlive) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}
