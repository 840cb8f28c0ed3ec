package logcheck

import (
	"context"
	"errors"
	"io/fs"
	"runtime"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"github.com/privacyops/privacyops/libs/logkey"
)

// Policy decides whether enough witnesses have cosigned a checkpoint; see witness.NewWitnessGroupFromPolicy of
// github.com/transparency-dev/formats.
type Policy interface {
	Satisfied(checkpoint []byte) bool
}

// Options of a verification.
type Options struct {
	// Key is the log's public key, from somewhere else than the log. Required.
	Key note.Verifier
	// Known is a checkpoint of the log that was seen earlier; nil: none.
	Known []byte
	// Policy is whose cosignatures the checkpoint must carry; nil: nobody's.
	Policy Policy
	// Continued says that the log goes on from an earlier one, so that controllers' numbers need not begin at 1.
	Continued bool
	// Workers is how many tiles are read and hashed at a time; by default as many as there are processors.
	Workers int
	// Progress, unless nil, is told now and then how many entries of how many have been read.
	Progress func(done, total uint64)
	// Cache, unless nil, spares work when the same log is verified again.
	Cache *Cache
}

// ErrNoLog reports that there is no checkpoint, and so nothing to verify.
var ErrNoLog = errors.New("logcheck: there is no log here: no checkpoint")

// Verify walks a whole log, through all its shards. What is wrong with it is in the report; an error means that it could not be told: the
// source cannot be read (also ErrNoLog), or what Options.Known holds is no checkpoint of this log (ErrKnown).
func Verify(ctx context.Context, source Source, o Options) (Report, error) {
	if divided, ok := source.(Sharded); ok {
		parts, err := divided.Parts(ctx)
		if err != nil {
			return Report{}, err
		}
		if len(parts) > 1 || len(logkey.SplitNotes(o.Known)) > 1 {
			return verifyParts(ctx, parts, o)
		}
	}
	return verify(ctx, &loader{source: source, cache: o.Cache, compare: differences}, o)
}

// verify walks one shard.
func verify(ctx context.Context, l *loader, o Options) (Report, error) {
	known, err := openKnown(o.Known, o.Key)
	if err != nil {
		return Report{}, err
	}
	c := newChecker(l, o, known)
	if err := c.check(ctx); errors.Is(err, ErrNoLog) {
		return Report{}, err
	} else if err != nil {
		return c.report, err
	}
	return c.report, nil
}

func newChecker(l *loader, o Options, known head) *checker {
	return &checker{loader: l, o: o, known: known, report: Report{Origin: o.Key.Name(), KnownSize: known.size, Entries: l.source.HasEntries()},
		numbers: &numbers{last: map[string]uint64{}, continued: o.Continued}}
}

func (c *checker) check(ctx context.Context) (err error) {
	c.report.Note, err = c.source.Checkpoint(ctx)
	switch {
	case errors.Is(err, fs.ErrNotExist) && c.o.Known == nil:
		return ErrNoLog
	case errors.Is(err, fs.ErrNotExist):
		err = nil
		c.find(Checkpoint, 0, lastOf(c.known.size), "checkpoint", "the checkpoint is missing")
	case err != nil:
		return err
	default:
		err = c.run(ctx)
	}
	c.report.sort()
	return err
}

// checker follows a log from its first entry to its last.
type checker struct {
	*loader
	o      Options
	known  head
	signed head
	report Report

	tree    frontier
	edge    *slab        // the last, partial one
	past    *tlog.Hash   // root of as many entries as were known
	upper   []difference // between tiles from level 1 on and what is below them
	numbers *numbers     // nil once entries are in doubt
	memo    memo
}

func lastOf(size uint64) uint64 {
	if size == 0 {
		return 0
	}
	return size - 1
}

func (c *checker) find(kind Kind, first, last uint64, file, problem string) {
	c.report.add(Finding{Kind: kind, First: first, Last: max(first, last), File: file, Problem: problem})
}

func (c *checker) run(ctx context.Context) (err error) {
	if c.signed, err = openCheckpoint(c.report.Note, c.o.Key); err != nil {
		c.find(Checkpoint, 0, 0, "checkpoint", err.Error())
		return nil
	}
	c.report.Size, c.report.Root = c.signed.size, c.signed.root[:]
	if c.o.Policy != nil {
		if c.report.Cosigned = c.o.Policy.Satisfied(c.report.Note); !c.report.Cosigned {
			c.find(Witnesses, 0, lastOf(c.signed.size), "checkpoint", "not enough witnesses have cosigned the checkpoint")
		}
	}
	if c.known.size > c.signed.size {
		c.find(Rollback, c.signed.size, c.known.size-1, "checkpoint", "the log had these entries before")
	}
	if err := c.walk(ctx); err != nil && !errors.Is(err, errBroken) {
		return err
	} else if err == nil {
		return c.finish(ctx)
	}
	return nil
}

// errBroken ends a walk over a log whose hashes cannot be had at all; the finding is in the report.
var errBroken = errors.New("logcheck: broken off")

// walk loads the slabs, several at a time, and takes them in order.
func (c *checker) walk(ctx context.Context) error {
	slabs := (c.signed.size + tileWidth - 1) / tileWidth
	workers := c.o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	if workers == 1 || slabs < 3 {
		for i := range slabs {
			s, err := c.load(ctx, i, c.widthOf(i))
			if err == nil {
				err = c.take(ctx, s)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return c.walkTogether(ctx, slabs, workers)
}

// job is a slab that somebody will load.
type job struct {
	index uint64
	done  chan *slab
}

func (c *checker) walkTogether(ctx context.Context, slabs uint64, workers int) error {
	group, ctx := errgroup.WithContext(ctx)
	todo, order := make(chan job), make(chan job, 2*workers)
	group.Go(func() error {
		defer close(todo)
		defer close(order)
		for i := range slabs {
			j := job{i, make(chan *slab, 1)}
			for _, to := range []chan job{order, todo} {
				select {
				case to <- j:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		return nil
	})
	for range workers {
		group.Go(func() error {
			for j := range todo {
				s, err := c.load(ctx, j.index, c.widthOf(j.index))
				if err != nil {
					return err
				}
				j.done <- s
			}
			return nil
		})
	}
	group.Go(func() error {
		for j := range order {
			select {
			case s := <-j.done:
				if err := c.take(ctx, s); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return group.Wait()
}

// widthOf is how many entries of a slab the checkpoint covers.
func (c *checker) widthOf(index uint64) int {
	return int(min(c.signed.size-index*tileWidth, tileWidth))
}
