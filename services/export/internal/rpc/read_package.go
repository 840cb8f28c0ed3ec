package rpc

import (
	"errors"
	"io"
	"strconv"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/services/export/internal/export"

	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

// chunkSize is how many bytes a message carries: as many as age decrypts at a time.
const chunkSize = 64 << 10

// ReadPackage streams the package's bytes, or a range of them. It is decrypted on the way out and never on the disk.
func (s *Server) ReadPackage(req *exportv1.ReadPackageRequest, stream grpc.ServerStreamingServer[exportv1.PackageChunk]) error {
	ctx := stream.Context()
	w, err := s.find(ctx, req.GetName())
	if err != nil {
		return err
	}
	if err := s.fetchable(w); err != nil {
		return err
	}
	secret, err := export.OpenSecret(s.Keyring, w.Ref, *w.Package)
	if err != nil {
		return err
	}
	p, err := s.Open(w.Package.File, secret)
	if err != nil {
		return err
	}
	defer p.Close()
	first, end := req.GetOffset(), p.Size()
	if first > end {
		return fault.BadField("offset", "lies beyond the end of the package").With("sizeBytes", strconv.FormatInt(end, 10))
	}
	if n := req.GetLimit(); n > 0 && n < end-first {
		end = first + n
	}
	outbox.Detail(ctx, "sha256", w.Package.SHA256)
	outbox.Detail(ctx, "offset", strconv.FormatInt(first, 10))
	outbox.Detail(ctx, "bytes", strconv.FormatInt(end-first, 10))
	return send(p, first, end, stream)
}

// fetchable says why a package cannot be fetched, where it cannot.
func (s *Server) fetchable(w *export.Work) error {
	switch {
	case w.State == export.Expired, w.Package != nil && !s.Clock.Now().Before(w.Expires):
		return fault.New(fault.Gone, "PACKAGE_EXPIRED", "The package was deleted at the end of its time. Ask for a new export.")
	case w.Package == nil && w.Finished():
		return fault.New(fault.Precondition, "NO_PACKAGE", "This export ended without a package. Ask for a new export.").
			With("state", string(w.State))
	case w.Package == nil:
		return fault.New(fault.Precondition, "PACKAGE_NOT_READY", "The package is not sealed yet. Watch the export, and fetch it then.").
			With("state", string(w.State))
	}
	return nil
}

func send(p io.ReaderAt, first, end int64, stream grpc.ServerStreamingServer[exportv1.PackageChunk]) error {
	for at := first; at < end; {
		// A buffer of its own for each message: the transport may still hold the last one.
		buf := make([]byte, min(chunkSize, end-at))
		n, err := p.ReadAt(buf, at)
		if err != nil && (!errors.Is(err, io.EOF) || n < len(buf)) {
			return err
		}
		if err := stream.Send(&exportv1.PackageChunk{Data: buf}); err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}
