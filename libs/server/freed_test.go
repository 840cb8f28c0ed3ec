//go:build linux

package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/privacyops/privacyops/libs/server"
)

const freedVariable = "PRIVACYOPS_TEST_FREED"

// secretAt is the byte at a place of what TestOverwriteFreed looks for. It stands nowhere but where a child has written it.
func secretAt(place int) byte { return byte(place*place*7 + place*31 + 201) }

// leaveSecrets leaves garbage of many sizes with the secret in it, between objects that stay, and tells its process id and settings.
func leaveSecrets() {
	var stay [][]byte
	for size := 64; size <= 128<<10; size += size / 4 {
		for n := range 64 {
			object := make([]byte, size)
			if n%2 == 0 {
				stay = append(stay, object)
				continue
			}
			for i := range object {
				object[i] = secretAt(i % 64)
			}
		}
	}
	debug.FreeOSMemory()
	fmt.Println("ready", os.Getpid(), os.Getenv("GODEBUG"), len(os.Args))
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test has looked
	runtime.KeepAlive(stay)
}

// TestOverwriteFreed looks for garbage in the memory of children of the test. One that the runtime does not overwrite it for shows that it is there
// otherwise. A child that starts again is the same process, and keeps its arguments and other settings.
func TestOverwriteFreed(t *testing.T) { //nolint:tparallel // a child does not get that far
	if mode := os.Getenv(freedVariable); mode != "" {
		if mode == "overwrite" {
			if err := server.OverwriteFreed(); err != nil {
				t.Fatal(err)
			}
		}
		leaveSecrets()
		return
	}
	t.Parallel()
	for name, tc := range map[string]struct {
		mode, debug, after string
		left               bool
	}{
		"as it is":     {"leave", "gctrace=0", "gctrace=0", true},
		"overwritten":  {"overwrite", "", "clobberfree=1", false},
		"besides":      {"overwrite", "gctrace=0", "gctrace=0,clobberfree=1", false},
		"already":      {"overwrite", "clobberfree=1,gctrace=0", "clobberfree=1,gctrace=0", false},
		"not wanted":   {"overwrite", "gctrace=0,clobberfree=0", "gctrace=0,clobberfree=0", true},
		"another name": {"overwrite", "clobberfreely=1", "clobberfreely=1,clobberfree=1", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestOverwriteFreed$", "-test.count=1")
			cmd.Env = append(os.Environ(), freedVariable+"="+tc.mode, "GODEBUG="+tc.debug)
			cmd.Stderr, cmd.SysProcAttr = os.Stderr, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			said, _ := bufio.NewReader(out).ReadString('\n')
			if want := fmt.Sprintln("ready", cmd.Process.Pid, tc.after, 3); said != want {
				t.Errorf("the child says %q, not %q", said, want)
			}
			places := secretsIn(t, cmd.Process.Pid)
			if (places > 0) != tc.left {
				t.Errorf("the secret is in %d places", places)
			}
			_ = in.Close()
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// secretsIn counts the secret in what a process can write to.
func secretsIn(t *testing.T, pid int) (places int) {
	t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	regions, err := os.ReadFile(filepath.Join(proc, "maps"))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(filepath.Join(proc, "mem"))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	secret := make([]byte, 64)
	for i := range secret {
		secret[i] = secretAt(i)
	}
	for line := range strings.Lines(string(regions)) {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil || !strings.HasPrefix(rights, "rw") {
			continue
		}
		var region bytes.Buffer
		_, _ = io.Copy(&region, io.NewSectionReader(mem, from, to-from)) // special regions cannot be read
		places += bytes.Count(region.Bytes(), secret)
	}
	return places
}
