// Package rpc serves the audit service's gRPC methods, one file each: it translates between the protocol and the domain.
// Who may call what, and the event that a call leaves, are decided before by the server's guard from the method rules.
package rpc

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/keyring"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
	"github.com/privacyops/privacyops/services/audit/internal/monitor"
)

// Recorder accepts reported events; see audit.Recorder.
type Recorder interface {
	Accept(ctx context.Context, events []audit.Event) ([]audit.Receipt, error)
}

// Searcher finds entries and opens them; see keys.Reader.
type Searcher interface {
	Search(ctx context.Context, q audit.Query) (keys.Page, error)
}

// Prover proves that entries are in the log; see audit.Prover.
type Prover interface {
	Proof(ctx context.Context, controller audit.ControllerID, id audit.EventID) (audit.Proof, error)
}

// Public is the part of the log that anyone may read; see shards.Log.
type Public interface {
	// Checkpoint returns the latest signed checkpoint of the shard of a year (0: the first), or audit.ErrNotFound, or audit.ErrDropped.
	Checkpoint(ctx context.Context, year int) ([]byte, error)
	// Tile returns the first width hashes of a tile (0: all 256), or audit.ErrNotFound, or audit.ErrDropped.
	Tile(ctx context.Context, year int, level, index uint64, width uint8) ([]byte, error)
	audit.Sharded
	// Covered gives how many entries a checkpoint covers, and how many one that enough witnesses have cosigned.
	Covered(ctx context.Context) (published, witnessed uint64, err error)
	// Public returns the key that checks checkpoints, in the text form of signed notes.
	Public() string
}

// Config is what the methods work with. Every field is required.
type Config struct {
	Recorder Recorder
	Searcher Searcher
	Prover   Prover
	Log      Public
	// Keyring makes the pseudonyms of the people that a search is about, and the key of page tokens.
	Keyring *keyring.Keyring
	// Meter makes the service's metrics.
	Meter metric.Meter
	// Heard is told of each report, also of those without an event.
	Heard func(monitor.Sign)
}

// Server implements the services AuditLog and AuditIngest.
type Server struct {
	auditv1.UnsafeAuditLogServer
	auditv1.UnsafeAuditIngestServer
	cfg     Config
	pageKey []byte
	ahead   metric.Float64Gauge
	// services are the attributes of those that report, which are few: making them took a twentieth of the time of an event.
	services sync.Map
}

var (
	_ auditv1.AuditLogServer    = (*Server)(nil)
	_ auditv1.AuditIngestServer = (*Server)(nil)
)

// New returns a server.
func New(cfg Config) (*Server, error) {
	if cfg.Recorder == nil || cfg.Searcher == nil || cfg.Prover == nil || cfg.Log == nil || cfg.Keyring == nil || cfg.Meter == nil || cfg.Heard == nil {
		return nil, errors.New("rpc: every field of the configuration is required")
	}
	ahead, err := cfg.Meter.Float64Gauge("audit.clock.ahead", metric.WithUnit("s"),
		metric.WithDescription("How far a reporting service's clock ran ahead of this service's at its last report; negative with ordinary delay"))
	if err != nil {
		return nil, err
	}
	return &Server{cfg: cfg, pageKey: cfg.Keyring.Derive("audit/page"), ahead: ahead}, nil
}

// Register puts both services on a server.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	auditv1.RegisterAuditLogServer(r, s)
	auditv1.RegisterAuditIngestServer(r, s)
}

// translate gives the fault that a caller sees for an error of the domain.
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, audit.ErrNotFound):
		return fault.Missing()
	case errors.Is(err, audit.ErrDropped):
		return fault.New(fault.NotFound, "SHARD_DROPPED",
			"That year of the log was removed when its retention period ended. Its tombstone, signed by the log's key, is in the list of the log's shards: GET /v1/audit/shards.").Because(err)
	case errors.Is(err, audit.ErrBusy):
		return fault.New(fault.Unavailable, "AUDIT_BUSY",
			"The audit log cannot take more events at the moment; send the same report again in a moment.").Because(err).RetryIn(time.Second)
	case errors.Is(err, audit.ErrNotYet):
		return fault.New(fault.Unavailable, "PROOF_PENDING",
			"The event is recorded, but no checkpoint covers it yet; try again in a moment.").Because(err).RetryIn(2 * time.Second)
	}
	return err
}
