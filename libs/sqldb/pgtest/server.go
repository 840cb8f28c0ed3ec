package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// server is a private PostgreSQL server.
type server struct {
	dsn  string
	dir  string
	port int
	bin  string              // folder of its programs
	cred *syscall.Credential // of the user it runs as; nil: ours
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

// start makes a cluster in a temporary folder and runs a server on it until ctx is done
// or stop is called.
func start(ctx context.Context) (*server, error) {
	out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output()
	if err != nil {
		return nil, errors.New("pg_config was not found")
	}
	s := &server{bin: strings.TrimSpace(string(out))}
	if s.cred, err = credential(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "pgtest-"); err != nil {
		return nil, err
	}
	if s.cred != nil {
		if err := os.Chown(s.dir, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
			return nil, err
		}
	}
	if err := s.cluster(ctx); err != nil {
		_ = os.RemoveAll(s.dir)
		return nil, err
	}
	for range 3 { // another process may take the free port first
		if s.port, err = freePort(ctx); err != nil {
			break
		}
		if err = s.run(ctx); err == nil {
			return s, nil
		}
	}
	_ = os.RemoveAll(s.dir)
	return nil, err
}

// credential is the user postgres where this process is root, which PostgreSQL refuses.
func credential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres")
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func (s *server) data() string { return filepath.Join(s.dir, "data") }

func (s *server) cluster(ctx context.Context) error {
	//nolint:gosec // the binary is where pg_config says
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "-D", s.data(), "-U", "postgres", "--auth=trust",
		"--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// run starts the server and waits until it answers. It dies with this process: the
// thread that started it stays alive until then.
func (s *server) run(ctx context.Context) error {
	var log bytes.Buffer
	//nolint:gosec // the binary is where pg_config says
	s.cmd = exec.CommandContext(ctx, filepath.Join(s.bin, "postgres"), "-D", s.data(), "-p", strconv.Itoa(s.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=300")
	s.cmd.Dir, s.cmd.Stderr = s.dir, &log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Pdeathsig: syscall.SIGQUIT}
	s.done = make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig follows the thread
		err := s.cmd.Start()
		started <- err
		if err == nil {
			_ = s.cmd.Wait()
		}
		close(s.done)
	}()
	if err := <-started; err != nil {
		return err
	}
	s.dsn = fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.port)
	if !s.answers(ctx) {
		s.halt()
		return fmt.Errorf("postgres did not start: %s", bytes.TrimSpace(log.Bytes()))
	}
	return nil
}

// answers waits up to half a minute for the server.
func (s *server) answers(ctx context.Context) bool {
	for range 300 {
		select {
		case <-s.done:
			return false
		case <-time.After(100 * time.Millisecond):
		}
		attempt, cancel := context.WithTimeout(ctx, time.Second)
		conn, err := pgx.Connect(attempt, s.dsn)
		if err == nil {
			_ = conn.Close(attempt)
		}
		cancel()
		if err == nil {
			return true
		}
	}
	return false
}

// halt ends the process at once; the data are thrown away.
func (s *server) halt() {
	_ = s.cmd.Process.Signal(syscall.SIGQUIT)
	<-s.done
}

func (s *server) stop() {
	s.halt()
	_ = os.RemoveAll(s.dir)
}
