package packaging

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"filippo.io/age"

	"github.com/privacyops/privacyops/services/export/internal/export"
)

const (
	// maxRecord bounds one record; participants' messages are smaller.
	maxRecord = 32 << 20
	// maxColumns bounds the columns of a dataset's table. What has more is not a table, and the JSON holds it all.
	maxColumns = 2000
)

// intake spools one system's records, encrypted, until they are complete.
type intake struct {
	draft  *draft
	system export.SystemID

	file   *os.File
	buffer *bufio.Writer
	sealed io.WriteCloser
	key    *age.X25519Identity
	size   int64 // of the spool's plaintext
	sets   []*span
}

// span is where a dataset lies in the spool, and what the table of it needs to know.
type span struct {
	dataset    string
	start, end int64
	count      int64
	columns    *columnSet
}

func newIntake(d *draft, s export.SystemID) (*intake, error) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("packaging: spool: %w", err)
	}
	file, err := os.CreateTemp(d.folder.dir, ".spool-*")
	if err != nil {
		return nil, fmt.Errorf("packaging: spool: %w", err)
	}
	// Without a name it is gone with the process, however that ends.
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("packaging: spool: %w", err), file.Close())
	}
	i := &intake{draft: d, system: s, file: file, key: key, buffer: bufio.NewWriterSize(file, bufferSize)}
	if i.sealed, err = age.Encrypt(i.buffer, key.Recipient()); err != nil {
		return nil, errors.Join(fmt.Errorf("packaging: spool: %w", err), file.Close())
	}
	return i, nil
}

// Record spools one record: its length and its bytes.
func (i *intake) Record(dataset string, object []byte) error {
	if err := i.draft.ctx.Err(); err != nil {
		return err
	}
	if len(object) > maxRecord {
		return errors.New("packaging: a record is too large")
	}
	if n := len(i.sets); n == 0 || i.sets[n-1].dataset != dataset {
		i.sets = append(i.sets, &span{dataset: dataset, start: i.size, columns: newColumnSet(maxColumns)})
	}
	at := i.sets[len(i.sets)-1]
	if err := at.columns.learn(object); err != nil {
		return err
	}
	var length [4]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(object)))
	for _, part := range [][]byte{length[:], object} {
		if _, err := i.sealed.Write(part); err != nil {
			return fmt.Errorf("packaging: spool: %w", err)
		}
	}
	i.size += int64(len(length) + len(object))
	at.end, at.count = i.size, at.count+1
	return nil
}

// Keep writes the spooled datasets into the package; see export.Intake.
func (i *intake) Keep(columns map[string][]string) error {
	if err := errors.Join(i.sealed.Close(), i.buffer.Flush()); err != nil {
		return fmt.Errorf("packaging: spool: %w", err)
	}
	info, err := i.file.Stat()
	if err != nil {
		return fmt.Errorf("packaging: spool: %w", err)
	}
	spool, _, err := age.DecryptReaderAt(i.file, info.Size(), i.key)
	if err != nil {
		return fmt.Errorf("packaging: spool: %w", err)
	}
	for _, s := range i.sets {
		if err := i.write(spool, s, columns[s.dataset]); err != nil {
			return err
		}
	}
	return nil
}

// write makes the two files of a dataset, each in a pass over the spool.
func (i *intake) write(spool io.ReaderAt, s *span, columns []string) error {
	path := i.draft.names.data(i.system, s.dataset)
	f := export.File{System: i.system, Dataset: s.dataset}
	f.Path, f.MediaType = path+".json", "application/json"
	err := i.draft.entry(f, func(w io.Writer) (int64, error) { return s.count, writeJSON(w, s.records(spool)) })
	if err != nil {
		return err
	}
	f.Path, f.MediaType = path+".csv", "text/csv"
	return i.draft.entry(f, func(w io.Writer) (int64, error) {
		return s.count, writeCSV(w, s.columns.order(columns), s.records(spool))
	})
}

// each gives the records of a dataset to fn, one after the other. The bytes are valid until fn returns.
type each func(fn func(object []byte) error) error

// records reads the dataset's records from the spool.
func (s *span) records(spool io.ReaderAt) each {
	return func(fn func([]byte) error) error {
		in := bufio.NewReaderSize(io.NewSectionReader(spool, s.start, s.end-s.start), 64<<10)
		var length [4]byte
		var object []byte
		for range s.count {
			if _, err := io.ReadFull(in, length[:]); err != nil {
				return fmt.Errorf("packaging: spool: %w", err)
			}
			n := int(binary.BigEndian.Uint32(length[:]))
			if cap(object) < n {
				object = make([]byte, n)
			}
			object = object[:n]
			if _, err := io.ReadFull(in, object); err != nil {
				return fmt.Errorf("packaging: spool: %w", err)
			}
			if err := fn(object); err != nil {
				return err
			}
		}
		return nil
	}
}

// Drop frees the spool; see export.Intake.
func (i *intake) Drop() { _ = i.file.Close() }
