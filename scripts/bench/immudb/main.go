// Command immudb writes entries into immudb's embedded store, synced, as fast as it takes them: a peer of `make bench-audit`. It
// reads durations from standard input, one a line, writes for so long, and answers each with how many entries were durable and how
// many seconds it took.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/codenotary/immudb/embedded/logger"
	"github.com/codenotary/immudb/embedded/store"
)

func main() {
	dir := flag.String("dir", "", "folder of the store")
	writers := flag.Int("writers", 2048, "entries in flight")
	size := flag.Int("size", 600, "bytes of an entry")
	flag.Parse()
	if err := run(*dir, *writers, *size); err != nil {
		fmt.Fprintln(os.Stderr, "immudb:", err)
		os.Exit(1)
	}
}

func run(dir string, writers, size int) error {
	options := store.DefaultOptions().WithSynced(true).WithMaxConcurrency(writers).WithMaxActiveTransactions(2 * writers).
		WithLogger(logger.NewSimpleLoggerWithLevel("immudb", os.Stderr, logger.LogError))
	s, err := store.Open(dir, options)
	if err != nil {
		return err
	}
	defer s.Close()
	var next atomic.Uint64
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		d, err := time.ParseDuration(lines.Text())
		if err != nil {
			return err
		}
		began := time.Now()
		n, err := round(s, &next, writers, size, began.Add(d))
		if err != nil {
			return err
		}
		fmt.Println(n, time.Since(began).Seconds())
	}
	return lines.Err()
}

// round writes until a time and counts what was durable.
func round(s *store.ImmuStore, next *atomic.Uint64, writers, size int, end time.Time) (int64, error) {
	var done atomic.Int64
	failed := make(chan error, writers)
	var group sync.WaitGroup
	for range writers {
		group.Add(1)
		go func() {
			defer group.Done()
			value := make([]byte, size)
			_, _ = rand.Read(value) // it never fails
			for time.Now().Before(end) {
				if err := write(s, next.Add(1), value); err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		}()
	}
	group.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
		return done.Load(), nil
	}
}

// write commits one entry and returns when it is durable, without waiting for immudb's index.
func write(s *store.ImmuStore, number uint64, value []byte) error {
	ctx := context.Background()
	tx, err := s.NewWriteOnlyTx(ctx)
	if err != nil {
		return err
	}
	if err := tx.Set(binary.BigEndian.AppendUint64(nil, number), nil, value); err != nil {
		return err
	}
	_, err = tx.AsyncCommit(ctx)
	return err
}
