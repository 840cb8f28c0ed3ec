package storagetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

// server is a private MariaDB on a free port of 127.0.0.1, with its data in a temporary folder.
type server struct {
	dir, address, password string
	cred                   *syscall.Credential // of the user it runs as; nil: ours
	cmd                    *exec.Cmd
	done                   chan struct{} // closed when the process has ended
}

// start makes a data folder with one user, audit, and runs a server on it until this process ends or stop is called.
func start() (s *server, err error) {
	for _, program := range []string{"mariadb-install-db", "mariadbd"} {
		if _, err := find(program); err != nil {
			return nil, err
		}
	}
	s = &server{password: rand.Text()}
	if s.dir, err = os.MkdirTemp("", "storagetest-"); err != nil {
		return nil, err
	}
	if s.cred, err = credential(); err == nil && s.cred != nil {
		err = os.Chown(s.dir, int(s.cred.Uid), int(s.cred.Gid))
	}
	if err == nil {
		err = s.certify()
	}
	if err == nil {
		err = s.install()
	}
	for range 3 { // another process may take the free port first
		if err == nil {
			if err = s.run(); err == nil {
				return s, nil
			}
		}
	}
	return nil, errors.Join(err, os.RemoveAll(s.dir))
}

// find looks for a program also where Debian keeps servers, which is not in everybody's path.
func find(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	path := "/usr/sbin/" + program
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s was not found", program)
	}
	return path, nil
}

// credential is the user mysql where this process is root, as whom the server does not run.
func credential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("mysql")
	if err != nil {
		return nil, errors.New("MariaDB does not run as root, and there is no user mysql")
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

func (s *server) file(name string) string { return filepath.Join(s.dir, name) }

func (s *server) install() error {
	program, err := find("mariadb-install-db")
	if err != nil {
		return err
	}
	setup := "CREATE USER audit@'127.0.0.1' IDENTIFIED BY '" + s.password + "';\nGRANT ALL ON `audit\\_%`.* TO audit@'127.0.0.1';\n"
	if err := os.WriteFile(s.file("setup.sql"), []byte(setup), 0o644); err != nil { //nolint:gosec // the server's user reads it, in a folder for it alone
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--no-defaults", "--datadir="+s.file("data"), //nolint:gosec // the program is where find says
		"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0")
	cmd.Dir, cmd.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: s.cred}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mariadb-install-db: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// run starts the server and waits until it answers. It dies with this process: the thread that started it stays alive until then.
func (s *server) run() error {
	program, err := find("mariadbd")
	if err != nil {
		return err
	}
	lis, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.address = lis.Addr().String()
	port := lis.Addr().(*net.TCPAddr).Port
	if err := lis.Close(); err != nil {
		return err
	}
	var log bytes.Buffer
	s.cmd = exec.Command(program, "--no-defaults", "--datadir="+s.file("data"), "--socket="+s.file("socket"), "--pid-file="+s.file("pid"), //nolint:gosec,noctx // the server outlives the call
		"--bind-address=127.0.0.1", "--port="+strconv.Itoa(port), "--skip-name-resolve", "--skip-log-bin", "--max-allowed-packet=64M", "--max-connections=300",
		"--ssl-ca="+s.file("ca.pem"), "--ssl-cert="+s.file("server.pem"), "--ssl-key="+s.file("server.key"),
		"--innodb-buffer-pool-size=64M", "--init-file="+s.file("setup.sql"))
	s.cmd.Dir, s.cmd.Stderr = s.dir, &log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Pdeathsig: syscall.SIGKILL}
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
	if !s.answers() {
		s.halt()
		return fmt.Errorf("mariadbd did not start: %s", bytes.TrimSpace(log.Bytes()))
	}
	return nil
}

func (s *server) answers() bool {
	db, err := sql.Open("mysql", s.dsn(""))
	if err != nil {
		return false
	}
	defer db.Close() // nothing was written
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for ctx.Err() == nil {
		if db.PingContext(ctx) == nil {
			return true
		}
		select {
		case <-s.done:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return false
}

// dsn leads to a database as the driver reads it.
func (s *server) dsn(database string) string {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr, cfg.DBName = "audit", s.password, "tcp", s.address, database
	return cfg.FormatDSN()
}

// halt ends the process at once; the data are thrown away.
func (s *server) halt() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

func (s *server) stop() {
	s.halt()
	_ = os.RemoveAll(s.dir)
}
