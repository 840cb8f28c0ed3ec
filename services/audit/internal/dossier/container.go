package dossier

import (
	"archive/zip"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// ErrContainer says that a file is a ZIP, but not one that this package writes: something was added to it or altered.
var ErrContainer = errors.New("dossier: the container is not as a package's is")

// ErrHostile says that a file is made to harm who opens it: it has more members than anybody could list, claims to unpack to more than
// it can, or would unpack to somewhere else.
var ErrHostile = errors.New("dossier: the container is hostile")

// Bounds of what a verifier reads into memory, and of what a package may unpack to.
const (
	// MaxMembers is how many members a package has at most: a certificate each, beside those that every package has.
	MaxMembers   = 100_000
	maxDirectory = MaxMembers * 200
	maxExpansion = 1100 // DEFLATE cannot do more
)

// Container is an opened package. Its frame (everything but the members' content) was checked byte for byte.
type Container struct {
	// Members in the order of the file.
	Members []*Member
}

// Member is a member of an opened package.
type Member struct {
	Path string
	Size int64
	// Packed is whether it is compressed; manifest and signature are not.
	Packed       bool
	StoredSize   int64
	StoredSHA256 string
	file         *zip.File
}

// Open opens the member's content. What is read is checked against the ZIP's own checksum and size.
func (m *Member) Open() (io.ReadCloser, error) { return m.file.Open() }

// OpenContainer opens a package and checks its frame: written anew from what the members are, the file must come out the same.
func OpenContainer(r io.ReaderAt, size int64) (*Container, error) {
	if err := boundDirectory(r, size); err != nil {
		return nil, err
	}
	archive, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, fmt.Errorf("%w: %w", ErrContainer, err)
	}
	if err := harmless(archive.File); err != nil {
		return nil, err
	}
	c, same := &Container{}, &matcher{of: r}
	again := zip.NewWriter(same)
	for _, f := range archive.File {
		m, err := copyMember(again, f)
		if err != nil {
			return nil, err
		}
		c.Members = append(c.Members, m)
	}
	if err := again.Close(); err != nil {
		return nil, err
	}
	if same.at != size {
		return nil, fmt.Errorf("%w: there are bytes behind its end", ErrContainer)
	}
	return c, nil
}

// copyMember writes a member as [Writer] would, with its compressed bytes as they are.
func copyMember(again *zip.Writer, f *zip.File) (*Member, error) {
	if f.Method != zip.Deflate && f.Method != zip.Store {
		return nil, fmt.Errorf("%w: a member is compressed in another way", ErrContainer)
	}
	raw, err := f.OpenRaw()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContainer, err)
	}
	to, err := again.CreateRaw(canonicalHeader(f))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContainer, err)
	}
	stored := newMeter(to)
	if _, err := io.Copy(stored, raw); err != nil {
		return nil, fmt.Errorf("%w: at member %q", errors.Join(ErrContainer, err), f.Name)
	}
	return &Member{Path: f.Name, Size: int64(f.UncompressedSize64), Packed: f.Method == zip.Deflate,
		StoredSize: stored.size, StoredSHA256: stored.sum(), file: f}, nil
}

// canonicalHeader is the header that [Writer] gives a member.
func canonicalHeader(f *zip.File) *zip.FileHeader {
	return &zip.FileHeader{
		Name: f.Name, Method: f.Method, Flags: 0x8, CreatorVersion: 20, ReaderVersion: 20, Modified: memberTime,
		ModifiedDate: 1<<5 | 1, CRC32: f.CRC32, CompressedSize64: f.CompressedSize64, UncompressedSize64: f.UncompressedSize64, //nolint:staticcheck // a raw header takes the time in this form only
		Extra: mustHex("5554050001" + "00a6ce12"), // the time once more, as seconds since 1970
	}
}

func mustHex(s string) []byte {
	raw, err := hex.DecodeString(s)
	if err != nil {
		panic(err) // a constant
	}
	return raw
}

// matcher takes what is written only if it is what a file has at the same place.
type matcher struct {
	of  io.ReaderAt
	at  int64
	buf []byte
}

func (m *matcher) Write(p []byte) (int, error) {
	if cap(m.buf) < len(p) {
		m.buf = make([]byte, len(p))
	}
	have := m.buf[:len(p)]
	if _, err := m.of.ReadAt(have, m.at); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if i := firstDifference(have, p); i >= 0 {
		return 0, fmt.Errorf("%w: byte %d", ErrContainer, m.at+int64(i))
	}
	m.at += int64(len(p))
	return len(p), nil
}

func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}
