package rpc

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit/internal/evidence"
)

// EvidenceStore keeps evidence, as far as the handlers need it.
type EvidenceStore interface {
	// Insert adds new evidence, and the job that gathers it, in the caller's transaction.
	Insert(ctx context.Context, tx sqldb.Tx, e *evidence.Evidence) error
	// Get reads one of a controller, or fails with evidence.ErrMissing.
	Get(ctx context.Context, ref evidence.Ref) (*evidence.Evidence, error)
	// List reads a controller's evidence, newest first, at most limit; with before what is older than it.
	List(ctx context.Context, c evidence.ControllerID, before evidence.ID, limit int) ([]*evidence.Evidence, error)
}

// EvidenceConfig is what the methods work with. Every field is required; without Open the installation has no folder for packages, and
// no evidence is made.
type EvidenceConfig struct {
	Store   EvidenceStore
	Replies *idempotency.Replies
	Outbox  *outbox.Outbox
	Keyring *keyring.Keyring
	Clock   clock.Clock
	// NewID gives ids of evidence: UUIDs that sort by time.
	NewID func() string
	// Open opens a package.
	Open func(e *evidence.Evidence) (evidence.Content, error)
}

// Evidence implements the service AuditEvidence.
type Evidence struct {
	auditv1.UnsafeAuditEvidenceServer
	EvidenceConfig
	pageKey []byte
}

var _ auditv1.AuditEvidenceServer = (*Evidence)(nil)

// NewEvidence returns a server.
func NewEvidence(cfg EvidenceConfig) *Evidence {
	return &Evidence{EvidenceConfig: cfg, pageKey: cfg.Keyring.Derive("audit/evidence/page")}
}

// Register puts the service on a server.
func (s *Evidence) Register(r grpc.ServiceRegistrar) { auditv1.RegisterAuditEvidenceServer(r, s) }

// find reads the evidence that a request names, and says so in the call's event.
func (s *Evidence) find(ctx context.Context, name string) (*evidence.Evidence, error) {
	ref, err := evidence.ParseName(name)
	if err != nil {
		return nil, fault.Missing()
	}
	e, err := s.Store.Get(ctx, ref)
	if errors.Is(err, evidence.ErrMissing) {
		return nil, fault.Missing()
	}
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, e.Name())
	return e, nil
}

func evidenceMessage(e *evidence.Evidence) *auditv1.Evidence {
	m := &auditv1.Evidence{
		Name: e.Name(), State: auditv1.Evidence_State(auditv1.Evidence_State_value[string(e.State)]),
		StartTime: timestamppb.New(e.Start), EndTime: timestamppb.New(e.End), Language: e.Language, EventCount: e.Events, EventTotal: e.Total,
		CreateTime: timestamppb.New(e.Created), Reason: e.Reason,
	}
	if !e.Expires.IsZero() {
		m.ExpireTime = timestamppb.New(e.Expires)
	}
	if e.Package != nil {
		m.Sha256, m.SizeBytes = e.Package.SHA256, e.Package.Size
	}
	return m
}
