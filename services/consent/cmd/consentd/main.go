// Command consentd serves the consent service of privacyops. `consentd --help` lists its settings.
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
	"github.com/privacyops/privacyops/services/consent"
)

func main() {
	redis.Silence()
	var c consent.Command
	kong.Parse(&c, kong.Name("consentd"), kong.Description("The consent service of privacyops."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := server.NoDumps()
	if err == nil {
		err = c.Run(ctx)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "consentd:", err)
		os.Exit(1)
	}
}
