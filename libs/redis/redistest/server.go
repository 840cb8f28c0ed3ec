package redistest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing" //nolint:depguard // it serves the tests of several packages
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/privacyops/privacyops/libs/redis"
)

const (
	binary   = "redis-server"
	password = "for-tests-only"
	operator = "operator" // may do everything
)

// Server is a private redis-server.
type Server struct {
	dir  string
	port int
	cmd  *exec.Cmd
}

// newServer writes the configuration into a folder.
func newServer(dir string, settings []string) (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, port: port}
	sum := sha256.Sum256([]byte(password))
	hash := hex.EncodeToString(sum[:])
	lines := append([]string{
		"bind 127.0.0.1", fmt.Sprintf("port %d", port), "dir " + dir, "aclfile " + s.file("users.acl"), "logfile " + s.file("log"),
		"save \"\"", "appendonly no", "enable-debug-command local",
	}, settings...)
	users := "user default off resetpass -@all\n" +
		"user privacyops on #" + hash + " " + redis.Permissions + "\n" +
		"user " + operator + " on #" + hash + " ~* &* +@all\n"
	for name, text := range map[string]string{
		"redis.conf": strings.Join(lines, "\n") + "\n", "users.acl": users, "password": password,
	} {
		if err := os.WriteFile(s.file(name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Server) file(name string) string { return filepath.Join(s.dir, name) }

// Config leads to the server, as the suite's user.
func (s *Server) Config() redis.Config {
	return redis.Config{URL: fmt.Sprintf("redis://privacyops@127.0.0.1:%d", s.port), PasswordFile: s.file("password")}
}

// Address is the server's host and port.
func (s *Server) Address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// start runs the program and waits until it answers.
func (s *Server) start() error {
	s.cmd = exec.CommandContext(context.Background(), binary, s.file("redis.conf")) //nolint:gosec // the name is fixed, the folder our own
	endWithParent(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	var err error
	for range 200 {
		if _, err = s.do("PING"); err == nil {
			return nil
		}
		time.Sleep(25 * time.Millisecond)
	}
	s.stop()
	return fmt.Errorf("redistest: %s does not answer: %w", binary, err)
}

func (s *Server) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// Kill ends the server with SIGKILL: what was not written is lost.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.stop()
}

// Restart starts a killed server again, on the same port and folder.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// Do runs a command as one who may do everything.
func (s *Server) Do(t testing.TB, args ...any) any {
	t.Helper()
	reply, err := s.do(args...)
	if err != nil {
		t.Fatalf("%v: %v", args[0], err)
	}
	return reply
}

func (s *Server) do(args ...any) (any, error) {
	db := goredis.NewClient(&goredis.Options{
		Addr: s.Address(), Username: operator, Password: password, Protocol: 2, DisableIdentity: true, MaxRetries: -1, DialerRetries: 1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	defer db.Close()
	return db.Do(context.Background(), args...).Result()
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		return 0, err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, err
	}
	var n int
	_, err = fmt.Sscan(port, &n)
	return n, err
}
