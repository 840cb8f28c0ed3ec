// Command erasured serves the erasure service of privacyops. `erasured --help` lists its settings.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/services/erasure"
)

func main() {
	redis.Silence()
	var c erasure.Command
	kong.Parse(&c, kong.Name("erasured"), kong.Description("The erasure service of privacyops."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := server.NoDumps()
	if err == nil {
		err = c.Run(ctx)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "erasured:", err)
		os.Exit(1)
	}
}
