package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/certificate"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

// certificatePage is how many erasures are read at a time to find their certificates.
const certificatePage = 100

// CertificateServer answers privacyops.erasure.v1.CertificateReader.
type CertificateServer struct {
	erasurev1.UnsafeCertificateReaderServer
	// Store lists erasures; see [Erasures].
	Store interface {
		List(ctx context.Context, c erasure.ControllerID, before string, limit int) ([]*erasure.Erasure, error)
	}
}

var _ erasurev1.CertificateReaderServer = (*CertificateServer)(nil)

// ListIssuedCertificates streams the certificates that say of themselves that they were issued in the period.
func (s *CertificateServer) ListIssuedCertificates(req *erasurev1.ListIssuedCertificatesRequest, stream grpc.ServerStreamingServer[erasurev1.IssuedCertificate]) error {
	c := parseParent(req.GetParent())
	start, end, before := req.GetStartTime().AsTime(), req.GetEndTime().AsTime(), ""
	for {
		list, err := s.Store.List(stream.Context(), c, before, certificatePage)
		if err != nil {
			return err
		}
		for _, e := range list {
			before = string(e.ID)
			if err := sendIssued(stream, e, start, end); err != nil {
				return err
			}
		}
		if len(list) < certificatePage {
			return nil
		}
	}
}

func sendIssued(stream grpc.ServerStreamingServer[erasurev1.IssuedCertificate], e *erasure.Erasure, start, end time.Time) error {
	if e.Certificate == "" || !e.CreateTime.Before(end) {
		return nil
	}
	var file certificate.Certificate
	if err := json.Unmarshal([]byte(e.Certificate), &file); err != nil {
		return fmt.Errorf("rpc: a stored certificate does not parse: %w", err)
	}
	issued := file.Statement.IssuedTime.Time
	if issued.Before(start) || !issued.Before(end) {
		return nil
	}
	return stream.Send(&erasurev1.IssuedCertificate{Erasure: e.Name(), Content: []byte(e.Certificate)})
}
