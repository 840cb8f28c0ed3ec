package rpc

import (
	"context"
	"strings"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/page"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit/internal/evidence"
)

// ListEvidence lists the controller's evidence, newest first: ids sort by the time it was asked for.
func (s *Evidence) ListEvidence(ctx context.Context, req *auditv1.ListEvidenceRequest) (*auditv1.ListEvidenceResponse, error) {
	outbox.About(ctx, req.GetParent())
	controller := strings.TrimPrefix(req.GetParent(), "controllers/")
	size, err := page.Size(req.GetPageSize())
	if err != nil {
		return nil, fault.BadField("page_size", err.Error())
	}
	binding := page.Binding{Controller: controller, Method: auditv1.AuditEvidence_ListEvidence_FullMethodName}
	before, err := page.Decode(s.pageKey, binding, req.GetPageToken())
	if err != nil {
		return nil, fault.BadField("page_token", page.ErrInvalid.Error())
	}
	found, err := s.Store.List(ctx, evidence.ControllerID(controller), evidence.ID(before), size+1)
	if err != nil {
		return nil, err
	}
	out := &auditv1.ListEvidenceResponse{}
	for _, e := range found[:min(len(found), size)] {
		out.Evidence = append(out.Evidence, evidenceMessage(e))
	}
	if len(found) > size {
		out.NextPageToken, err = page.Encode(s.pageKey, binding, []byte(found[size-1].ID))
	}
	return out, err
}
