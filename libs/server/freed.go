package server

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// overwritesFreed is the runtime's setting, and debugVariable the variable in which it reads its settings.
const (
	overwritesFreed = "clobberfree"
	debugVariable   = "GODEBUG"
)

// OverwriteFreed makes the runtime overwrite whatever it frees, for a program that reads secrets through a library whose buffers it
// cannot overwrite itself, as the client of PostgreSQL is one. What such a library has left is then gone with the next collection of garbage, wherever it was:
// otherwise it stays where it is until the place is used again, and parts of it in the unused parts of stacks and of pages for as long as those are in use.
//
// The runtime takes that setting (GODEBUG=clobberfree=1) only from the environment and when it starts. So the program starts again in
// its place, with the same process id, arguments and environment; call it before anything is opened. Where GODEBUG speaks of the setting already, with
// whichever value, nothing is done. It returns an error where a program cannot start again (Windows, or its file cannot be executed any more).
func OverwriteFreed() error {
	settings := os.Getenv(debugVariable) //nolint:forbidigo // the runtime reads it from nowhere else
	for one := range strings.SplitSeq(settings, ",") {
		if name, _, _ := strings.Cut(one, "="); name == overwritesFreed {
			return nil
		}
	}
	if settings != "" {
		settings += ","
	}
	settings += overwritesFreed + "=1"
	program, err := os.Executable()
	if err == nil {
		err = errors.Join(os.Setenv(debugVariable, settings), syscall.Exec(program, os.Args, os.Environ())) //nolint:gosec,forbidigo // it is this program, with what it was started with
	}
	return fmt.Errorf("server: the program cannot start again to have freed memory overwritten; start it with %s=%s in its environment: %w", debugVariable, settings, err)
}
