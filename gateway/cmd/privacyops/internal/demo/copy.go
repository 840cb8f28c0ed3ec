package demo

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

// waiting bounds how long the story waits for work to be done.
const waiting = 60 * time.Second

// export asks for a copy of the pupil's data, opens it, and checks every file against the manifest.
func (s *story) export(ctx context.Context) error {
	s.chapter("A copy of everything about one pupil (art. 15)")
	var e exportv1.Export
	if err := s.dpo.Post(ctx, path("exports"), &exportv1.CreateExportRequest{Subject: s.subject(), Kind: exportv1.Export_ACCESS}, &e); err != nil {
		return err
	}
	for begin := time.Now(); e.GetState() != exportv1.Export_READY; {
		if s := e.GetState(); s == exportv1.Export_FAILED || s == exportv1.Export_PARTIAL || time.Since(begin) > waiting {
			return fmt.Errorf("the export is %s", e.GetState())
		}
		time.Sleep(50 * time.Millisecond)
		if err := s.dpo.Get(ctx, "/v1/"+e.GetName(), &e); err != nil {
			return err
		}
	}
	file, err := s.dpo.Raw(ctx, http.MethodGet, "/v1/"+e.GetName()+"/package", "", nil)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(file); hex.EncodeToString(sum[:]) != e.GetPackage().GetSha256() {
		return errors.New("the package is not the one whose hash was announced")
	}
	files, err := s.open(file)
	if err != nil {
		return err
	}
	for _, sys := range e.GetSystems() {
		s.records += sys.GetRecords()
	}
	s.say("package of %d KiB: %d records, %d files, each with the hash that the manifest says; README.html for people", len(file)/1024, s.records, files)
	for _, o := range e.GetOmissions() {
		what := strings.TrimSpace(o.GetDataset() + " " + o.GetColumn())
		s.say("left out: %2d × %-32s %s (%s)", o.GetCount(), what, o.GetGround(), o.GetArticle())
	}
	if s.records == 0 {
		return errors.New("the package holds no record")
	}
	return nil
}

// open opens the package and compares its files with the manifest.
func (s *story) open(file []byte) (int, error) {
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return 0, fmt.Errorf("the package is no ZIP: %w", err)
	}
	content := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return 0, err
		}
		content[f.Name], err = io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			return 0, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	var manifest struct {
		Files []struct {
			Path   string `json:"path"`
			SHA256 string `json:"sha256"`
		} `json:"files"`
	}
	if err := json.Unmarshal(content["manifest.json"], &manifest); err != nil {
		return 0, fmt.Errorf("manifest.json: %w", err)
	}
	listed := map[string]bool{"manifest.json": true, "manifest.sig": true}
	for _, f := range manifest.Files {
		listed[f.Path] = true
		if sum := sha256.Sum256(content[f.Path]); hex.EncodeToString(sum[:]) != f.SHA256 {
			return 0, fmt.Errorf("%s is not what the manifest says", f.Path)
		}
	}
	for name := range content {
		if !listed[name] {
			return 0, fmt.Errorf("%s is in the package and not in the manifest", name)
		}
	}
	if len(content["README.html"]) == 0 {
		return 0, errors.New("README.html is missing")
	}
	return len(manifest.Files), nil
}
