package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is one replica of a service. It keeps its addresses when it is started again.
type process struct {
	fleet         *fleet
	service       string
	n             int
	listen, admin string
	env           []string
	words         *logLines // what it wrote on standard error in all its lives

	cmd    *exec.Cmd
	exited chan struct{}
}

func (p *process) String() string { return fmt.Sprintf("%s/%d", p.service, p.n) }

// start starts the program. It ends with the test.
func (p *process) start() {
	t := p.fleet.t
	t.Helper()
	first := p.cmd == nil
	cmd := exec.Command(binary(t), "serve", "--target", p.service)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Dir = p.fleet.dir
	pipe, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		lines := bufio.NewScanner(pipe)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			_, _ = p.words.Write(append(bytes.Clone(lines.Bytes()), '\n'))
		}
		_, _ = io.Copy(io.Discard, pipe)
		_ = cmd.Wait()
	}()
	p.cmd, p.exited = cmd, exited
	if first {
		t.Cleanup(p.kill)
	}
}

// awaitReady waits until the process says that it can serve.
func (p *process) awaitReady() {
	t := p.fleet.t
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if p.ready() {
			return
		}
		select {
		case <-p.exited:
			t.Fatalf("%v ended before it was ready:\n%s", p, p.lastWords())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v is not ready after %s:\n%s", p, patience, p.lastWords())
		}
	}
}

// ready asks the admin port.
func (p *process) ready() bool { return answers("http://" + p.admin + "/readyz") }

// answers tells whether an address answers 200.
func answers(url string) bool {
	resp, err := probe.Get(url)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

var probe = &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// kill ends the process without giving it a chance to tidy up.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.exited
}

// terminate asks the process to end, as an operator does, and says how it did.
func (p *process) terminate() (code int, took time.Duration) {
	t := p.fleet.t
	t.Helper()
	began := time.Now()
	must(t, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.exited:
	case <-time.After(time.Minute):
		t.Errorf("%v still runs a minute after SIGTERM", p)
		p.kill()
	}
	return p.cmd.ProcessState.ExitCode(), time.Since(began)
}

// lives tells whether the process has not ended since it was started.
func (p *process) lives() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

func (p *process) lastWords() string {
	lines := p.words.lines()
	return strings.TrimSpace(string(bytes.Join(lines[max(0, len(lines)-20):], []byte("\n"))))
}
