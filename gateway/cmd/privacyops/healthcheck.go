package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// healthcheckCommand asks a process on this machine whether it can serve, where there is no other program that could.
type healthcheckCommand struct {
	Admin   string        `help:"Address for health and metrics of the process." placeholder:"HOST:PORT" env:"PRIVACYOPS_ADMIN"`
	Timeout time.Duration `help:"How long to wait for the answer." default:"4s"`
	Address string        `arg:"" optional:"" help:"The same as --admin."`
}

// Run asks. The exit code is 0 only if the process is ready.
func (c *healthcheckCommand) Run(ctx context.Context) error {
	address := c.Address
	if address == "" {
		address = c.Admin
	}
	if address == "" {
		return errors.New("name the process' address for health: as an argument, with --admin or in PRIVACYOPS_ADMIN")
	}
	if err := ready(ctx, address, c.Timeout); err != nil {
		fmt.Fprintln(os.Stderr, "privacyops:", err)
		return exitError(1)
	}
	return nil
}

// ready asks /readyz. The error says what came instead.
func ready(ctx context.Context, address string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(address)+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("%q is no address; write HOST:PORT", address)
	}
	// Never by way of a proxy, and never anywhere else.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("nobody answers at %s", address)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, resp.Status)
	}
	return nil
}

// reachable turns an address to listen on into one to call.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
