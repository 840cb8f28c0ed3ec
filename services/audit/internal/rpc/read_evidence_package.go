package rpc

import (
	"errors"
	"io"
	"strconv"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit/internal/evidence"
)

// packageChunk is how many bytes a message carries: as many as age decrypts at a time.
const packageChunk = 64 << 10

// ReadEvidencePackage streams the package's bytes, or a range of them. It is decrypted on the way out and never on the disk.
func (s *Evidence) ReadEvidencePackage(req *auditv1.ReadEvidencePackageRequest, stream grpc.ServerStreamingServer[auditv1.EvidencePackageChunk]) error {
	ctx := stream.Context()
	e, err := s.find(ctx, req.GetName())
	if err != nil {
		return err
	}
	if err := s.fetchable(e); err != nil {
		return err
	}
	content, err := s.Open(e)
	if err != nil {
		return err
	}
	defer content.Close()
	first, end := req.GetOffset(), content.Size()
	if first > end {
		return fault.BadField("offset", "lies beyond the end of the package").With("sizeBytes", strconv.FormatInt(end, 10))
	}
	if n := req.GetLimit(); n > 0 && n < end-first {
		end = first + n
	}
	outbox.Detail(ctx, "sha256", e.Package.SHA256)
	outbox.Detail(ctx, "offset", strconv.FormatInt(first, 10))
	outbox.Detail(ctx, "bytes", strconv.FormatInt(end-first, 10))
	return sendPackage(e.Package, content, first, end, stream)
}

// fetchable says why a package cannot be fetched, where it cannot.
func (s *Evidence) fetchable(e *evidence.Evidence) error {
	switch {
	case e.State == evidence.Expired && e.Reason == evidence.ReasonKeysDestroyed:
		return fault.New(fault.Gone, "PACKAGE_WITHDRAWN",
			"Somebody was erased after the package was made, so it was deleted. Ask for new evidence of the period.")
	case e.State == evidence.Expired, e.Package != nil && !s.Clock.Now().Before(e.Expires):
		return fault.New(fault.Gone, "PACKAGE_EXPIRED", "The package was deleted at the end of its time. Ask for new evidence of the period.")
	case e.State == evidence.Failed:
		return fault.New(fault.Precondition, "NO_PACKAGE", "This evidence ended without a package. Its reason says why.").With("reason", e.Reason)
	case e.Package == nil || s.Open == nil:
		return fault.New(fault.Precondition, "PACKAGE_NOT_READY", "The evidence is still being gathered. Look again until its state is READY.").
			With("state", string(e.State))
	}
	return nil
}

func sendPackage(p *evidence.Package, from io.ReaderAt, first, end int64, stream grpc.ServerStreamingServer[auditv1.EvidencePackageChunk]) error {
	for at := first; at < end; {
		// A buffer of its own for each message: the transport may still hold the last one.
		m := &auditv1.EvidencePackageChunk{Data: make([]byte, min(packageChunk, end-at))}
		n, err := from.ReadAt(m.Data, at)
		if err != nil && (!errors.Is(err, io.EOF) || n < len(m.Data)) {
			return err
		}
		if at == first {
			m.TotalSize, m.Sha256 = p.Size, p.SHA256
		}
		if err := stream.Send(m); err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}
