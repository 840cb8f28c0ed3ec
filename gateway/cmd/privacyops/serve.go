package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/privacyops/privacyops/gateway"
	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/seed"
	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/suite"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/services/audit"
	"github.com/privacyops/privacyops/services/consent"
	"github.com/privacyops/privacyops/services/erasure"
	"github.com/privacyops/privacyops/services/export"
	"github.com/privacyops/privacyops/services/participant"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// serveCommand serves the embedded installation.
type serveCommand struct {
	Data          string          `help:"Folder that holds everything that lasts." default:".privacyops" env:"PRIVACYOPS_DATA"`
	Listen        string          `help:"Public address." default:"127.0.0.1:8080" env:"PRIVACYOPS_LISTEN"`
	Admin         string          `help:"Address for health and metrics; none where it is empty." env:"PRIVACYOPS_ADMIN"`
	Database      string          `help:"URL of a PostgreSQL database for all services, a schema each; without it each has a SQLite file in the data folder." env:"PRIVACYOPS_DATABASE"`
	Redis         redis.Settings  `embed:""`
	Signing       consent.Signing `embed:""`
	Replicas      int             `help:"How many of each service to run that can have replicas; more than one needs --database." default:"1"`
	Sample        bool            `help:"Load the sample: a learning platform of two schools, with tokens to try things out."`
	Systems       string          `help:"YAML file that lists the databases of platforms to speak for." env:"PRIVACYOPS_PARTICIPANT_SYSTEMS"`
	WitnessPolicy string          `help:"File that says which witnesses cosign the audit log, and how many of them are enough: witness, group and quorum lines. Empty: none." env:"PRIVACYOPS_AUDIT_WITNESS_POLICY"`
	Grace         time.Duration   `help:"How long an approved erasure of the sample can be called back." default:"10s"`
	LogLevel      string          `help:"Least severe level that is logged." enum:"debug,info,warn,error" default:"warn" env:"PRIVACYOPS_LOG_LEVEL"`
	Target        string          `help:"all, or one of consent, export, erasure, audit, participant, gateway (see --target=NAME --help for its settings)." default:"all"`
}

// Run serves until it is told to stop.
func (c *serveCommand) Run(ctx context.Context) error {
	if c.Target != "all" {
		return fmt.Errorf("--target %s is unknown; use all, consent, export, erasure, audit, participant or gateway", c.Target)
	}
	if c.Database != "" {
		if err := audit.OverwriteFreed(c.Database); err != nil {
			return err
		}
	}
	o := suite.Options{DataDir: c.Data, Listen: c.Listen, Admin: c.Admin, LogLevel: c.LogLevel, Database: c.Database, Redis: c.Redis, Replicas: c.Replicas, WitnessPolicy: c.WitnessPolicy,
		Signing: c.Signing}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return err
	}
	if err := c.systems(ctx, &o); err != nil {
		return err
	}
	s, err := suite.Start(ctx, o)
	if err != nil {
		return err
	}
	if err := c.introduce(ctx, s); err != nil {
		return errors.Join(err, s.Stop())
	}
	select {
	case err = <-s.Failed():
	case <-ctx.Done():
		fmt.Fprintln(os.Stderr, "stopping: what is under way is finished first")
	}
	return errors.Join(err, s.Stop())
}

func (c *serveCommand) systems(ctx context.Context, o *suite.Options) error {
	if c.Systems != "" {
		list, err := participant.ReadSystems(c.Systems)
		if err != nil {
			return err
		}
		o.Systems = list
	}
	if c.Sample {
		dir := filepath.Join(c.Data, "sample")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		system, _, err := seed.Platform(ctx, dir)
		if err != nil {
			return err
		}
		o.Systems = append(o.Systems, system)
	}
	return nil
}

// introduce loads the sample and says where everything is.
func (c *serveCommand) introduce(ctx context.Context, s *suite.Suite) error {
	if c.Sample {
		if err := seed.Register(ctx, s.URL, s.Issuer, seed.Options{Approvals: 1, Grace: c.Grace}); err != nil {
			return err
		}
	}
	w := os.Stderr
	fmt.Fprintf(w, "\nprivacyops %s is ready.\n\n  REST       %s\n  reference  %s/docs   %s/openapi.json\n  health     %s/readyz\n  data       %s\n",
		gateway.Version, s.URL, s.URL, s.URL, s.URL, c.Data)
	if !c.Sample {
		fmt.Fprintf(w, "\nMake a token: privacyops token --data %s --role dpo --controller YOUR-SCHOOL\n\nCtrl-C stops it.\n", c.Data)
		return nil
	}
	return tokens(w, s)
}

// tokens prints tokens for the sample's school, and a call that works.
func tokens(w io.Writer, s *suite.Suite) error {
	fmt.Fprintf(w, "\nTokens for the sample school %q (12 hours; development issuer):\n", sample.Controller)
	made := map[string]string{}
	for _, role := range []string{"platform", "partner", "dpo", "auditor"} {
		t, err := seed.Token(s.Issuer, role, sample.Controller, role+"@"+sample.Controller+".example")
		if err != nil {
			return err
		}
		made[role] = t
		fmt.Fprintf(w, "\n  %s\n  %s\n", role, t)
	}
	p := sample.Pupil()
	fmt.Fprintf(w, "\nMay the platform process this pupil's data for teaching? Try it:\n\n"+
		"curl -sS -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '{\"subject\":{\"type\":\"UNILOGIN\",\"value\":\"%s\"},\"activity\":\"%s\"}' %s/v1/controllers/%s/legalBasis:check\n\nCtrl-C stops it.\n",
		made["partner"], p.UniLogin, sample.Activities()[0].ID, s.URL, sample.Controller)
	return nil
}

// serviceTarget finds `serve --target NAME` of one service; its settings are those of the service's own command.
func serviceTarget(args []string) (target string, rest []string) {
	if len(args) == 0 || args[0] != "serve" {
		return "", nil
	}
	for i := 1; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		if name != "--target" {
			rest = append(rest, args[i])
			continue
		}
		if !joined && i+1 < len(args) {
			i++
			value = args[i]
		}
		target = value
	}
	if _, ok := commands()[target]; !ok {
		return "", nil
	}
	return target, rest
}

// command is a service's own command.
type command interface {
	Run(ctx context.Context) error
}

func commands() map[string]command {
	return map[string]command{"consent": &consent.Command{}, "export": &export.Command{}, "erasure": &erasure.Command{},
		"audit": &audit.Command{}, "participant": &participant.Command{}, "gateway": &gateway.Command{}}
}

func runService(target string, args []string) int {
	c := commands()[target]
	parser, err := kong.New(c, kong.Name("privacyops serve --target "+target))
	if err == nil {
		_, err = parser.Parse(args)
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = c.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "privacyops:", err)
		return 1
	}
	return 0
}
