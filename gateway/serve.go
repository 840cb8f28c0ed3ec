package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/privacyops/privacyops/gateway/internal/edge"
	"github.com/privacyops/privacyops/libs/server"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
)

const (
	// headerTime bounds how long a client may take over the headers of a request.
	headerTime = 5 * time.Second
	// idleTime is how long a connection may lie idle.
	idleTime = 60 * time.Second
	// drainTime is how long running calls may take to end when the gateway stops, Config.Linger included.
	drainTime = 20 * time.Second
	// maxStreams bounds the requests that run on one HTTP/2 connection.
	maxStreams = 100
)

// Serve answers on the public port until ctx ends, still takes calls for Config.Linger, then lets running calls finish, for at most
// 20 seconds in all; watches are told to call again. It speaks TLS 1.3 where Config.TLS names a certificate, which is read again when its file changes. A listener
// that is reachable from other machines without TLS is refused: tokens and personal data would cross the network in the clear.
func (g *Gateway) Serve(ctx context.Context, lis net.Listener) error {
	secure, err := g.publicTLS()
	if err == nil && secure == nil && !loopback(lis.Addr()) {
		err = fmt.Errorf("gateway: %s is reachable from other machines: configure a certificate, or listen on loopback behind a proxy that has one", lis.Addr())
	}
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	if g.cfg.Started != nil {
		g.reporter.Report(ctx, &auditv1.ReportedEvent{Actor: &auditv1.Actor{Kind: auditv1.Actor_SERVICE, Ref: "gateway"},
			Action: server.StartAction, Kind: authv1.Rule_ADMIN, Outcome: auditv1.AuditEvent_OK, Detail: g.cfg.Started})
	}
	defer g.reporting(ctx)()
	srv := &http.Server{
		Handler: lastCalls(ctx, g.door), ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: edge.MaxHeaderBytes,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams}, TLSConfig: secure,
		// What the server says about connections repeats addresses and parts of requests.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	lis = edge.Limit(lis, g.cfg.Limits, g.cfg.TrustedProxies)
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { stopped <- g.shutdown(srv) })
	if secure != nil {
		err = srv.ServeTLS(lis, "", "")
	} else {
		err = srv.Serve(lis)
	}
	if stop() { // it ended by itself
		return fmt.Errorf("gateway: serve: %w", err)
	}
	return <-stopped
}

// reporting sends the gateway's own events until stop is called, after the last call.
func (g *Gateway) reporting(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = g.reporter.Run(ctx) // it ends with its context only
	}()
	return func() { cancel(); <-done }
}

// lastCalls tells clients, once ctx has ended, not to use their connections again: a call on a connection that the gateway closes
// at the same moment would break, and nobody could tell whether it was made.
func lastCalls(ctx context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ctx.Err() != nil {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// shutdown lingers, then lets running calls end and breaks off those that do not.
func (g *Gateway) shutdown(srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	g.ready.leave()
	g.calls.Drain()
	time.Sleep(g.cfg.Linger)
	if err := srv.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("gateway: calls were broken off after %s: %w", drainTime, err), srv.Close())
	}
	return nil
}

// publicTLS is the public port's configuration; nil where there is no certificate.
func (g *Gateway) publicTLS() (*tls.Config, error) {
	files := g.cfg.TLS
	if files.Certificate == "" {
		return nil, nil //nolint:nilnil // no certificate is a configuration, not an error
	}
	// Callers bring no certificates, so whom they would be checked against does not matter.
	files.Authority = files.Certificate
	cfg, err := files.ServerTLS()
	if err != nil {
		return nil, fmt.Errorf("gateway: public port: %w", err)
	}
	cfg.ClientAuth, cfg.ClientCAs = tls.NoClientCert, nil
	return cfg, nil
}

func loopback(addr net.Addr) bool {
	host, _, err := net.SplitHostPort(addr.String())
	return err == nil && net.ParseIP(host).IsLoopback()
}
