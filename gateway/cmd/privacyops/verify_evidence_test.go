package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// zipOf makes a ZIP of empty members with the names; the last one claims to unpack to that many bytes.
func zipOf(t *testing.T, claim uint64, names ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i, name := range names {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		if i == len(names)-1 {
			h.UncompressedSize64 = claim
		}
		if _, err := z.CreateRaw(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestVerifyEvidenceExitCodes: what is no package, or is made to harm, is unusable; what claims to be one and is not as one is, is not
// verified.
func TestVerifyEvidenceExitCodes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file    []byte
		command verifyEvidenceCommand
		want    int
	}{
		"text":                {file: []byte("this is no package"), want: exitUnusable},
		"nothing":             {file: []byte{}, want: exitUnusable},
		"a ZIP":               {file: zipOf(t, 0, "photos/1.jpg"), want: exitUnusable},
		"a ZIP of a ZIP":      {file: zipOf(t, 0, "evidence.zip"), want: exitUnusable},
		"a bomb":              {file: zipOf(t, 1<<40, "manifest.json"), want: exitUnusable},
		"out of the folder":   {file: zipOf(t, 0, "manifest.json", "../../.bashrc"), want: exitUnusable},
		"one name twice":      {file: zipOf(t, 0, "manifest.json", "manifest.json"), want: exitUnusable},
		"a damaged package":   {file: zipOf(t, 0, "leaves.bin", "manifest.json"), want: exitNotVerified},
		"no key of a witness": {file: zipOf(t, 0, "leaves.bin"), command: verifyEvidenceCommand{WitnessKey: []string{"a+b+c"}}, want: exitUnusable},
		"no policy there":     {file: zipOf(t, 0, "leaves.bin"), command: verifyEvidenceCommand{WitnessPolicy: "/nowhere"}, want: exitUnusable},
		"no file there":       {command: verifyEvidenceCommand{File: "/nowhere"}, want: exitUnusable},
		"a folder":            {command: verifyEvidenceCommand{File: "."}, want: exitUnusable},
	} {
		if c.file != nil {
			c.command.File = filepath.Join(t.TempDir(), "evidence.zip")
			if err := os.WriteFile(c.command.File, c.file, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var code exitError
		if err := c.command.Run(); !errors.As(err, &code) || int(code) != c.want {
			t.Errorf("%s: %v, want %d", name, err, c.want)
		}
	}
}
