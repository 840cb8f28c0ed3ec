package rpc

import (
	"context"

	"google.golang.org/genproto/googleapis/api/httpbody"

	"github.com/privacyops/privacyops/libs/fault"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
)

// GetCertificate gives the certificate's file, byte for byte.
func (s *Server) GetCertificate(ctx context.Context, req *erasurev1.GetCertificateRequest) (*httpbody.HttpBody, error) {
	e, err := s.read(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if e.Certificate == "" {
		return nil, fault.Newf(fault.Precondition, "NOT_CERTIFIED",
			"There is no certificate: the erasure is %s. It is issued with the state COMPLETED.", e.State)
	}
	return &httpbody.HttpBody{ContentType: "application/json", Data: []byte(e.Certificate)}, nil
}
