// Command privacyops is the whole suite in one binary: the embedded installation, its demonstration, and the tools of the
// command line. Data goes to standard output, words go to standard error.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/privacyops/privacyops/gateway"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/server"
)

// cli is the command line.
type cli struct {
	Serve  serveCommand  `cmd:"" help:"Serve the suite: all services in one process, or one of them (--target)."`
	Demo   demoCommand   `cmd:"" help:"Play the main job against a fresh suite, and prove each step."`
	Token  tokenCommand  `cmd:"" help:"Make a token of an embedded installation's development issuer."`
	Verify verifyCommand `cmd:"" help:"Verify evidence without asking the suite."`
	Check  checkCommand  `cmd:"" help:"Ask whether data about a person may be processed. Exit code 0: ALLOW, 3: DENY."`

	Init        initCommand        `cmd:"" help:"Make the keys and certificates of an installation of separate processes, or renew its certificates."`
	Migrate     migrateCommand     `cmd:"" help:"Bring the databases that are named up to date."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask a process on this machine whether it is ready. Exit code 0: it is."`
	Move        moveCommand        `cmd:"" help:"Move an embedded installation to PostgreSQL."`

	Witness witnessCommand `cmd:"" help:"Watch audit logs from outside, and cosign their checkpoints as long as they only grow."`

	Version kong.VersionFlag `help:"Show the version."`
}

// exitError ends the program with a code of its own; its text has been printed where it belongs.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

func main() {
	redis.Silence()
	if err := server.NoDumps(); err != nil {
		fmt.Fprintln(os.Stderr, "privacyops:", err)
		os.Exit(1)
	}
	if target, args := serviceTarget(os.Args[1:]); target != "" {
		os.Exit(runService(target, args))
	}
	var c cli
	k := kong.Parse(&c, kong.Name("privacyops"), kong.Vars{"version": gateway.Version},
		kong.Description("Software with which an e-learning vendor and its schools keep their data-protection promises, and prove it."),
		kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	k.BindTo(ctx, (*context.Context)(nil))
	err := k.Run()
	stop()
	var code exitError
	switch {
	case errors.As(err, &code):
		os.Exit(int(code))
	case err != nil:
		fmt.Fprintln(os.Stderr, "privacyops:", err)
		os.Exit(1)
	}
}
