package redistest

import (
	"os/exec"
	"syscall"
)

// endWithParent ends the server also where the test process is killed and cannot.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
