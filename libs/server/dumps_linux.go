package server

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// NoDumps keeps what is in this process's memory, through which personal data goes, out of core dumps, and from other processes of the
// same user. Only root can read it still. The programs call it first; whoever needs a dump takes it as root.
func NoDumps() error {
	err := errors.Join(unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}), unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
	if err != nil {
		return fmt.Errorf("server: core dumps cannot be turned off: %w", err)
	}
	return nil
}
