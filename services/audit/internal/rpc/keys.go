package rpc

import (
	"context"
	"strings"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/fault"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
)

// Destroyer destroys keys and records that; see keys.Destroyer.
type Destroyer interface {
	Subjects(ctx context.Context, c audit.ControllerID, refs []audit.SubjectRef, cause keys.Cause) (destroyed int, err error)
	Controller(ctx context.Context, c audit.ControllerID, cause keys.Cause) (destroyed bool, err error)
}

// Keys implements the service AuditKeys.
type Keys struct {
	auditv1.UnsafeAuditKeysServer
	destroyer Destroyer
}

var _ auditv1.AuditKeysServer = (*Keys)(nil)

// NewKeys returns a server of AuditKeys.
func NewKeys(destroyer Destroyer) *Keys { return &Keys{destroyer: destroyer} }

// Register puts the service on a server.
func (s *Keys) Register(r grpc.ServiceRegistrar) { auditv1.RegisterAuditKeysServer(r, s) }

// own checks that what keys are destroyed for belongs to the controller whose keys they are.
func own(field, name, parent string) error {
	if !strings.HasPrefix(name, parent+"/") {
		return fault.BadField(field, "belongs to another controller than parent")
	}
	return nil
}

func controllerOf(parent string) audit.ControllerID {
	return audit.ControllerID(strings.TrimPrefix(parent, "controllers/"))
}
