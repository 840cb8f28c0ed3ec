// Package redistest gives tests a Redis: one private server per test process, or one of a test's own to break. It is imported by
// tests only.
//
// Where the environment variable PRIVACYOPS_TEST_REDIS holds a URL (redis://user:password@host:port), [Config] names that
// server. Otherwise redis-server is started in a temporary folder on a free loopback port, with the access control list that an
// installation has. Without the binary a test is skipped on a laptop and fails where CI is set.
//
// A test package that uses it stops the server when it ends:
//
//	func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }
package redistest

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing" //nolint:depguard // it serves the tests of several packages

	"github.com/privacyops/privacyops/libs/redis"
)

// Variable names a server to use instead of a private one.
const Variable = "PRIVACYOPS_TEST_REDIS"

var (
	once    sync.Once
	process *Server // the one of this process
	home    string  // its folder, or the one of the password of a running server
	config  redis.Config
	trouble error
	counter atomic.Int64
)

// Main runs the tests of a package and stops the server that they started, if any.
func Main(m interface{ Run() int }) int {
	defer func() {
		if process != nil {
			process.stop()
		}
		if home != "" {
			_ = os.RemoveAll(home)
		}
	}()
	return m.Run()
}

// Config leads to the server of this test process. Tests share it: each uses controllers of its own ([Controller]) and empties
// nothing.
func Config(t testing.TB) redis.Config {
	t.Helper()
	available(t)
	once.Do(func() { config, trouble = shared() })
	if trouble != nil {
		t.Fatal(trouble)
	}
	return config
}

// Controller is the id of a controller that no other test has.
func Controller(t testing.TB) redis.Controller {
	t.Helper()
	return redis.Controller(fmt.Sprintf("test-%d-%d", os.Getpid(), counter.Add(1)))
}

// Start starts a server for one test, which may do with it what it likes. Settings are lines of redis.conf.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath(binary); err != nil {
		missing(t)
	}
	s, err := newServer(t.TempDir(), settings)
	if err == nil {
		err = s.start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

func available(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath(binary); err != nil && os.Getenv(Variable) == "" { //nolint:forbidigo // tests are configured by the environment
		missing(t)
	}
}

func missing(t testing.TB) {
	t.Helper()
	const message = "redis-server is not installed here. Install it, or set " + Variable + " to a running one."
	if os.Getenv("CI") != "" { //nolint:forbidigo // tests are configured by the environment
		t.Fatal(message)
	}
	t.Skip(message)
}

func shared() (redis.Config, error) {
	dir, err := os.MkdirTemp("", "redistest-")
	if err != nil {
		return redis.Config{}, err
	}
	home = dir
	if address := os.Getenv(Variable); address != "" { //nolint:forbidigo // tests are configured by the environment
		return running(address, dir)
	}
	s, err := newServer(dir, nil)
	if err != nil {
		return redis.Config{}, err
	}
	if err := s.start(); err != nil {
		return redis.Config{}, err
	}
	process = s
	return s.Config(), nil
}

// running splits the password off a URL.
func running(address, dir string) (redis.Config, error) {
	u, err := url.Parse(address)
	if err != nil {
		return redis.Config{}, fmt.Errorf("redistest: %s is no URL", Variable)
	}
	cfg := redis.Config{Plaintext: true}
	if password, ok := u.User.Password(); ok {
		cfg.PasswordFile = filepath.Join(dir, "password")
		if err := os.WriteFile(cfg.PasswordFile, []byte(password), 0o600); err != nil { //nolint:gosec // the folder is our own
			return redis.Config{}, err
		}
		u.User = url.User(u.User.Username())
	}
	cfg.URL = u.String()
	return cfg, nil
}
