package rpc

import (
	"context"

	"google.golang.org/genproto/googleapis/api/httpbody"

	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// GetDecisionKeys gives the public keys of signed decisions and receipts.
func (s *basisServer) GetDecisionKeys(context.Context, *pb.GetDecisionKeysRequest) (*httpbody.HttpBody, error) {
	return &httpbody.HttpBody{ContentType: "application/jwk-set+json", Data: s.Signer.KeySet()}, nil
}
