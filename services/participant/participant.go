package participant

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/services/participant/internal/rpc"
)

// Service answers the participant protocol for its systems.
type Service struct {
	server  *rpc.Server
	ready   []named[readier]
	closers []named[io.Closer]
}

// named is something that belongs to a system.
type named[T any] struct {
	system string
	it     T
}

// readier is what a participant has that can say whether its system answers.
type readier interface {
	Ready(context.Context) error
}

// New opens the adapters of all systems. A data map that does not fit its database stops it, with file, line and column of
// every place that is wrong; nothing is left open then.
func New(ctx context.Context, cfg Config) (_ *Service, err error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Service{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	systems := append([]System(nil), cfg.Native...)
	for _, sc := range cfg.Systems {
		a, err := openSQL(ctx, sc, cfg.LedgerDir)
		if err != nil {
			return nil, fmt.Errorf("participant: system %s: %w", sc.Name, err)
		}
		s.closers = append(s.closers, named[io.Closer]{sc.Name, a})
		systems = append(systems, System{Name: sc.Name, Participant: a, Controllers: sc.Controllers})
	}
	served := make([]rpc.System, 0, len(systems))
	for _, sys := range systems {
		if r, ok := sys.Participant.(readier); ok {
			s.ready = append(s.ready, named[readier]{sys.Name, r})
		}
		if cfg.Wrap != nil {
			sys.Participant = cfg.Wrap(sys.Name, sys.Participant)
		}
		served = append(served, rpc.System(sys))
	}
	s.server, err = rpc.New(rpc.Config{Systems: served, Clock: cfg.Clock, Telemetry: cfg.Telemetry, Explain: explain})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Register puts the protocol's service on a server. Its method rules admit services of the suite only, so the server must be
// one that enforces them (package server of libs).
func (s *Service) Register(r grpc.ServiceRegistrar) { s.server.Register(r) }

// Ready asks every system that can tell whether it answers.
func (s *Service) Ready(ctx context.Context) error {
	var errs []error
	for _, r := range s.ready {
		if err := r.it.Ready(ctx); err != nil {
			errs = append(errs, fmt.Errorf("participant: system %s: %w", r.system, err))
		}
	}
	return errors.Join(errs...)
}

// Run returns when ctx ends. The service has no work of its own: the erasure service asks again for what was cut off.
func (s *Service) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Close closes the adapters that [New] opened. Calls that are under way fail, and can be asked again.
func (s *Service) Close() error {
	var errs []error
	for _, c := range s.closers {
		if err := c.it.Close(); err != nil {
			errs = append(errs, fmt.Errorf("participant: system %s: %w", c.system, err))
		}
	}
	s.closers = nil
	return errors.Join(errs...)
}
