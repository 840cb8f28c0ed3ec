// Command participantd serves the participant service of privacyops. `participantd --help` lists its settings.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/services/participant"
)

func main() {
	var c participant.Command
	kong.Parse(&c, kong.Name("participantd"), kong.Description("The participant service of privacyops."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := server.NoDumps()
	if err == nil {
		err = c.Run(ctx)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "participantd:", err)
		os.Exit(1)
	}
}
