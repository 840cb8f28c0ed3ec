package storagetest

import (
	"os"
	"testing" //nolint:depguard // it serves tests
	"time"
)

// Folder gives a folder for a log, which is removed when the test ends. Tessera may still end a write for a moment after a log of it
// was closed, which testing.T.TempDir takes for a fault of the test.
func Folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "log-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 100 {
			if err = os.RemoveAll(dir); err == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("the log's folder cannot be removed: %v", err)
	})
	return dir
}
