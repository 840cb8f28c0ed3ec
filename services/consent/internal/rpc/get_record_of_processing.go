package rpc

import (
	"context"

	"google.golang.org/genproto/googleapis/api/httpbody"

	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/documents"
)

// GetRecordOfProcessing prints the record of processing activities (GDPR art. 30).
func (s *documentsServer) GetRecordOfProcessing(ctx context.Context, req *pb.GetRecordOfProcessingRequest) (*httpbody.HttpBody, error) {
	of := documents.OfController
	if req.GetPerspective() == pb.GetRecordOfProcessingRequest_PROCESSOR {
		of = documents.OfProcessor
	}
	return s.printed(ctx, req.GetParent(), func(r documents.Register) (documents.Document, error) {
		return documents.RecordOfProcessing(r, of, formatOf(req.GetFormat()))
	})
}
