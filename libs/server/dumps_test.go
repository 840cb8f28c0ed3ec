//go:build linux

package server_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/privacyops/privacyops/libs/server"
)

const dumpVariable = "PRIVACYOPS_TEST_DUMP"

// TestNoDumps asks the system about two children of the test, one of which has turned core dumps off: the other one shows that they are
// on otherwise.
func TestNoDumps(t *testing.T) {
	if mode := os.Getenv(dumpVariable); mode != "" {
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
		if mode == "off" {
			if err := server.NoDumps(); err != nil {
				t.Fatal(err)
			}
		}
		dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		var core unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
			t.Fatal(err)
		}
		if off := dumpable == 0 && core.Cur == 0 && core.Max == 0; off != (mode == "off") {
			t.Fatalf("%s: dumpable %d, limit %d", mode, dumpable, core.Max)
		}
		return
	}
	t.Parallel()
	for _, mode := range []string{"on", "off"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestNoDumps$")
		cmd.Env = append(os.Environ(), dumpVariable+"="+mode)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", mode, err, strings.TrimSpace(string(out)))
		}
	}
}
