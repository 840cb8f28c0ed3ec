package rpc

import (
	"context"
	"strings"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/outbox"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
)

// Keeper is what operators do with a controller's keys; see keys.Destroyer.
type Keeper interface {
	Terminate(ctx context.Context, c audit.ControllerID, operator string, cause keys.Cause) (keys.Termination, error)
	Rotate(ctx context.Context, c audit.ControllerID) (rewrapped int, err error)
}

// Notes records events; see outbox.Outbox.
type Notes interface {
	RecordAlone(ctx context.Context, e outbox.Event) error
}

// Keeping implements the service AuditKeeping. Keys are in a database of their own, so that no transaction has both an event and what it
// is about: the event comes first, and without it nothing is done.
type Keeping struct {
	auditv1.UnsafeAuditKeepingServer
	keeper Keeper
	notes  Notes
}

var _ auditv1.AuditKeepingServer = (*Keeping)(nil)

// NewKeeping returns a server of AuditKeeping.
func NewKeeping(keeper Keeper, notes Notes) *Keeping { return &Keeping{keeper: keeper, notes: notes} }

// Register puts the service on a server.
func (s *Keeping) Register(r grpc.ServiceRegistrar) { auditv1.RegisterAuditKeepingServer(r, s) }

// terminated is the controller of a termination's name.
func terminated(name string) audit.ControllerID {
	return controllerOf(strings.TrimSuffix(name, "/termination"))
}
