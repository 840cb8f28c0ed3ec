package main

import (
	"context"
	"fmt"
	"os"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/demo"
)

// demoCommand plays the main job.
type demoCommand struct {
	Keep string `help:"Keep the data of the demonstration in this folder, which must not exist yet; by default it is removed." placeholder:"DIR"`
}

// Run plays it. The exit code is 0 only if everything that the story says was proved.
func (c *demoCommand) Run(ctx context.Context) error {
	err := demo.Run(ctx, demo.Options{Out: os.Stdout, Keep: c.Keep, Sabotage: os.Getenv("PRIVACYOPS_SABOTAGE")})
	if err != nil {
		fmt.Fprintf(os.Stderr, "\nNOT PROVED: %v\n", err)
		return exitError(1)
	}
	return nil
}
