package clients

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/server"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

// Consent speaks to the consent service.
type Consent struct {
	register consentv1.RegisterReaderClient
	erased   consentv1.ErasedClient
}

// NewConsent makes a client on a connection.
func NewConsent(conn grpc.ClientConnInterface) *Consent {
	return &Consent{register: consentv1.NewRegisterReaderClient(conn), erased: consentv1.NewErasedClient(conn)}
}

var (
	_ erasure.Registers = (*Consent)(nil)
	_ erasure.Erased    = (*Consent)(nil)
)

// Register implements erasure.Registers.
func (c *Consent) Register(ctx context.Context, id erasure.ControllerID) (erasure.Register, error) {
	s, err := c.register.GetSnapshot(ctx, &consentv1.GetSnapshotRequest{Parent: "controllers/" + string(id)})
	if err != nil {
		return erasure.Register{}, server.Fault(err)
	}
	if s.GetController() == nil {
		return erasure.Register{}, errEmpty
	}
	r := erasure.Register{RequiredApprovals: int(s.GetController().GetRequiredApprovals()),
		GracePeriod: s.GetController().GetGracePeriod().AsDuration(), TimeZone: s.GetController().GetTimeZone()}
	for _, a := range s.GetActivities() {
		r.Activities = append(r.Activities, erasure.Activity{ID: last(a.GetName()), LegalBasis: a.GetLegalBasis().String(),
			Protected: a.GetRetention().GetProtected(), ProtectionGround: a.GetRetention().GetGround()})
	}
	for _, y := range s.GetSystems() {
		r.Systems = append(r.Systems, erasure.System{ID: last(y.GetName()), Participant: y.GetParticipant(),
			Mandatory: y.GetMandatory(), Order: int(y.GetOrder())})
	}
	return r, nil
}

// RecordErasure implements erasure.Erased.
func (c *Consent) RecordErasure(ctx context.Context, id erasure.ControllerID, refs []string, name string, at time.Time) error {
	_, err := c.erased.RecordErasure(ctx, &consentv1.RecordErasureRequest{Parent: "controllers/" + string(id),
		SubjectRefs: refs, Erasure: name, EraseTime: timestamppb.New(at)})
	return server.Fault(err)
}

// last is the id at the end of a resource name.
func last(name string) string {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '/' {
			return name[i+1:]
		}
	}
	return name
}

// Audit speaks to the audit service.
type Audit struct {
	log  auditv1.AuditLogClient
	keys auditv1.AuditKeysClient
}

// NewAudit makes a client on a connection.
func NewAudit(conn grpc.ClientConnInterface) *Audit {
	return &Audit{log: auditv1.NewAuditLogClient(conn), keys: auditv1.NewAuditKeysClient(conn)}
}

var (
	_ erasure.Proofs = (*Audit)(nil)
	_ erasure.Keys   = (*Audit)(nil)
)

// mostSubjects is how many pseudonyms the audit service takes in one call.
const mostSubjects = 200

// Destroy implements erasure.Keys.
func (a *Audit) Destroy(ctx context.Context, c erasure.ControllerID, refs []string, name string) error {
	for some := range slices.Chunk(refs, mostSubjects) {
		_, err := a.keys.DestroySubjectKeys(ctx, &auditv1.DestroySubjectKeysRequest{Parent: "controllers/" + string(c),
			SubjectRefs: some, Erasure: name})
		if err != nil {
			return server.Fault(err)
		}
	}
	return nil
}

// Proof implements erasure.Proofs. An event that the service does not know yet is still on its way to it.
func (a *Audit) Proof(ctx context.Context, c erasure.ControllerID, event string) (erasure.Proof, error) {
	p, err := a.log.GetAuditEventProof(ctx, &auditv1.GetAuditEventProofRequest{
		Name: "controllers/" + string(c) + "/auditEvents/" + event})
	if err != nil {
		switch f := fault.From(server.Fault(err)); f.Kind() {
		case fault.NotFound, fault.Unavailable, fault.Precondition, fault.Timeout:
			return erasure.Proof{}, erasure.ErrNotYet
		default:
			return erasure.Proof{}, f
		}
	}
	if p.GetIndex() < 0 || p.GetTreeSize() <= p.GetIndex() {
		return erasure.Proof{}, fmt.Errorf("clients: a proof of entry %d in a tree of %d", p.GetIndex(), p.GetTreeSize())
	}
	return erasure.Proof{Leaf: p.GetLeaf(), Index: uint64(p.GetIndex()), TreeSize: uint64(p.GetTreeSize()),
		Hashes: p.GetHashes(), Checkpoint: p.GetCheckpoint(), LogKey: p.GetLogKey()}, nil
}
