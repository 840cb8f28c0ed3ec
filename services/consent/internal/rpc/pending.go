package rpc

import (
	"context"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/fault"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// Each of these is written in a file of its own, and then removed here. At the end this file is gone.

func pending[T any]() (T, error) {
	var none T
	return none, fault.New(fault.Unavailable, "PENDING", "pending")
}

func (s *basisServer) GetDecisionKeys(context.Context, *pb.GetDecisionKeysRequest) (*httpbody.HttpBody, error) {
	return pending[*httpbody.HttpBody]()
}

func (s *basisServer) WatchLegalBasis(*pb.WatchLegalBasisRequest, grpc.ServerStreamingServer[pb.LegalBasisChange]) error {
	_, err := pending[int]()
	return err
}

func (s *consentsServer) GetReceipt(context.Context, *pb.GetReceiptRequest) (*httpbody.HttpBody, error) {
	return pending[*httpbody.HttpBody]()
}

func (s *consentsServer) LinkSubjects(context.Context, *pb.LinkSubjectsRequest) (*pb.LinkSubjectsResponse, error) {
	return pending[*pb.LinkSubjectsResponse]()
}

func (s *rightsServer) CreateObjection(context.Context, *pb.CreateObjectionRequest) (*pb.Objection, error) {
	return pending[*pb.Objection]()
}

func (s *rightsServer) GetObjection(context.Context, *pb.GetObjectionRequest) (*pb.Objection, error) {
	return pending[*pb.Objection]()
}

func (s *rightsServer) ListObjections(context.Context, *pb.ListObjectionsRequest) (*pb.ListObjectionsResponse, error) {
	return pending[*pb.ListObjectionsResponse]()
}

func (s *rightsServer) ResolveObjection(context.Context, *pb.ResolveObjectionRequest) (*pb.Objection, error) {
	return pending[*pb.Objection]()
}

func (s *rightsServer) CreateRestriction(context.Context, *pb.CreateRestrictionRequest) (*pb.Restriction, error) {
	return pending[*pb.Restriction]()
}

func (s *rightsServer) GetRestriction(context.Context, *pb.GetRestrictionRequest) (*pb.Restriction, error) {
	return pending[*pb.Restriction]()
}

func (s *rightsServer) ListRestrictions(context.Context, *pb.ListRestrictionsRequest) (*pb.ListRestrictionsResponse, error) {
	return pending[*pb.ListRestrictionsResponse]()
}

func (s *rightsServer) LiftRestriction(context.Context, *pb.LiftRestrictionRequest) (*pb.Restriction, error) {
	return pending[*pb.Restriction]()
}

func (s *documentsServer) GetNotice(context.Context, *pb.GetNoticeRequest) (*httpbody.HttpBody, error) {
	return pending[*httpbody.HttpBody]()
}

func (s *documentsServer) GetRecordOfProcessing(context.Context, *pb.GetRecordOfProcessingRequest) (*httpbody.HttpBody, error) {
	return pending[*httpbody.HttpBody]()
}

func (s *documentsServer) GetImpactAssessmentInput(context.Context, *pb.GetImpactAssessmentInputRequest) (*httpbody.HttpBody, error) {
	return pending[*httpbody.HttpBody]()
}
