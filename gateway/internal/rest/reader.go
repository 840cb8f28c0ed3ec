package rest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/privacyops/privacyops/gateway/internal/problem"
	"github.com/privacyops/privacyops/libs/fault"
)

// packageReader reads a package of known size from the service, from wherever it is positioned. It asks the service for
// nothing before the first read.
type packageReader struct {
	ctx  context.Context //nolint:containedctx // io.Reader has no other place for it
	read func(ctx context.Context, offset int64) (next func() ([]byte, error), err error)
	size int64

	offset int64
	next   func() ([]byte, error)
	cancel context.CancelFunc
	chunk  []byte
	err    error // why reading broke off
}

// Seek positions the reader.
func (p *packageReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += p.offset
	case io.SeekEnd:
		offset += p.size
	}
	if offset < 0 || offset > p.size {
		return 0, errors.New("rest: seek outside the package")
	}
	if offset != p.offset {
		p.close()
	}
	p.offset = offset
	return offset, nil
}

// Read reads on from the position.
func (p *packageReader) Read(b []byte) (int, error) {
	if p.offset >= p.size {
		return 0, io.EOF
	}
	for len(p.chunk) == 0 {
		if err := p.receive(); err != nil {
			p.err = err
			return 0, err
		}
	}
	n := copy(b, p.chunk[:min(int64(len(p.chunk)), p.size-p.offset)])
	p.chunk, p.offset = p.chunk[n:], p.offset+int64(n)
	return n, nil
}

func (p *packageReader) receive() error {
	if p.next == nil {
		ctx, cancel := context.WithCancel(p.ctx)
		next, err := p.read(ctx, p.offset)
		if err != nil {
			cancel()
			return err
		}
		p.next, p.cancel = next, cancel
	}
	piece, err := p.next()
	if errors.Is(err, io.EOF) {
		return fault.New(fault.Internal, "PACKAGE_TRUNCATED", "Internal error.").Because(io.ErrUnexpectedEOF)
	}
	p.chunk = piece
	return err
}

// close gives up a running stream.
func (p *packageReader) close() {
	if p.cancel != nil {
		p.cancel()
	}
	p.next, p.cancel, p.chunk = nil, nil, nil
}

// lateHeader holds an answer's header back until its first byte is there, so that a package that cannot be read is an error
// and not an empty file. Errors of http.ServeContent keep their status and lose their text.
type lateHeader struct {
	http.ResponseWriter
	conn   *http.ResponseController
	status int
	sent   bool
}

// WriteHeader remembers the status.
func (l *lateHeader) WriteHeader(status int) { l.status = status }

// Write sends a piece of the body, after the header.
func (l *lateHeader) Write(b []byte) (int, error) {
	if l.status >= http.StatusBadRequest {
		return len(b), nil
	}
	l.send()
	// A connection without deadlines (a test's recorder) is bounded by its context.
	_ = l.conn.SetWriteDeadline(time.Now().Add(stallTime))
	return l.ResponseWriter.Write(b)
}

func (l *lateHeader) send() {
	if !l.sent {
		l.sent = true
		l.ResponseWriter.WriteHeader(l.status)
	}
}

// finish sends the header of an answer without a body, or gives the error to answer with.
func (l *lateHeader) finish(readErr error) error {
	switch {
	case l.sent:
		return nil
	case readErr != nil:
		return readErr
	case l.status == http.StatusRequestedRangeNotSatisfiable:
		return problem.Refuse(l.status, fault.Invalid, "RANGE_NOT_SATISFIABLE", "The range lies outside the package.")
	case l.status == http.StatusPreconditionFailed:
		return problem.Refuse(l.status, fault.Precondition, "ETAG_MISMATCH", "The package is another one than the header names.")
	case l.status >= http.StatusBadRequest:
		return fault.New(fault.Internal, "INTERNAL", "Internal error.")
	}
	l.send()
	return nil
}
