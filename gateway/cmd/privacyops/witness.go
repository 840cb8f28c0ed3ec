package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/privacyops/privacyops/services/audit/witness"
)

// witnessCommand runs a witness of audit logs.
type witnessCommand struct {
	Dir     string   `help:"Folder of what the witness has seen, on a disk of its own." required:"" env:"PRIVACYOPS_WITNESS_DIR"`
	Listen  string   `help:"Address to listen on." placeholder:"HOST:PORT" default:"127.0.0.1:8090" env:"PRIVACYOPS_WITNESS_LISTEN"`
	Name    string   `help:"Name of the witness, best a host name of yours: it is in every cosignature." required:"" env:"PRIVACYOPS_WITNESS_NAME"`
	KeyFile string   `help:"File of the witness's key; made at the first start, with the public key beside it in a file .pub." required:"" env:"PRIVACYOPS_WITNESS_KEY_FILE"`
	LogKey  []string `help:"Key of a log that is watched: a verifier key (name+hash+base64) or a file with one; may be repeated." required:"" env:"PRIVACYOPS_WITNESS_LOG_KEY"`
	TLSCert string   `help:"File of the certificate, to serve HTTPS; without it, HTTP for a proxy in front." name:"tls-cert" env:"PRIVACYOPS_WITNESS_TLS_CERT"`
	TLSKey  string   `help:"File of the certificate's key." name:"tls-key" env:"PRIVACYOPS_WITNESS_TLS_KEY"`
}

// Help says what a line of help has no room for.
func (c *witnessCommand) Help() string {
	return `A witness remembers how far it has seen a log, and cosigns a newer checkpoint only with a proof that the log has only grown (C2SP tlog-witness). It sees
hashes, no entry, and no data about people. Run it elsewhere than the suite, under someone else's hands.`
}

// Run serves until ctx ends.
func (c *witnessCommand) Run(ctx context.Context) error {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key go together")
	}
	lis, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return err
	}
	return c.serve(ctx, lis, slog.New(slog.NewJSONHandler(os.Stderr, nil)))
}

func (c *witnessCommand) serve(ctx context.Context, lis net.Listener, log *slog.Logger) error {
	w, key, err := c.open(log)
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	srv := &http.Server{Handler: w, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 15 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		stopped <- srv.Shutdown(grace)
	})
	log.Info("the witness serves", "witness", key.Name(), "public_key", key.Public, "listen", lis.Addr().String(), "dir", c.Dir)
	if c.TLSCert != "" {
		err = srv.ServeTLS(lis, c.TLSCert, c.TLSKey)
	} else {
		err = srv.Serve(lis)
	}
	if stop() { // it ended by itself
		return errors.Join(err, w.Close())
	}
	return errors.Join(<-stopped, w.Close())
}

func (c *witnessCommand) open(log *slog.Logger) (*witness.Witness, witness.Key, error) {
	key, err := witness.OpenKey(rand.Reader, c.KeyFile, c.Name)
	if err != nil {
		return nil, key, fmt.Errorf("the key: %w", err)
	}
	logs, err := keys(c.LogKey)
	if err != nil {
		return nil, key, err
	}
	w, err := witness.Open(witness.Config{Dir: c.Dir, Key: key, Logs: logs, Log: log})
	return w, key, err
}
