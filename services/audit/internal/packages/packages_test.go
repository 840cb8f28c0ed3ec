package packages_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/privacyops/privacyops/services/audit/internal/evidence"
	"github.com/privacyops/privacyops/services/audit/internal/packages"
)

const file = evidence.FileID("0190d3c0-0000-7000-8000-000000000001")

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestFolder: what was written is read again, at any place, with its secret only; on the disk there is nothing of it.
func TestFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "evidence")
	f, err := packages.Open(dir)
	must(t, err)
	content := bytes.Repeat([]byte("what the log says. "), 9000)
	d, err := f.Create(file)
	must(t, err)
	_, err = d.Write(content)
	must(t, err)
	sum, size, secret, err := d.Finish()
	must(t, err)
	d.Abort() // does nothing any more
	if size != int64(len(content)) || len(sum) != 64 {
		t.Errorf("%d bytes, sum %q", size, sum)
	}
	raw, err := os.ReadFile(filepath.Join(dir, string(file)+".age"))
	must(t, err)
	if bytes.Contains(raw, []byte("what the log says")) {
		t.Error("the file on the disk can be read")
	}
	c, err := f.Open(file, secret)
	must(t, err)
	defer c.Close()
	got, err := io.ReadAll(io.NewSectionReader(c, 70_000, 1000))
	must(t, err)
	if !bytes.Equal(got, content[70_000:71_000]) || c.Size() != size {
		t.Error("it reads otherwise than it was written")
	}
	_, _, other, err := second(t, f)
	must(t, err)
	if _, err := f.Open(file, other); err == nil {
		t.Error("it opens with another file's secret")
	}
	must(t, f.Remove(file))
	if _, err := f.Open(file, secret); err == nil {
		t.Error("a removed file opens")
	}
}

func second(t *testing.T, f *packages.Folder) (string, int64, string, error) {
	t.Helper()
	d, err := f.Create("0190d3c0-0000-7000-8000-000000000002")
	must(t, err)
	return d.Finish()
}

// TestAbortedAndHostile: an aborted draft leaves nothing, and no name leads out of the folder.
func TestAbortedAndHostile(t *testing.T) {
	t.Parallel()
	f, err := packages.Open(t.TempDir())
	must(t, err)
	d, err := f.Create(file)
	must(t, err)
	if left, err := f.List(); err != nil || len(left) != 1 {
		t.Errorf("a draft is not listed: %v, %v", left, err)
	}
	d.Abort()
	if left, err := f.List(); err != nil || len(left) != 0 {
		t.Errorf("an aborted draft leaves %v, %v", left, err)
	}
	if _, err := f.Create("../../../etc/passwd-0000-000000000000"); err == nil {
		t.Error("a name leads out of the folder")
	}
}
