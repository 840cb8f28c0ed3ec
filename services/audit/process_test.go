package audit_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/telemetry"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit"
)

// runServe is the audit service as it is installed: cmd/auditd, with its settings from the environment.
func runServe() error {
	var c audit.Command
	parser, err := kong.New(&c)
	if err == nil {
		_, err = parser.Parse(nil)
	}
	if err != nil {
		return err
	}
	if keyTime, err := time.ParseDuration(os.Getenv(keyTimeVariable)); err == nil {
		c.ForgetKeysAfter(keyTime)
	}
	return c.Run(context.Background())
}

// process is the whole service as a process of its own, with all that it writes.
type process struct {
	*suite
	cmd *exec.Cmd
	// out is the folder of what it says: its log, spans and metrics. The data are in suite.dir.
	out   string
	admin string
}

// keyTimeVariable tells a process how long it keeps unwrapped keys.
const keyTimeVariable = "PRIVACYOPS_AUDIT_KEY_TIME"

// startProcess starts the service with its keys in a database, by default a file in its folder, and for a time in its memory.
func startProcess(t *testing.T, keysDatabase string, keyTime time.Duration) *process {
	t.Helper()
	dir, out := t.TempDir(), t.TempDir()
	if keysDatabase == "" {
		keysDatabase = "sqlite:" + filepath.Join(dir, "audit-keys.db")
	}
	p := &process{suite: &suite{dir: dir}, out: out, admin: freeAddress(t)}
	var err error
	if p.ca, err = server.NewAuthority(filepath.Join(dir, "certs"), time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.ca.Issue("audit"); err != nil {
		t.Fatal(err)
	}
	if p.issuer, err = access.OpenIssuer(dir); err != nil {
		t.Fatal(err)
	}
	if p.t, err = telemetry.New(context.Background(), telemetry.Config{Service: "erasure", Log: io.Discard}); err != nil {
		t.Fatal(err)
	}
	master := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, keyring.KeySize)) // that of testKeyring
	if err := keyring.WriteSecret(filepath.Join(dir, "master.key"), master); err != nil {
		t.Fatal(err)
	}
	p.peer = server.Peer{Service: "audit", Address: freeAddress(t)}
	p.run(t, map[string]string{
		victimVariable: "serve", keyTimeVariable: keyTime.String(), "OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "console",
		"PRIVACYOPS_LISTEN": p.peer.Address, "PRIVACYOPS_ADMIN": p.admin, "PRIVACYOPS_TLS_DIR": filepath.Join(dir, "certs"), "PRIVACYOPS_LOG_LEVEL": "debug",
		"PRIVACYOPS_MASTER_KEY_FILE": filepath.Join(dir, "master.key"), "PRIVACYOPS_ISSUER": access.DevelopmentIssuer,
		"PRIVACYOPS_AUDIENCE": access.DevelopmentAudience, "PRIVACYOPS_JWKS": access.JWKSPath(dir),
		"PRIVACYOPS_AUDIT_DATABASE": "sqlite:" + filepath.Join(dir, "audit.db"), "PRIVACYOPS_AUDIT_KEYS_DATABASE": keysDatabase,
		"PRIVACYOPS_AUDIT_LOG_DIR": filepath.Join(dir, "log"), "PRIVACYOPS_AUDIT_LOG_KEY_FILE": filepath.Join(dir, "log.key"), "PRIVACYOPS_AUDIT_ORIGIN": origin,
	})
	p.await(t)
	return p
}

func freeAddress(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	return lis.Addr().String()
}

func (p *process) run(t *testing.T, settings map[string]string) {
	t.Helper()
	p.cmd = exec.Command(os.Args[0], "-test.run=^$")
	p.cmd.Env = os.Environ()
	for name, value := range settings {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	for name, to := range map[string]*io.Writer{"stdout": &p.cmd.Stdout, "stderr": &p.cmd.Stderr} {
		f, err := os.Create(filepath.Join(p.out, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		*to = f
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() })
}

func (p *process) await(t *testing.T) {
	t.Helper()
	log := auditv1.NewAuditLogClient(p.as(t, "gateway"))
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_, err := log.GetCheckpoint(context.Background(), &auditv1.GetCheckpointRequest{})
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(filepath.Join(p.out, "stderr"))
			t.Fatalf("the service does not start: %v\n%s", err, said)
		}
	}
}

// metrics is what the service shows on its admin address.
func (p *process) metrics(t *testing.T) []byte {
	t.Helper()
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Get("http://" + p.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Contains(text, []byte("audit_queue_size")) {
		t.Fatalf("the metrics are %q (%v)", text, err)
	}
	return text
}

// dump is all of the process's memory that it can read and write, region by region: what a core dump holds.
func (p *process) dump(t *testing.T) [][]byte {
	t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid))
	maps, err := os.ReadFile(filepath.Join(proc, "maps"))
	if err != nil {
		t.Skip("there is no /proc here: the memory of a process cannot be read")
	}
	mem, err := os.Open(filepath.Join(proc, "mem"))
	if err != nil {
		t.Skip("the memory of another process cannot be read here")
	}
	defer mem.Close()
	var out [][]byte
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil || !strings.HasPrefix(rights, "rw") {
			continue
		}
		var region bytes.Buffer
		_, _ = io.Copy(&region, io.NewSectionReader(mem, from, to-from)) // special regions cannot be read
		if region.Len() > 0 {
			out = append(out, region.Bytes())
		}
	}
	return out
}

// filesOf reads all files of a folder that have a name with this in it.
func filesOf(t *testing.T, dir, in string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, in) {
			return err
		}
		out[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
