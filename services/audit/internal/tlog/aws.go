package tlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/aws"
)

// sharedStorage keeps a log in a database and a bucket, by Tessera's storage for Amazon's. Places are durable when the database has
// them; the tree follows within a second or two.
type sharedStorage struct {
	*objects
	*writer
	config *mysql.Config
	dials  *dials
	theirs tessera.LogReader // Tessera's own reader, which uses its connections
}

func newShared(s Shared) (*sharedStorage, error) {
	o, err := newObjects(s)
	if err != nil {
		return nil, err
	}
	config, err := s.database()
	if err != nil {
		return nil, err
	}
	if s.Lease <= 0 {
		s.Lease = defaultLease
	}
	w, err := newWriter(config, s.Lease)
	if err != nil {
		return nil, err
	}
	return &sharedStorage{objects: o, writer: w, config: config}, nil
}

// claim makes the database where it is not there and the user may, and becomes its writer.
func (s *sharedStorage) claim(ctx context.Context) error {
	err := s.db.PingContext(ctx)
	if isError(err, noSuchDatabase) {
		err = s.createDatabase(ctx)
	}
	if err != nil {
		return fmt.Errorf("tlog: connecting to the log's database: %w", err)
	}
	return s.writer.claim(ctx)
}

func (s *sharedStorage) createDatabase(ctx context.Context) error {
	nowhere := s.config.Clone()
	nowhere.DBName = ""
	w, err := newWriter(nowhere, s.lease)
	if err != nil {
		return err
	}
	_, err = w.db.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS `"+s.config.DBName+"`")
	return errors.Join(err, w.db.Close())
}

// precheck implements storage: Tessera would publish the state of an older or empty database over a newer checkpoint, and add to tiles
// that are not those of the tree.
func (s *sharedStorage) precheck(ctx context.Context, key Key) error {
	size, root, fresh, err := s.state(ctx)
	if err != nil {
		return err
	}
	raw, err := s.ReadCheckpoint(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return unpublished(size)
	}
	if err != nil {
		return err
	}
	head, err := parseHead(raw, key)
	if err != nil {
		return err
	}
	if fresh {
		return fmt.Errorf("%w: there is a checkpoint but no state of the tree", ErrTampered)
	}
	if err := covers(ctx, s.objects, head, size); err != nil {
		return err
	}
	if got, err := rootAt(ctx, s.objects, size); err != nil || !bytes.Equal(got, root) {
		return fmt.Errorf("%w: the tiles do not give the root that the database has for size %d", errors.Join(ErrTampered, err), size)
	}
	return nil
}

// exists reports whether there is a checkpoint, or a database that knows of leaves.
func (s Shared) exists(ctx context.Context) (bool, error) {
	st, err := newShared(s)
	if err != nil {
		return false, err
	}
	defer func() { _ = st.release() }() // nothing was written
	switch _, err := st.ReadCheckpoint(ctx); {
	case err == nil:
		return true, nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	size, _, _, err := st.state(ctx)
	if isError(err, noSuchDatabase) {
		return false, nil
	}
	return size > 0, err
}

// free implements Free.
func (s Shared) free(ctx context.Context, key Key) error {
	st, err := newShared(s)
	if err != nil {
		return err
	}
	defer func() { _ = st.release() }() // nothing was written
	raw, err := st.ReadCheckpoint(ctx)
	if err == nil {
		_, err = parseHead(raw, key)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return st.free(ctx)
}

// What Tessera's storage for Amazon's is given.
const (
	leastCheckpointInterval = time.Second // it takes no less
	// mostPending is how many leaves may have a place and not be in the tree. They are integrated together, in memory.
	mostPending = 16 << 10
	// integrateTimeout is how long the end of the log is waited for: it tries every second.
	integrateTimeout = 30 * time.Second
	firstCheckpoint  = 15 * time.Second
	mostIdle         = 4 // connections that Tessera keeps
	poll             = 20 * time.Millisecond
)

func (s *sharedStorage) tune(o Options) Options {
	o.CheckpointInterval = max(o.CheckpointInterval, leastCheckpointInterval)
	if o.collect <= 0 {
		o.collect = sharedCollectInterval
	}
	return o
}

func (s *sharedStorage) open(ctx, life context.Context, o *tessera.AppendOptions) (*opened, error) {
	s.dials = newDials(s.config, s.term, s.lease)
	driver, err := aws.New(ctx, aws.Config{SDKConfig: &s.objects.config, S3Options: s.options, Bucket: s.where.name,
		DSN: s.dials.dsn, MaxOpenConns: 2 * mostIdle, MaxIdleConns: mostIdle, HTTPClient: s.http})
	if err != nil {
		return nil, fmt.Errorf("tlog: opening the storage: %w", err)
	}
	appender, shutdown, theirs, err := tessera.NewAppender(life, driver, o.WithPushback(mostPending))
	if err != nil {
		return nil, fmt.Errorf("tlog: opening the log: %w", err)
	}
	s.theirs = theirs
	if err := s.fence(ctx); err != nil {
		return nil, err
	}
	return &opened{appender, shutdown, s}, s.published(ctx)
}

// sharedCollectInterval is longer than for a folder: a bucket has more room, and each round asks it for lists.
const sharedCollectInterval = 10 * time.Second

// published waits for the first checkpoint. Before it nothing is added, so that leaves without one are always a fault.
func (s *sharedStorage) published(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, firstCheckpoint)
	defer cancel()
	for {
		_, err := s.ReadCheckpoint(ctx)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("tlog: the log's first checkpoint could not be published")
		case <-time.After(poll):
		}
	}
}

// IntegratedSize implements reader.
func (s *sharedStorage) IntegratedSize(ctx context.Context) (uint64, error) {
	size, _, _, err := s.state(ctx)
	return size, err
}

// End implements reader.
func (s *sharedStorage) End(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, integrateTimeout)
	defer cancel()
	end, err := s.next(ctx)
	if err != nil {
		return 0, err
	}
	for {
		size, err := s.IntegratedSize(ctx)
		if err != nil || size >= end {
			return end, err
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("tlog: the tree has %d leaves of %d: %w", size, end, ctx.Err())
		case <-time.After(poll):
		}
	}
}

func (s *sharedStorage) lost() <-chan struct{} { return s.gone }

func (s *sharedStorage) recall(ctx context.Context, name string) ([]byte, error) {
	return s.get(ctx, name)
}

func (s *sharedStorage) keep(ctx context.Context, name string, content []byte) error {
	return s.put(ctx, name, content)
}

func (s *sharedStorage) release() error {
	if s.dials != nil {
		s.dials.close()
	}
	for range mostIdle {
		if s.theirs != nil { // each time Tessera notices that another connection has ended, and gives up what it kept for it
			_, _ = s.theirs.IntegratedSize(context.Background())
		}
	}
	err := s.writer.release()
	s.http.CloseIdleConnections()
	return err
}

// Remove deletes a log that nobody writes: its objects, then what the database has of it.
func Remove(ctx context.Context, s Shared) error {
	st, err := newShared(s)
	if err != nil {
		return err
	}
	if err := st.claim(ctx); err != nil {
		return errors.Join(err, st.release())
	}
	err = st.empty(ctx)
	st.stop()
	st.done.Wait()
	if err == nil {
		_, err = st.db.ExecContext(ctx, "DROP TABLE IF EXISTS Seq, SeqCoord, IntCoord, PubCoord, GCCoord, Tessera, PrivacyopsWriter")
	}
	if err == nil {
		st.term = 0 // its row is gone
	}
	return errors.Join(err, st.release())
}
