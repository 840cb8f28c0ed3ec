package rpc

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/telemetry"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// System is a participant under its name in requests.
type System struct {
	Name        string
	Participant participant.Participant
	Controllers []string // whose data it holds; for any other the answer is NOT_FOUND
}

// Config is what a server is made of.
type Config struct {
	Systems   []System
	Clock     clock.Clock
	Telemetry *telemetry.Telemetry
	// Explain, where it is set, tells what is known of a participant's error: a text that names no person and may be logged,
	// and whether the error means, besides [ErrUnavailable], that the system does not answer at the moment.
	Explain func(error) (text string, unavailable bool)
}

// Server answers the protocol.
type Server struct {
	participantv1.UnsafeParticipantServer
	systems   map[string]*system
	clock     clock.Clock
	tracer    trace.Tracer
	duration  metric.Float64Histogram
	telemetry *telemetry.Telemetry
	explain   func(error) (text string, unavailable bool)
}

var _ participantv1.ParticipantServer = (*Server)(nil)

// system is a participant that is served.
type system struct {
	participant.Participant
	name        string
	controllers map[string]bool
}

// New makes a server. The names of the systems must differ.
func New(cfg Config) (*Server, error) {
	if cfg.Clock == nil || cfg.Telemetry == nil {
		return nil, errors.New("rpc: clock and telemetry are both required")
	}
	if cfg.Explain == nil {
		cfg.Explain = func(error) (string, bool) { return "", false }
	}
	s := &Server{systems: map[string]*system{}, clock: cfg.Clock, telemetry: cfg.Telemetry, explain: cfg.Explain}
	for _, c := range cfg.Systems {
		if s.systems[c.Name] != nil || c.Participant == nil {
			return nil, fmt.Errorf("rpc: system %q is named twice or has no participant", c.Name)
		}
		sys := &system{Participant: c.Participant, name: c.Name, controllers: map[string]bool{}}
		for _, id := range c.Controllers {
			sys.controllers[id] = true
		}
		s.systems[c.Name] = sys
	}
	return s, s.observe()
}

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { participantv1.RegisterParticipantServer(r, s) }

// find gives a system by its name.
func (s *Server) find(name string) (*system, error) {
	sys := s.systems[name]
	if sys == nil {
		return nil, fault.Missing()
	}
	return sys, nil
}

// findFor gives a system that holds data of a controller. A system that does not reads as one that does not exist.
func (s *Server) findFor(name, controller string) (*system, error) {
	sys := s.systems[name]
	if sys == nil || !sys.controllers[controller] {
		return nil, fault.Missing()
	}
	return sys, nil
}
