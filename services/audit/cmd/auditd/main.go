// Command auditd serves the audit service of privacyops. `auditd --help` lists its settings.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/services/audit"
)

func main() {
	var c audit.Command
	kong.Parse(&c, kong.Name("auditd"), kong.Description("The audit service of privacyops."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := server.NoDumps()
	if err == nil {
		err = c.Run(ctx)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "auditd:", err)
		os.Exit(1)
	}
}
