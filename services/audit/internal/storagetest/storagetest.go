// Package storagetest gives tests what a log needs that is not in a folder: a database of its own on a private MariaDB, one server for
// each test process, and a bucket on an S3 server within the test process. It is imported by tests only.
//
// Without MariaDB's binaries a test is skipped on a laptop and fails where CI is set. A test package that uses it stops the server when
// it ends:
//
//	func TestMain(m *testing.M) { os.Exit(storagetest.Run(m)) }
package storagetest

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing" //nolint:depguard // it serves the tests of several packages
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

var (
	once    sync.Once
	running *server
	trouble error
	counter atomic.Int64
)

// Tests are a package's tests, as testing.M or pgtest's.
type Tests interface{ Run() int }

// Run runs the tests of a package and stops the server that they started, if any.
func Run(m Tests) int { return Around(m).Run() }

// Around returns tests with the server's end behind them.
func Around(m Tests) Tests { return around{m} }

type around struct{ Tests }

// Run implements Tests.
func (a around) Run() int {
	defer func() {
		if running != nil {
			running.stop()
		}
	}()
	return a.Tests.Run()
}

// BucketName is the bucket of every test, whose S3 server is its own.
const BucketName = "audit"

// Place is where the log of a test is kept.
type Place struct {
	// Database is its URL, on 127.0.0.1, and PasswordFile has its password.
	Database, PasswordFile string
	// Bucket is the URL of a prefix of a bucket, and KeyFile has the access key.
	Bucket, KeyFile string
	// DSN leads to the database as the test.
	DSN string
	// Objects is the S3 server's memory. Keys begin with Prefix.
	Objects gofakes3.Backend
	// Prefix is what the keys of the log begin with.
	Prefix string
	// Fault may answer requests to the S3 server in its place: it returns true when it has.
	Fault atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

// New gives a test a database and a bucket of its own. The database is not made yet.
func New(t testing.TB) *Place {
	t.Helper()
	needServer(t)
	dir := t.TempDir()
	p := &Place{PasswordFile: write(t, dir, "password", running.password+"\n"), KeyFile: write(t, dir, "access-key", "TESTS\nsecret-of-tests\n"), Objects: s3mem.New(), Prefix: "logs/one/"}
	name := fmt.Sprintf("audit_%d_%d", os.Getpid(), counter.Add(1))
	p.Database, p.DSN = fmt.Sprintf("mysql://audit@%s/%s", running.address, name), running.dsn(name)
	t.Cleanup(func() { drop(t, name) })
	if err := p.Objects.CreateBucket(BucketName); err != nil {
		t.Fatal(err)
	}
	served := gofakes3.New(p.Objects).Server()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fault := p.Fault.Load(); fault != nil && (*fault)(w, r) {
			return
		}
		served.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	p.Bucket = srv.URL + "/" + BucketName + "/" + p.Prefix[:len(p.Prefix)-1]
	return p
}

// Authority is a PEM file of the authority of the MariaDB server's certificate, which is for 127.0.0.1.
func Authority(t testing.TB) string {
	t.Helper()
	needServer(t)
	return running.file("ca.pem")
}

// Open opens the database as the test, who may do everything.
func (p *Place) Open(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", p.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func drop(t testing.TB, name string) {
	t.Helper()
	db, err := sql.Open("mysql", running.dsn(""))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // it was only used here
	if _, err := db.ExecContext(t.Context(), "DROP DATABASE IF EXISTS "+name); err != nil && t.Context().Err() == nil {
		t.Errorf("dropping a database: %v", err)
	}
}

func write(t testing.TB, dir, name, content string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// needServer starts MariaDB, and skips the test where that cannot be done.
func needServer(t testing.TB) {
	t.Helper()
	once.Do(func() {
		_ = mysql.SetLogger(&mysql.NopLogger{})
		running, trouble = start()
	})
	if trouble == nil {
		return
	}
	message := fmt.Sprintf("MariaDB cannot be started here: %v. Install its server (scripts/stack install).", trouble)
	if os.Getenv("CI") != "" { //nolint:forbidigo // tests are configured by the environment
		t.Fatal(message)
	}
	t.Skip(message)
}

const patience = 30 * time.Second
