// Command gatewayd serves the REST gateway of privacyops. `gatewayd --help` lists its settings.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/privacyops/privacyops/gateway"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/server"
)

func main() {
	redis.Silence()
	var c gateway.Command
	kong.Parse(&c, kong.Name("gatewayd"), kong.Description("The REST gateway of privacyops."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := server.NoDumps()
	if err == nil {
		err = c.Run(ctx)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gatewayd:", err)
		os.Exit(1)
	}
}
