package shards_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/shards"
	"github.com/privacyops/privacyops/services/audit/internal/storagetest"
)

const victimVariable = "PRIVACYOPS_TEST_SHARDS_VICTIM" // folder|first event|step to die at|how often the step passes before

// runVictim records, half a year after the other, and drops what is older than a year. It tells of each event that was accepted.
func runVictim() {
	parts := strings.Split(os.Getenv(victimVariable), "|")
	first, _ := strconv.Atoi(parts[1])
	passes, _ := strconv.Atoi(parts[3])
	clock := &wallClock{now: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC).AddDate(0, first, 0)}
	d, err := openDesk(parts[0], clock, func(step string) {
		if step == parts[2] {
			if passes--; passes < 0 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
	})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(3)
	}
	d.retention.Years = 1
	for n := first; n < first+60; n++ {
		clock.set(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC).AddDate(0, n, 0))
		fmt.Println("try", n)
		if _, err := d.recorder.Accept(context.Background(), []audit.Event{event(n, controllers[n%3], clock.Now())}); err != nil {
			fmt.Println("error", err)
			os.Exit(3)
		}
		fmt.Println("accepted", n)
		if n%6 == 0 {
			if _, err := d.retention.Run(context.Background()); err != nil {
				fmt.Println("error", err)
				os.Exit(3)
			}
		}
	}
}

// history is what victims have told of.
type history struct {
	tried    int          // the last event that was on its way
	accepted map[int]bool // those that count
}

// victim runs until it dies.
func victim(t *testing.T, h *history, dir, step string, passes int, after time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%d|%s|%d", victimVariable, dir, h.tried+1, step, passes))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if after > 0 {
		timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		n, _ := strconv.Atoi(rest)
		switch word {
		case "try":
			h.tried = n
		case "accepted":
			h.accepted[n] = true
		case "error":
			t.Fatalf("the victim: %s", rest)
		}
	}
	err = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() && after == 0 {
		t.Fatalf("the victim was not killed at %q: %v", step, err)
	}
}

// requireComplete opens what a kill has left: every event that was accepted is there, once, unless its year was dropped; and the
// one that was on its way is there once or not at all.
func requireComplete(t *testing.T, h *history, dir string) {
	t.Helper()
	clock := &wallClock{now: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC).AddDate(0, max(h.tried, 0), 0)}
	d, err := openDesk(dir, clock, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := d.retention.Run(context.Background()); err != nil { // without a period: finishes what was begun
		t.Fatal(err)
	}
	d.requireSound(t)
	parts, err := d.log.Shards(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	drops, dropped, numbers := map[string]int{}, uint64(0), map[audit.ControllerID]uint64{}
	var oldest time.Time
	for _, s := range parts {
		if s.Tombstone != nil {
			dropped, numbers, oldest = s.End(), s.Tombstone.Numbers, s.Tombstone.End
			requireOnlyTombstone(t, dir, s.Year)
		}
	}
	found := map[audit.EventID]int{}
	for _, row := range d.rows(t) {
		if row.Index < dropped {
			t.Errorf("a row of a dropped entry: %d", row.Index)
		}
		e, err := audit.ParseLeaf(row.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		if numbers[e.Controller]++; e.ControllerSequence != numbers[e.Controller] {
			t.Errorf("%q: number %d where %d was due", e.Controller, e.ControllerSequence, numbers[e.Controller])
		}
		found[e.ID]++
		if e.Action == audit.DropAction {
			drops[e.Detail["origin"]]++
		}
	}
	for o, n := range drops {
		if n != 1 {
			t.Errorf("the drop of %s is recorded %d times", o, n)
		}
	}
	for _, s := range parts {
		if s.Tombstone != nil && s.Tombstone.Position >= dropped && drops[s.Origin] != 1 {
			t.Errorf("the drop of %s is recorded %d times", s.Origin, drops[s.Origin])
		}
		if s.Tombstone == nil && drops[s.Origin] != 0 {
			t.Errorf("the drop of %s is recorded, but it is there", s.Origin)
		}
	}
	for n := 0; n <= h.tried; n++ {
		at := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC).AddDate(0, n, 0)
		count := found[event(n, "", at).ID]
		gone := !at.After(oldest)
		switch {
		case gone && count != 0, !gone && h.accepted[n] && count != 1, count > 1:
			t.Errorf("event %d of %s is there %d times", n, at.Format(time.DateOnly), count)
		}
	}
}

// requireOnlyTombstone looks at what is left of a shard.
func requireOnlyTombstone(t *testing.T, dir string, year int) {
	t.Helper()
	folder, allowed := filepath.Join(dir, "log"), []string{"tombstone", "shards", "log.lock"}
	if year > 0 {
		folder, allowed = filepath.Join(folder, "shards", strconv.Itoa(year)), allowed[:1]
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(allowed, e.Name()) {
			t.Errorf("of the dropped shard %d there is still %s", year, e.Name())
		}
	}
}

// TestKilledAtEachStep ends the process at each step of a turn and of a drop, several times in one log.
func TestKilledAtEachStep(t *testing.T) {
	t.Parallel()
	for _, step := range []string{shards.StepSealed, shards.StepBegun, shards.StepOpened, audit.StepRecorded, shards.StepMarked, shards.StepBuried, audit.StepRemoved} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			dir, h := storagetest.Folder(t), &history{tried: -1, accepted: map[int]bool{}}
			for round := range 3 {
				victim(t, h, dir, step, round%2, 0)
				requireComplete(t, h, dir)
			}
		})
	}
}

// TestKilledAnywhere ends the process at any moment, as often as PRIVACYOPS_TEST_KILLS says:
//
//	PRIVACYOPS_TEST_KILLS=500 go test -timeout 30m -run KilledAnywhere -v ./services/audit/internal/shards
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	dir, h := storagetest.Folder(t), &history{tried: -1, accepted: map[int]bool{}}
	kills, _ := strconv.Atoi(os.Getenv("PRIVACYOPS_TEST_KILLS"))
	if kills == 0 {
		kills = 6
	}
	seed := rand.Uint64()
	dice := rand.New(rand.NewPCG(seed, 0))
	for range kills {
		victim(t, h, dir, "", 0, time.Duration(100+dice.IntN(1500))*time.Millisecond)
		requireComplete(t, h, dir)
	}
	t.Logf("seed %d: %d kills, %d events", seed, kills, len(h.accepted))
}
