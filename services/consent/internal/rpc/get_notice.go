package rpc

import (
	"context"

	"google.golang.org/genproto/googleapis/api/httpbody"

	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/documents"
)

// GetNotice prints the notice for pupils or their guardians (GDPR art. 13, 14).
func (s *documentsServer) GetNotice(ctx context.Context, req *pb.GetNoticeRequest) (*httpbody.HttpBody, error) {
	to := documents.Subject
	if req.GetAudience() == pb.GetNoticeRequest_GUARDIAN {
		to = documents.Guardian
	}
	return s.printed(ctx, req.GetParent(), func(r documents.Register) (documents.Document, error) {
		return documents.Notice(r, languageOf(req.GetLanguage(), r.Controller), to, formatOf(req.GetFormat()))
	})
}
