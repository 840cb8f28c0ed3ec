package rpc

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit/internal/evidence"
)

// CreateEvidence begins to gather the evidence of a period. Its own event, received after the period, is what shows later that none of
// the period's entries was left out at the end.
func (s *Evidence) CreateEvidence(ctx context.Context, req *auditv1.CreateEvidenceRequest) (*auditv1.Evidence, error) {
	if s.Open == nil {
		return nil, fault.New(fault.Precondition, "EVIDENCE_NOT_CONFIGURED",
			"This installation makes no evidence packages: it has no folder for them. Ask whoever operates it to configure one.")
	}
	if req.GetStartTime().CheckValid() != nil || req.GetEndTime().CheckValid() != nil {
		return nil, fault.BadField("start_time", "and end_time must be times")
	}
	controller := evidence.ControllerID(strings.TrimPrefix(req.GetParent(), "controllers/"))
	e, err := evidence.New(evidence.Ref{Controller: controller, ID: evidence.ID(s.NewID())}, req.GetStartTime().AsTime(), req.GetEndTime().AsTime(),
		req.GetLanguage(), s.Clock.Now())
	var wrong *evidence.PeriodError
	if errors.As(err, &wrong) {
		return nil, fault.BadField(wrong.Field, wrong.Message)
	}
	if err != nil {
		return nil, err
	}
	request := idempotency.Request{Controller: string(controller), Method: auditv1.AuditEvidence_CreateEvidence_FullMethodName,
		ID: req.GetRequestId(), Body: req}
	return idempotency.Once(ctx, s.Replies, request, &auditv1.Evidence{}, func(ctx context.Context, tx sqldb.Tx) (*auditv1.Evidence, error) {
		if err := s.Store.Insert(ctx, tx, e); err != nil {
			return nil, err
		}
		_, err := s.Outbox.Record(ctx, tx, outbox.Event{Resource: e.Name(), After: e.Recorded(),
			Detail: map[string]string{"start_time": e.Start.Format(time.RFC3339), "end_time": e.End.Format(time.RFC3339)}})
		return evidenceMessage(e), err
	})
}
