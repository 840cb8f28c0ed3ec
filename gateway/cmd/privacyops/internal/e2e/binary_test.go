package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
)

// built is the real program, made once.
var built struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// binary builds the program that people run.
func binary(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		//nolint:usetesting // several tests run it: it outlives the first of them
		if built.dir, built.err = os.MkdirTemp("", "privacyops-e2e-"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.dir, "privacyops")
		out, err := exec.Command("go", "build", "-o", built.path, "github.com/privacyops/privacyops/gateway/cmd/privacyops").CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	must(t, built.err)
	return built.path
}

func TestMain(m *testing.M) {
	if servePeer() || holdLock() {
		return
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil { // the longest ones wait for an alert
		panic(err)
	}
	code := pgtest.Main(m)
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}
