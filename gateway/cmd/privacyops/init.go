package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/installation"
)

// initCommand makes the keys and certificates of an installation.
type initCommand struct {
	Data   string            `help:"The installation's folder; made if it is missing." required:"" placeholder:"DIR"`
	Renew  bool              `help:"Renew all certificates, not only those that end within 30 days."`
	Names  map[string]string `help:"Further DNS names for a certificate, for clients that call by another name than <service>.privacyops.internal. Kept when the certificate is renewed." placeholder:"SERVICE=NAME,NAME;…"`
	Origin string            `help:"Name of the audit log, the first line of its checkpoints." env:"PRIVACYOPS_AUDIT_ORIGIN" default:"privacyops.internal/audit"`
}

// Run makes them, and says what was made and what was kept.
func (c *initCommand) Run() error {
	names := map[string][]string{}
	for service, list := range c.Names {
		names[service] = strings.Split(list, ",")
	}
	return installation.Make(installation.Options{Dir: c.Data, Renew: c.Renew, Names: names, Origin: c.Origin, Now: time.Now(),
		Tell: func(line string) { fmt.Fprintln(os.Stderr, line) }})
}
