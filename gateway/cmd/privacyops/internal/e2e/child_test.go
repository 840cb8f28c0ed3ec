package e2e

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/suite"
	"github.com/privacyops/privacyops/libs/access"
)

// child runs the real program on a data folder, so that it can be killed as a machine that loses power is.
type child struct {
	world  *world
	cmd    *exec.Cmd
	words  *logLines // what it wrote on standard error in all its lives
	exited chan struct{}
	once   sync.Once
}

// newChild prepares a data folder and its issuer. Start the program with [child.start].
func newChild(t *testing.T) *child {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	keys := filepath.Join(dir, "keys")
	must(t, os.MkdirAll(keys, 0o700))
	issuer, err := access.OpenIssuer(keys)
	must(t, err)
	w := &world{t: t, dir: dir, Suite: &suite.Suite{Issuer: issuer, CertificateKey: filepath.Join(keys, "certificate.pub"),
		LogKey: filepath.Join(keys, "log.key.pub")}, database: filepath.Join(dir, "sample", "learning-platform.db")}
	return &child{world: w, words: &logLines{}}
}

var address = regexp.MustCompile(`REST +(http://[0-9.:]+)`)

// start starts the program and waits until it is ready.
func (c *child) start() {
	t := c.world.t
	t.Helper()
	c.cmd = exec.Command(binary(t), "serve", "--sample", "--data", c.world.dir, "--listen", "127.0.0.1:0", "--grace", "0s")
	pipe, err := c.cmd.StderrPipe()
	must(t, err)
	must(t, c.cmd.Start())
	c.exited = make(chan struct{})
	ready := make(chan string, 1)
	go func() {
		defer close(c.exited)
		lines := bufio.NewScanner(pipe)
		for lines.Scan() {
			_, _ = c.words.Write(append(bytes.Clone(lines.Bytes()), '\n'))
			if m := address.FindStringSubmatch(lines.Text()); m != nil {
				ready <- m[1]
			}
		}
		_ = c.cmd.Wait()
	}()
	c.once.Do(func() { t.Cleanup(c.kill) })
	select {
	case c.world.URL = <-ready:
	case <-c.exited:
		t.Fatalf("the program ended before it was ready:\n%s", c.lastWords())
	}
}

// kill ends the program without giving it a chance to tidy up.
func (c *child) kill() {
	_ = c.cmd.Process.Signal(syscall.SIGKILL)
	<-c.exited
}

func (c *child) lastWords() string {
	lines := c.words.lines()
	return strings.TrimSpace(string(bytes.Join(lines[max(0, len(lines)-20):], []byte("\n"))))
}
