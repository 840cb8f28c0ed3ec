package roster

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
)

// Limits bounds what [Parse] reads. A zero field takes the default.
type Limits struct {
	// MaxBytes is the length of the document; default 128 MiB, about 250,000 people.
	MaxBytes int64
	// MaxPeople is the number of entries; default 250,000.
	MaxPeople int
	// MaxDepth is the depth of nested elements; default 32 (an extract in its envelope has 9).
	MaxDepth int
	// MaxText is the length in bytes of a value that is read; default 1024.
	MaxText int
}

func (l Limits) orDefault() Limits {
	def := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	if l.MaxBytes <= 0 {
		l.MaxBytes = 128 << 20
	}
	def(&l.MaxPeople, 250_000)
	def(&l.MaxDepth, 32)
	def(&l.MaxText, 1024)
	return l
}

// rootName is the local name of the small package's document element.
const rootName = "UNILoginExportSmall"

// Parse reads one extract to its end. Each error is a [*ParseError].
//
// With [ErrTruncated] the Extract holds what was read so far and says Truncated, so that [Diff] can record the attempt as held; with any
// other error it is empty.
func Parse(r io.Reader, limits Limits) (Extract, error) {
	limits = limits.orDefault()
	in := &boundedReader{r: r, left: limits.MaxBytes}
	p := &parser{
		dec:    xml.NewDecoder(in),
		limits: limits,
		places: map[UserID]int{},
		listed: map[listing]Roles{},
		groups: map[string]bool{},
		mains:  map[string]int{},
		warned: map[WarningCode]int{},
	}
	err := p.run()
	if in.err != nil {
		err = in.err
	}
	if err == nil {
		return p.finish(), nil
	}
	line, _ := p.dec.InputPos()
	reason := classify(err)
	failure := &ParseError{Err: reason, Line: line}
	if errors.Is(reason, ErrRead) {
		failure.cause = err
	}
	if errors.Is(reason, ErrTruncated) {
		p.extract.Truncated = true
		return p.finish(), failure
	}
	return Extract{}, failure
}

// classify maps what went wrong to one of the package's errors. Errors of the decoder are known only by their words.
func classify(err error) error {
	for _, known := range []error{ErrNotRoster, ErrTruncated, ErrEncoding, ErrTooLarge, ErrForbidden, ErrDuplicate} {
		if errors.Is(err, known) {
			return known
		}
	}
	var syntax *xml.SyntaxError
	switch {
	case errors.As(err, &syntax) && syntax.Msg == "unexpected EOF", errors.Is(err, io.ErrUnexpectedEOF):
		return ErrTruncated
	case errors.As(err, &syntax) && syntax.Msg == "invalid UTF-8":
		return ErrEncoding
	case errors.As(err, &syntax) && strings.HasPrefix(syntax.Msg, "invalid character entity"):
		return ErrForbidden
	case errors.As(err, &syntax):
		return ErrNotRoster
	case strings.HasPrefix(err.Error(), "xml: encoding"):
		return ErrEncoding
	case strings.HasPrefix(err.Error(), "xml:"):
		return ErrNotRoster
	default:
		return ErrRead
	}
}

// boundedReader fails with ErrTooLarge beyond its bound, and remembers a failure of the reader below, which the decoder would wrap or
// mistake for the end of the document.
type boundedReader struct {
	r    io.Reader
	left int64
	err  error
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left < 0 {
		b.err = ErrTooLarge
		return 0, b.err
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one byte more than allowed tells the end from too much
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		b.err = ErrTooLarge
		return 0, b.err
	}
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// parseExportTime reads an xs:dateTime. One without a zone is Danish local time, as the roster service's own clock.
func parseExportTime(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC(), nil
	}
	t, err := time.ParseInLocation("2006-01-02T15:04:05.999999999", s, clock.DefaultZone())
	if err != nil {
		return time.Time{}, ErrNotRoster
	}
	return t.UTC(), nil
}
