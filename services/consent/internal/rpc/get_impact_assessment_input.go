package rpc

import (
	"context"

	"google.golang.org/genproto/googleapis/api/httpbody"

	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/documents"
)

// GetImpactAssessmentInput prints the facts that an impact assessment starts from (GDPR art. 35(7)(a)).
func (s *documentsServer) GetImpactAssessmentInput(ctx context.Context, req *pb.GetImpactAssessmentInputRequest) (*httpbody.HttpBody, error) {
	return s.printed(ctx, req.GetParent(), func(r documents.Register) (documents.Document, error) {
		return documents.ImpactAssessmentInput(r, languageOf(req.GetLanguage(), r.Controller), formatOf(req.GetFormat()))
	})
}
