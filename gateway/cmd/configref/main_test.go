package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReference(t *testing.T) {
	t.Chdir("../../..") // where make generate runs it
	var out strings.Builder
	if err := write(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| `--tls-dir` | `PRIVACYOPS_TLS_DIR` | *required* | Folder with authority.crt, and &lt;service>.crt",
		"\n## gatewayd\n",
		"| `--exclusive` | `PRIVACYOPS_EXCLUSIVE` | *off* |",
		"| `--log-level` | `PRIVACYOPS_LOG_LEVEL` | `info` | Least severe level that is logged. One of: debug, info, warn, error. |",
		"\n### privacyops token\n",
		"\n### privacyops verify certificate",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in the reference", want)
		}
	}
	// Once for all services, once for the suite.
	if n := strings.Count(out.String(), "`PRIVACYOPS_LOG_LEVEL`"); n != 2 {
		t.Errorf("the log level is told %d times, want 2", n)
	}
}

// TestUnknownType: a declaration that cannot be rebuilt stops the generation.
func TestUnknownType(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"a type of another package": "package main\ntype cli struct { Addr netip.Addr }\n",
		"a struct that is missing":  "package main\ntype cli struct { Serve serveCommand }\n",
		"no command line":           "package main\n",
		"a function":                "package main\ntype cli struct { F func() }\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := suiteModel(dir); err == nil {
				t.Error("a model was made")
			}
		})
	}
}
