package rpc

import (
	"context"

	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

// publish says of each event how far it has come on its way into the log.
func (s *Server) publish(ctx context.Context, events []*auditv1.AuditEvent) error {
	if len(events) == 0 {
		return nil
	}
	published, witnessed, err := s.cfg.Log.Covered(ctx)
	if err != nil {
		return err
	}
	for _, e := range events {
		switch {
		case e.GetIndex() < 0 || uint64(e.GetIndex()) >= published:
			e.Publication = auditv1.AuditEvent_ACCEPTED
		case uint64(e.GetIndex()) < witnessed:
			e.Publication = auditv1.AuditEvent_WITNESSED
		default:
			e.Publication = auditv1.AuditEvent_PUBLISHED
		}
	}
	return nil
}
