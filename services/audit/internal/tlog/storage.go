package tlog

import (
	"context"
	"errors"

	"github.com/transparency-dev/tessera"
)

// ErrLost reports that another process has become the log's writer, or that this one cannot show any more that it is. It adds nothing
// any more, and ends.
var ErrLost = errors.New("tlog: another process writes this log now")

// storage is where a log is kept. One is in use at a time for a log; everything above it is the same for all.
type storage interface {
	// claim makes this process the log's one writer, until release. It fails with ErrInUse while another one is.
	claim(ctx context.Context) error
	// precheck looks at what is there before Tessera does, which would go on from any state, or begin anew over an old checkpoint.
	precheck(ctx context.Context, key Key) error
	// tune adapts the options of an appender: what Tessera allows differs.
	tune(o Options) Options
	// open has Tessera open the log. Its work lasts as long as life.
	open(ctx, life context.Context, o *tessera.AppendOptions) (*opened, error)
	// lost is closed when this process is the writer no more. It is nil where that cannot be.
	lost() <-chan struct{}
	// recall reads a small document that is kept beside the log (fs.ErrNotExist: there is none), and keep replaces it: it is durable
	// when keep returns.
	recall(ctx context.Context, name string) ([]byte, error)
	keep(ctx context.Context, name string, content []byte) error
	// release gives the log back. It is called also after a claim that failed.
	release() error
}

// opened is a log that Tessera has opened.
type opened struct {
	appender *tessera.Appender
	shutdown func(context.Context) error
	reader   reader
}

// reader reads what is in a log.
type reader interface {
	// ReadCheckpoint, ReadTile and ReadEntryBundle fail with fs.ErrNotExist for what is not there. A partial tile or bundle that a full
	// one has replaced is answered by that.
	ReadCheckpoint(ctx context.Context) ([]byte, error)
	ReadTile(ctx context.Context, level, index uint64, p uint8) ([]byte, error)
	ReadEntryBundle(ctx context.Context, index uint64, p uint8) ([]byte, error)
	// IntegratedSize is how many leaves can be read.
	IntegratedSize(ctx context.Context) (uint64, error)
	// End is how many leaves the log has: those that were added, by whomever, before it was called. It waits until they can be read.
	End(ctx context.Context) (uint64, error)
}

// storage is the one that the options choose.
func (o Options) storage() (storage, error) {
	if o.Shared == nil {
		return &posixStorage{dir: o.Dir}, nil
	}
	return newShared(*o.Shared)
}

// Exists reports whether there is a log, which then has a key.
func Exists(ctx context.Context, o Options) (bool, error) {
	if o.Shared == nil {
		return (&posixStorage{dir: o.Dir}).exists()
	}
	return o.Shared.exists(ctx)
}

// Free looks whether the log could be opened now, without opening it: it fails with ErrInUse while another process has it, and with
// ErrTampered when the key is not the log's. In a folder only Open can tell.
func Free(ctx context.Context, o Options) error {
	if o.Shared == nil {
		return nil
	}
	return o.Shared.free(ctx, o.Key)
}
