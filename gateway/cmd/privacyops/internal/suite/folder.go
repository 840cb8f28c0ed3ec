package suite

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Moving is how far the move of an installation to PostgreSQL is.
type Moving string

// The states of a move.
const (
	// MoveBegun: rows may be missing in PostgreSQL; the SQLite files are what counts.
	MoveBegun Moving = "MOVING"
	// MoveDone: PostgreSQL is what counts; the SQLite files are a copy of what was.
	MoveDone Moving = "MOVED"
)

// Mark is the note in a data folder that says where the installation has gone.
type Mark struct {
	State Moving `json:"state"`
	// To says where, without user and password.
	To string `json:"to"`
	// Time is when the note was made.
	Time time.Time `json:"time"`
}

// Folder is the data folder of an embedded installation that does not run, nor can while the folder is held.
type Folder struct {
	at   layout
	lock *os.File
}

// HoldFolder takes a data folder that is there, and keeps installations off it until [Folder.Release].
func HoldFolder(dir string) (*Folder, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("there is no data folder %s", dir)
	}
	f := &Folder{at: layout{dir}}
	var err error
	f.lock, err = f.at.lock()
	return f, err
}

// Release gives the folder free.
func (f *Folder) Release() error { return f.lock.Close() }

// Database is the SQLite file of a service.
func (f *Folder) Database(service string) string { return f.at.path(service + ".db") }

// LogKey is the file with the public key of the audit log: who the installation is.
func (f *Folder) LogKey() string { return f.at.logKey() + ".pub" }

// Mark reads the note; the zero value where there is none.
func (f *Folder) Mark() (Mark, error) { return f.at.readMark() }

// SetMark writes the note, so that it is there whole or as it was before.
func (f *Folder) SetMark(m Mark) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := replace(f.at.mark(), append(text, '\n')); err != nil {
		return fmt.Errorf("note the move in the data folder: %w", err)
	}
	return nil
}

// replace writes a file beside the old one, and puts it in its place when it is on the disk.
func replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (l layout) mark() string { return l.path("moved.json") }

func (l layout) readMark() (m Mark, err error) {
	text, err := os.ReadFile(l.mark())
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err == nil && m.State != MoveBegun && m.State != MoveDone {
		err = errors.New("it names no state")
	}
	if err != nil {
		return m, fmt.Errorf("read %s, the note on the move to PostgreSQL: %w", l.mark(), err)
	}
	return m, nil
}

// moved refuses to start an installation on the engine where it is not: two that go on from the same state would each make
// promises that the other does not know of.
func (l layout) moved(database string) error {
	m, err := l.readMark()
	switch {
	case err != nil:
		return err
	case m.State == MoveDone && database == "":
		return fmt.Errorf("this installation was moved to PostgreSQL (%s) on %s; start it with --database", m.To, m.Time.Format(time.DateOnly))
	case m.State == MoveBegun && database != "":
		return fmt.Errorf("the move of this installation to PostgreSQL (%s) is not finished; run privacyops move again first", m.To)
	}
	return nil
}
