package evidencecheck

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"

	"github.com/privacyops/privacyops/libs/certificate"
	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

// certificates verifies each erasure certificate, against the keys that are trusted or against the package's own log.
func (v *verifier) certificates() error {
	trust := certificate.Trust{CertificateKeys: v.trust.CertificateKeys, LogKeys: v.trust.LogKeys}
	if len(trust.LogKeys) == 0 {
		trust.LogKeys = []string{v.manifest.Log.Key}
	}
	v.report.CertificatesPinned = len(trust.CertificateKeys) > 0
	for _, f := range v.manifest.Files {
		if !strings.HasPrefix(f.Path, dossier.CertificateFolder) {
			continue
		}
		if err := v.certificate(f.Path, trust); err != nil {
			return err
		}
	}
	if v.report.Certificates != v.manifest.Counts.Certificates {
		return bad(dossier.ManifestPath, "counts %d certificates, and there are %d", v.manifest.Counts.Certificates, v.report.Certificates)
	}
	v.report.Unmatched = int64(len(v.announced))
	return nil
}

func (v *verifier) certificate(path string, trust certificate.Trust) error {
	raw, err := v.small(path, certificate.MaxSize)
	if err != nil {
		return err
	}
	found, err := certificate.Verify(raw, trust)
	if err != nil {
		return bad(path, "does not verify: %s", err)
	}
	s := &found.Statement
	issued := s.IssuedTime.Time
	name := s.Erasure[strings.LastIndexByte(s.Erasure, '/')+1:]
	if s.Controller != v.manifest.Controller || path != dossier.CertificateFolder+name+".json" ||
		issued.Before(v.manifest.StartTime) || !issued.Before(v.manifest.EndTime) {
		return bad(path, "is not of this controller and period")
	}
	if !slices.Contains(v.report.CertificateKeys, found.CertificateKey) {
		v.report.CertificateKeys = append(v.report.CertificateKeys, found.CertificateKey)
	}
	delete(v.announced, sha256.Sum256([]byte(found.StatementSHA256)))
	v.report.Certificates++
	v.tally.Certificate(s)
	return nil
}

// figures counts the numbers behind the report anew.
func (v *verifier) figures() error {
	raw, err := v.small(dossier.FiguresPath, maxSmall)
	if err != nil {
		return err
	}
	want, err := v.tally.Figures().Marshal()
	if err != nil || !bytes.Equal(raw, want) {
		return bad(dossier.FiguresPath, "its numbers do not follow from events and certificates")
	}
	return nil
}

// register checks that the register's files can be read.
func (v *verifier) register() error {
	controller, err := v.small(dossier.ControllerPath, maxSmall)
	if err != nil {
		return err
	}
	if !json.Valid(controller) {
		return bad(dossier.ControllerPath, "cannot be read")
	}
	versions, err := v.stream(dossier.ActivitiesPath)
	if err != nil {
		return err
	}
	defer versions.Close()
	scan := bufio.NewScanner(versions)
	scan.Buffer(nil, maxLine)
	var count int64
	for ; scan.Scan(); count++ {
		if !json.Valid(scan.Bytes()) {
			return bad(dossier.ActivitiesPath, "line %d cannot be read", count+1)
		}
	}
	if scan.Err() != nil || count != v.manifest.Counts.ActivityVersions {
		return bad(dossier.ActivitiesPath, "has not the %d versions that the manifest counts", v.manifest.Counts.ActivityVersions)
	}
	return nil
}

// reports checks that the pages for people are pages, and neither run nor load anything.
func (v *verifier) reports() error {
	for _, path := range []string{dossier.DanishPath, dossier.EnglishPath, dossier.ReadmePath} {
		page, err := v.small(path, maxSmall)
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(page, []byte("<!doctype html>")) {
			return bad(path, "is no page")
		}
		for _, no := range []string{"<script", "<iframe", "<object", "<embed", "<link", " src=", "javascript:"} {
			if bytes.Contains(bytes.ToLower(page), []byte(no)) {
				return bad(path, "runs or loads something")
			}
		}
	}
	return nil
}
