package e2e

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

func exportIsCollected(t *testing.T, w *world, p sample.Person) {
	t.Helper()
	c, e := w.as("dpo"), &exportv1.Export{}
	c.post(school+"/exports", &exportv1.CreateExportRequest{Subject: uniLogin(p), Kind: exportv1.Export_ACCESS, Language: "da"}, e)
	watch(c, "/v1/"+e.GetName()+":watch", func() *exportv1.Export { return &exportv1.Export{} }, func(m *exportv1.Export) bool {
		e = m
		return false // to the end of the stream
	})
	if e.GetState() != exportv1.Export_READY {
		t.Fatalf("the export ends %s: %v", e.GetState(), e.GetSystems())
	}
	path := "/v1/" + e.GetName() + "/package"
	content, err := c.Raw(t.Context(), http.MethodGet, path, "", nil)
	must(t, err)
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != e.GetPackage().GetSha256() || int64(len(content)) != e.GetPackage().GetSizeBytes() {
		t.Errorf("the package is %d bytes, not the %d bytes with the hash that were announced", len(content), e.GetPackage().GetSizeBytes())
	}
	rangeIsServed(t, c, path, content)
	manifestHolds(t, content, p)
}

func rangeIsServed(t *testing.T, c *client, path string, content []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.Base+path, nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Range", "bytes=1000-1999")
	resp, err := web.Do(req)
	must(t, err)
	defer resp.Body.Close()
	part, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusPartialContent || !bytes.Equal(part, content[1000:2000]) {
		t.Errorf("the range is answered %s with %d bytes that are not those of the package", resp.Status, len(part))
	}
}

// unzipped reads the files of a package.
func unzipped(t *testing.T, content []byte) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	must(t, err)
	files := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		must(t, err)
		files[f.Name], err = io.ReadAll(r)
		must(t, err)
	}
	return files
}

// manifestHolds checks every file of a package against its manifest.
func manifestHolds(t *testing.T, content []byte, p sample.Person) {
	t.Helper()
	files := unzipped(t, content)
	var manifest struct {
		Complete bool
		Files    []struct {
			Path    string
			SHA256  string
			Records int
		}
	}
	must(t, json.Unmarshal(files["manifest.json"], &manifest))
	listed := []string{"manifest.json", "manifest.sig"}
	for _, f := range manifest.Files {
		listed = append(listed, f.Path)
		if sum := sha256.Sum256(files[f.Path]); hex.EncodeToString(sum[:]) != f.SHA256 {
			t.Errorf("%s is not the file of the manifest", f.Path)
		}
		var records []map[string]any
		if strings.HasSuffix(f.Path, ".json") && (json.Unmarshal(files[f.Path], &records) != nil || len(records) != f.Records) {
			t.Errorf("%s does not hold %d records", f.Path, f.Records)
		}
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	slices.Sort(listed)
	if diff := cmp.Diff(listed, names); diff != "" || !manifest.Complete {
		t.Errorf("complete: %v; the files are not those of the manifest:\n%s", manifest.Complete, diff)
	}
	if profile := files["data/"+sample.System+"/profile.json"]; !bytes.Contains(profile, []byte(p.DisplayName)) {
		t.Errorf("the profile does not name the person: %s", profile)
	}
}
