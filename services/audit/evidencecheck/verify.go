package evidencecheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/services/audit/internal/dossier"
	"github.com/privacyops/privacyops/services/audit/internal/entryline"
)

// Bounds of what is read into memory.
const (
	maxManifest = dossier.MaxMembers * 500
	maxSmall    = 16 << 20 // checkpoint, figures, a certificate, a line of the register
	maxLine     = 4 << 20
	// maxBraces is how many objects a manifest has beside those of its files.
	maxBraces = 4096
)

// Verify checks a package, `size` bytes of r. It returns ErrUnusable for a file that is no package of this format, ErrTrust for an
// unreadable pinned key, a *VerifyError that names check, file and index for a package that does not verify, and any other error for a
// file that cannot be read. With an error, only Report.Passed is set.
func Verify(r io.ReaderAt, size int64, trust Trust) (Report, error) {
	return verify(r, size, trust, entryline.Read)
}

func verify(r io.ReaderAt, size int64, trust Trust, read dossier.Read) (Report, error) {
	v := &verifier{trust: trust, read: read, report: Report{CertificateKeys: []string{}, DoesNotProve: []string{}, Witnesses: Witnesses{By: []Witness{}}}}
	for _, key := range append(append([]string{}, trust.LogKeys...), trust.CertificateKeys...) {
		if _, err := note.NewVerifier(key); err != nil {
			return v.report, ErrTrust
		}
	}
	var err error
	if v.pins, err = readPins(trust); err != nil {
		return v.report, err
	}
	if err := v.open(r, size); err != nil {
		return Report{}, err
	}
	for _, step := range []struct {
		check Check
		do    func() error
	}{
		{CheckManifest, v.readManifest}, {CheckSignature, v.signature}, {CheckFiles, v.files}, {CheckCheckpoint, v.checkpoint},
		{CheckWitnesses, v.witnesses},
		{CheckProof, v.proof}, {CheckEvents, v.events}, {CheckCompleteness, v.completeness}, {CheckCertificates, v.certificates},
		{CheckFigures, v.figures}, {CheckRegister, v.register}, {CheckReport, v.reports},
	} {
		if err := step.do(); err != nil {
			return Report{Passed: v.report.Passed}, v.failure(step.check, err)
		}
		v.report.Passed = append(v.report.Passed, step.check)
	}
	return v.report, nil
}

// verifier goes through one package.
type verifier struct {
	trust     Trust
	pins      pins
	read      dossier.Read
	report    Report
	container *dossier.Container
	members   map[string]*dossier.Member
	raw       []byte // the manifest's bytes
	manifest  dossier.Manifest
	key       note.Verifier
	trees     []tree
	tally     *dossier.Tally
	walked    walked
	announced map[dossier.Hash]bool // statements of certificates that events announce
}

// failure gives an error of a check its form.
func (v *verifier) failure(check Check, err error) error {
	var failed *VerifyError
	if errors.As(err, &failed) {
		if failed.Check == "" {
			failed.Check = check
		}
		return failed
	}
	if errors.Is(err, ErrUnusable) {
		return err
	}
	return &VerifyError{Check: check, Detail: err.Error()}
}

func bad(file, format string, args ...any) *VerifyError {
	return &VerifyError{File: file, Detail: fmt.Sprintf(format, args...)}
}

func (e *VerifyError) at(index uint64) *VerifyError {
	e.Index, e.HasIndex = index, true
	return e
}

// open checks the container. A file that is no ZIP, or has no manifest, is no package.
func (v *verifier) open(r io.ReaderAt, size int64) error {
	c, err := dossier.OpenContainer(r, size)
	if errors.Is(err, dossier.ErrHostile) {
		return fmt.Errorf("%w: %s", ErrUnusable, strings.TrimPrefix(err.Error(), "dossier: "))
	}
	if err != nil {
		if !looksLikePackage(r, size) {
			return ErrUnusable
		}
		return &VerifyError{Check: CheckContainer, Detail: strings.TrimPrefix(err.Error(), "dossier: ")}
	}
	v.container, v.members = c, map[string]*dossier.Member{}
	if !slices.ContainsFunc(c.Members, func(m *dossier.Member) bool { return m.Path == dossier.ManifestPath }) {
		return ErrUnusable
	}
	for _, m := range c.Members {
		if !dossier.Known(m.Path) {
			return &VerifyError{Check: CheckContainer, File: m.Path, Detail: "is no file of an evidence package"}
		}
		v.members[m.Path] = m
	}
	v.report.Passed = append(v.report.Passed, CheckContainer)
	return nil
}

// looksLikePackage tells a damaged package from something else: it begins with the first member of one, or ends with its last.
func looksLikePackage(r io.ReaderAt, size int64) bool {
	head, tail := make([]byte, min(size, 64)), make([]byte, min(size, 4096))
	_, err1 := r.ReadAt(head, 0)
	_, err2 := r.ReadAt(tail, size-int64(len(tail)))
	if (err1 != nil && !errors.Is(err1, io.EOF)) || (err2 != nil && !errors.Is(err2, io.EOF)) {
		return false
	}
	return bytes.Contains(head, []byte(dossier.LeavesPath)) || bytes.Contains(tail, []byte(dossier.SignaturePath)) ||
		bytes.Contains(tail, []byte(dossier.ManifestPath))
}

// small reads a member that fits into memory.
func (v *verifier) small(path string, limit int64) ([]byte, error) {
	m := v.members[path]
	if m == nil {
		return nil, bad(path, "is missing")
	}
	if m.Size > limit {
		return nil, bad(path, "is larger than such a file can be")
	}
	r, err := m.Open()
	if err != nil {
		return nil, bad(path, "cannot be unpacked")
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, bad(path, "cannot be unpacked, or is not what its checksum says")
	}
	return raw, nil
}

// readManifest reads the manifest. It must be the one spelling of what it says.
func (v *verifier) readManifest() (err error) {
	if v.raw, err = v.small(dossier.ManifestPath, maxManifest); err != nil {
		return err
	}
	if bytes.Count(v.raw, []byte("{")) > len(v.container.Members)+maxBraces { // before they become so many values in memory
		return bad(dossier.ManifestPath, "lists more than the package has")
	}
	d := json.NewDecoder(bytes.NewReader(v.raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&v.manifest); err != nil {
		if !bytes.Contains(v.raw, []byte(dossier.Format)) {
			return ErrUnusable
		}
		return bad(dossier.ManifestPath, "cannot be read")
	}
	if v.manifest.Format != dossier.Format {
		return ErrUnusable
	}
	again, err := v.manifest.Marshal()
	if err != nil || !bytes.Equal(again, v.raw) {
		return bad(dossier.ManifestPath, "is not in the form that packages have")
	}
	m := &v.manifest
	if !m.StartTime.Before(m.EndTime) || !strings.HasPrefix(m.Evidence, "controllers/"+m.Controller+"/evidence/") {
		return bad(dossier.ManifestPath, "contradicts itself")
	}
	r := &v.report
	r.Controller, r.Evidence, r.StartTime, r.EndTime, r.CreateTime = m.Controller, m.Evidence, m.StartTime, m.EndTime, m.CreateTime
	r.Origin, r.LogKey, r.TreeSize = m.Log.Origin, m.Log.Key, m.Log.Size
	for _, t := range m.DoesNotProve {
		r.DoesNotProve = append(r.DoesNotProve, t.En)
	}
	return nil
}
