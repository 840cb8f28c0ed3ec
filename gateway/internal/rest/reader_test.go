package rest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"google.golang.org/grpc"
	"pgregory.net/rapid"

	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

// packages streams content in pieces of a size.
type packages struct {
	exportv1.ExportsClient
	content []byte
	piece   int
	opened  int
}

type pieces struct {
	grpc.ClientStream
	rest  []byte
	piece int
}

func (p *packages) ReadPackage(_ context.Context, req *exportv1.ReadPackageRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[exportv1.PackageChunk], error) {
	p.opened++
	return &pieces{rest: p.content[req.GetOffset():], piece: p.piece}, nil
}

func (p *packages) read(ctx context.Context, offset int64) (func() ([]byte, error), error) {
	return piecewise(p.ReadPackage(ctx, &exportv1.ReadPackageRequest{Offset: offset}))
}

func (p *pieces) Recv() (*exportv1.PackageChunk, error) {
	if len(p.rest) == 0 {
		return nil, io.EOF
	}
	n := min(p.piece, len(p.rest))
	chunk := &exportv1.PackageChunk{Data: p.rest[:n]}
	p.rest = p.rest[n:]
	return chunk, nil
}

func TestPackageReaderIsAReadSeeker(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(rt, "content")
		p := &packages{content: content, piece: rapid.IntRange(1, 64).Draw(rt, "piece")}
		r := &packageReader{ctx: context.Background(), read: p.read, size: int64(len(content))}
		if err := iotest.TestReader(r, content); err != nil {
			rt.Fatal(err)
		}
	})
}

func TestPackageReaderAsksOnlyWhenRead(t *testing.T) {
	t.Parallel()
	p := &packages{content: bytes.Repeat([]byte("x"), 100), piece: 10}
	r := &packageReader{ctx: t.Context(), read: p.read, size: 100}
	for _, whence := range []int{io.SeekEnd, io.SeekStart} {
		if _, err := r.Seek(0, whence); err != nil {
			t.Fatal(err)
		}
	}
	if p.opened != 0 {
		t.Error("finding the size is a download")
	}
	if _, err := r.Seek(-1, io.SeekStart); err == nil {
		t.Error("a seek before the beginning")
	}
	if n, err := io.Copy(io.Discard, r); n != 100 || err != nil || p.opened != 1 {
		t.Errorf("%d bytes, %v, %d downloads", n, err, p.opened)
	}
}

// A package that is shorter than it says is an error, not a short file.
func TestPackageReaderNoticesTheEnd(t *testing.T) {
	t.Parallel()
	r := &packageReader{ctx: t.Context(), read: (&packages{content: []byte("short"), piece: 2}).read, size: 10}
	if _, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
}
