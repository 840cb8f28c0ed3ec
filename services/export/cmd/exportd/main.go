// Command exportd serves the export service of privacyops. `exportd --help` lists its settings.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/services/export"
)

func main() {
	var c export.Command
	kong.Parse(&c, kong.Name("exportd"), kong.Description("The export service of privacyops."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := server.NoDumps()
	if err == nil {
		err = c.Run(ctx)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "exportd:", err)
		os.Exit(1)
	}
}
