package audit_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/transparency-dev/tessera/api/layout"
)

// The points that kills are aimed at, in the order in which an event passes them. A process is told over its standard input at which
// one it is to die, and kills itself there: nothing that it would have done afterwards is done.
const (
	// atAnyMoment: the other end of the process kills it, wherever it is.
	atAnyMoment = "at any moment"
	// The reporting service's.
	beforeCommit = "before the commit" // change and event are written, and not committed
	committed    = "committed"         // nobody knows of it yet
	relaying     = "relaying"          // a report is about to be sent
	answered     = "answered"          // the answer has come, the outbox still has the events
	// The audit service's.
	received     = "received"   // a report has come
	sequencing   = "sequencing" // the log's storage works on the tree
	sequenced    = "sequenced"  // the tree has the events, no checkpoint covers them
	publishing   = "publishing" // the storage works on a checkpoint
	checkpointed = "published"  // there is a new checkpoint
)

var (
	reporterAims = []string{beforeCommit, committed, relaying, answered}
	auditAims    = []string{received, sequencing, sequenced, publishing, checkpointed}
)

// armed is the point at which this process is to die.
var armed atomic.Value

// takeAim reads points from the standard input.
func takeAim() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		armed.Store(lines.Text())
	}
}

// reached kills this process if it was aimed at here.
func reached(point string) {
	if armed.Load() == point {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// reachedSoon is reached somewhere in what takes a few milliseconds.
func reachedSoon(point string) {
	if armed.Load() == point {
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
		reached(point)
	}
}

// watchStorage tells from the storage's files what it does. Its work on the tree and on a checkpoint begins with opening a lock, and
// ends with a file that takes another's place.
func watchStorage(dir string) error {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("inotify: %w", err)
	}
	for _, d := range []string{dir, filepath.Join(dir, ".state")} {
		if _, err := syscall.InotifyAddWatch(fd, d, syscall.IN_OPEN|syscall.IN_MOVED_TO); err != nil {
			return fmt.Errorf("inotify: %w", err)
		}
	}
	go func() {
		for buf := make([]byte, 64<<10); ; {
			n, err := syscall.Read(fd, buf)
			if err != nil && !errors.Is(err, syscall.EINTR) {
				return
			}
			for b := buf[:max(n, 0)]; len(b) >= syscall.SizeofInotifyEvent; {
				mask, size := binary.NativeEndian.Uint32(b[4:]), int(binary.NativeEndian.Uint32(b[12:]))
				name := string(bytes.TrimRight(b[syscall.SizeofInotifyEvent:][:size], "\x00"))
				seen(name, mask&syscall.IN_OPEN != 0)
				b = b[syscall.SizeofInotifyEvent+size:]
			}
		}
	}()
	return nil
}

func seen(name string, opened bool) {
	switch {
	case opened && name == "treeState.lock":
		reachedSoon(sequencing)
	case opened && name == "publish.lock":
		reachedSoon(publishing)
	case !opened && name == "treeState":
		reached(sequenced)
	case !opened && name == "checkpoint":
		reached(checkpointed)
	}
}

// gaps count in what state the kills have left things, whatever they were aimed at.
type gaps struct {
	// committed: events wait in the outbox. torn: leaves were written that the tree does not have. unpublished: the tree has events
	// that no checkpoint covers. unindexed: it has some that the index lacks.
	committed, torn, unpublished, unindexed int
}

func (g gaps) String() string {
	return fmt.Sprintf("events in the outbox %d, leaves outside the tree %d, tree ahead of the checkpoint %d, log ahead of the index %d",
		g.committed, g.torn, g.unpublished, g.unindexed)
}

// look looks at the log of an audit service that was killed.
func (g *gaps) look(t *testing.T, dir string) {
	t.Helper()
	size, err := integratedSize(filepath.Join(dir, "log"))
	if errors.Is(err, fs.ErrNotExist) {
		return // nothing was ever recorded
	}
	if err != nil {
		t.Fatal(err)
	}
	if covered(filepath.Join(dir, "log")) < size {
		g.unpublished++
	}
	if tornLeaves(t, filepath.Join(dir, "log"), size) {
		g.torn++
	}
	if countRows(t, filepath.Join(dir, "audit.db"), "entry") < size {
		g.unindexed++
	}
}

// covered is how many entries the checkpoint covers.
func covered(log string) (size uint64) {
	raw, err := os.ReadFile(filepath.Join(log, layout.CheckpointPath))
	if lines := strings.Split(string(raw), "\n"); err == nil && len(lines) > 1 {
		size, _ = strconv.ParseUint(lines[1], 10, 64)
	}
	return size
}

// tornLeaves reports whether the last thing that was written are leaves behind the tree's end.
func tornLeaves(t *testing.T, log string, size uint64) bool {
	t.Helper()
	state, err := os.Stat(filepath.Join(log, ".state", "treeState"))
	if err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(log, layout.EntriesPath(size/layout.EntryBundleWidth, 0))
	files, _ := filepath.Glob(full + ".p/*")
	for _, path := range append(files, full) {
		if file, err := os.Stat(path); err == nil && file.ModTime().After(state.ModTime()) {
			return true
		}
	}
	return false
}
