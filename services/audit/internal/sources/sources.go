// Package sources reads what an evidence package holds beside the log from the services that have it: the register from the consent
// service, certificates from the erasure service.
package sources

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/audit/internal/evidence"
)

const (
	// timeout bounds a call for one answer, streamTimeout one for many.
	timeout       = 10 * time.Second
	streamTimeout = 10 * time.Minute
)

// Register implements evidence.Register.
type Register struct {
	client consentv1.RegisterReaderClient
}

var _ evidence.Register = (*Register)(nil)

// NewRegister returns the register behind a connection to the consent service.
func NewRegister(conn grpc.ClientConnInterface) *Register {
	return &Register{client: consentv1.NewRegisterReaderClient(conn)}
}

// Controller reads a controller; see evidence.Register.
func (r *Register) Controller(ctx context.Context, c evidence.ControllerID) (evidence.Controller, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s, err := r.client.GetSnapshot(ctx, &consentv1.GetSnapshotRequest{Parent: "controllers/" + string(c)})
	if err != nil {
		return evidence.Controller{}, answered(err)
	}
	found := s.GetController()
	raw, err := line(&consentv1.Snapshot{Controller: found, Systems: s.GetSystems()})
	return evidence.Controller{DisplayName: found.GetDisplayName(), RequiredApprovals: int(found.GetRequiredApprovals()),
		GracePeriod: found.GetGracePeriod().AsDuration(), JSON: raw}, err
}

// Versions gives the versions of activities; see evidence.Register.
func (r *Register) Versions(ctx context.Context, c evidence.ControllerID, start, end time.Time, each func([]byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	stream, err := r.client.ListActivityVersions(ctx, &consentv1.ListActivityVersionsRequest{Parent: "controllers/" + string(c),
		StartTime: timestamppb.New(start), EndTime: timestamppb.New(end)})
	if err != nil {
		return answered(err)
	}
	return drain(stream, func(v *consentv1.ActivityVersion) error {
		raw, err := line(v)
		if err != nil {
			return err
		}
		return each(raw)
	})
}

// Certificates implements evidence.Certificates.
type Certificates struct {
	client erasurev1.CertificateReaderClient
}

var _ evidence.Certificates = (*Certificates)(nil)

// NewCertificates returns the certificates behind a connection to the erasure service.
func NewCertificates(conn grpc.ClientConnInterface) *Certificates {
	return &Certificates{client: erasurev1.NewCertificateReaderClient(conn)}
}

// Issued gives the certificates of a period; see evidence.Certificates.
func (r *Certificates) Issued(ctx context.Context, c evidence.ControllerID, start, end time.Time, each func(string, []byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	stream, err := r.client.ListIssuedCertificates(ctx, &erasurev1.ListIssuedCertificatesRequest{Parent: "controllers/" + string(c),
		StartTime: timestamppb.New(start), EndTime: timestamppb.New(end)})
	if err != nil {
		return answered(err)
	}
	return drain(stream, func(m *erasurev1.IssuedCertificate) error {
		return each(m.GetErasure()[strings.LastIndexByte(m.GetErasure(), '/')+1:], m.GetContent())
	})
}

// drain gives the messages of a stream to each, up to its end.
func drain[M any](stream grpc.ServerStreamingClient[M], each func(*M) error) error {
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return answered(err)
		}
		if err := each(m); err != nil {
			return err
		}
	}
}

func answered(err error) error {
	if status.Code(err) == codes.NotFound {
		return evidence.ErrNoController
	}
	return fmt.Errorf("sources: %w", err)
}

// line writes a message as one line of JSON. The same message gives the same bytes: protojson varies its spaces from build to build.
func line(m proto.Message) ([]byte, error) {
	raw, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = json.Compact(&out, raw)
	return out.Bytes(), err
}
