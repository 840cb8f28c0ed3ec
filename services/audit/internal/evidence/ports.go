package evidence

import (
	"context"
	"io"
	"time"
)

// Cursor is a place among a controller's entries, which are in the order of their time of receipt and of their number: 1, 2, 3, …
type Cursor struct {
	Received time.Time
	Number   uint64
}

// Span is where a controller's entries of a period lie.
type Span struct {
	// Before is the last entry before the period; its number is 0 where there is none.
	Before Cursor
	// After is the number of the first entry received at the period's end or later, 0 where there is none yet, and AfterIndex its index
	// in the log.
	After, AfterIndex uint64
	// Events of the period: an entry may stand for many.
	Events int64
}

// Entry is an entry of the log.
type Entry struct {
	Cursor
	Index uint64
	Leaf  []byte
}

// Entries reads a controller's entries.
type Entries interface {
	// Span finds the entries of a period by their time of receipt.
	Span(ctx context.Context, c ControllerID, start, end time.Time) (Span, error)
	// Following returns the entries behind a place, in order, at most limit.
	Following(ctx context.Context, c ControllerID, after Cursor, limit int) ([]Entry, error)
}

// Head is a signed checkpoint of a shard.
type Head struct {
	Size       uint64
	Root       []byte
	Checkpoint []byte
}

// Shard is a part of the log: a tree of its own.
type Shard struct {
	Head
	// Year tells it from the others; 0 is the first one.
	Year   int
	Origin string
	// First is the place of its first entry in the whole log.
	First uint64
	// Dropped are the last numbers of controllers in a shard that was dropped; nil where it is there.
	Dropped map[ControllerID]uint64
}

// End is the place behind the last entry that its checkpoint covers.
func (s Shard) End() uint64 { return s.First + s.Size }

// Log is the public part of the log.
type Log interface {
	// Shards returns all shards in order, each with the last checkpoint that enough witnesses have cosigned, where that covers the place of
	// an entry, else with the latest one. So it is the latest one of every shard that the entry comes after.
	Shards(ctx context.Context, place uint64) ([]Shard, error)
	// Policy says who the witnesses are and how many of them are enough (dossier.ParsePolicy), for every shard; nil where there are none.
	Policy() []byte
	// Tile returns the first `width` hashes of a tile of the shard of a year, 0 for all 256.
	Tile(ctx context.Context, year int, level, index uint64, width uint8) ([]byte, error)
	// Public is the log's key, in the text form of signed notes. Those of its shards follow from it (package logkey).
	Public() string
}

// Keys gives the keys of single entries.
type Keys interface {
	// EntryKey gives the key that opens what is sealed in an entry, and in no other. It is nil where nothing is sealed, and where a
	// key that it is made of is destroyed.
	EntryKey(ctx context.Context, c ControllerID, leaf []byte) ([]byte, error)
}

// Controller is what the register says of a controller.
type Controller struct {
	DisplayName       string
	RequiredApprovals int
	GracePeriod       time.Duration
	// JSON is all that it says.
	JSON []byte
}

// Register reads the register.
type Register interface {
	// Controller reads a controller as it is registered now, or fails with ErrNoController.
	Controller(ctx context.Context, c ControllerID) (Controller, error)
	// Versions gives the versions of activities that were valid in a period, each as one line of JSON.
	Versions(ctx context.Context, c ControllerID, start, end time.Time, each func(line []byte) error) error
}

// Certificates reads erasure certificates.
type Certificates interface {
	// Issued gives the certificates that were issued in a period, and the ids of their erasures.
	Issued(ctx context.Context, c ControllerID, start, end time.Time, each func(erasure string, file []byte) error) error
}

// Folder keeps packages.
type Folder interface {
	// Create begins a file, in place of one of that name that was left unfinished.
	Create(file FileID) (Draft, error)
	// Open opens a file with the secret that Finish gave.
	Open(file FileID, secret string) (Content, error)
	// Remove deletes a file; that there is none is no error.
	Remove(file FileID) error
}

// Draft is a file that is being written.
type Draft interface {
	io.Writer
	// Finish makes the file durable. It gives the SHA-256, lower-case hex, and the size of what was written, and a secret without which
	// nobody can read it.
	Finish() (sha256 string, size int64, secret string, err error)
	// Abort deletes what was written; after Finish it does nothing.
	Abort()
}

// Content is an open file.
type Content interface {
	io.ReaderAt
	io.Closer
	// Size in bytes.
	Size() int64
}

// Store keeps evidence.
type Store interface {
	// Get reads one, or fails with ErrMissing.
	Get(ctx context.Context, ref Ref) (*Evidence, error)
	// Begin notes that gathering goes on, how many events there are, and the file it goes to. It fails with ErrEnded where the evidence
	// is neither PENDING nor GATHERING.
	Begin(ctx context.Context, ref Ref, total int64, file FileID) error
	// Progress notes how many events are gathered.
	Progress(ctx context.Context, ref Ref, events int64) error
	// Finish notes the package, or with p == nil the reason why there is none, and records it as an event, in one transaction. It fails
	// with ErrEnded where the evidence is not GATHERING any more.
	Finish(ctx context.Context, e *Evidence) error
	// Due lists evidence whose package's time has come, or which has what only keys could open that were destroyed since it was asked
	// for: then with the reason KEYS_DESTROYED.
	Due(ctx context.Context, now time.Time, limit int) ([]*Evidence, error)
	// Expire forgets a package's key, notes that it is gone and, where there is one, the reason, and records it as an event.
	Expire(ctx context.Context, e *Evidence) error
	// Refers reports whether some evidence has the file.
	Refers(ctx context.Context, file FileID) (bool, error)
}
