// Package pgtest gives tests a PostgreSQL database or schema of their own: one private
// server per test process. It is imported by tests only.
//
// Where the environment variable PRIVACYOPS_TEST_POSTGRES holds a connection string,
// databases are created on that server. Otherwise a server is started from the binaries
// that pg_config names, in a temporary folder, on a free loopback port. Without binaries
// a test is skipped on a laptop and fails where CI is set.
//
// A test package that uses it stops the server when it ends:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Around(m)) }
package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing" //nolint:depguard // it serves the tests of several packages
	"time"

	"github.com/jackc/pgx/v5"
)

// Variable names a server to use instead of a private one.
const Variable = "PRIVACYOPS_TEST_POSTGRES"

var (
	once    sync.Once
	running *server
	admin   string // connection string of the server
	trouble error
	counter atomic.Int64
)

// Main runs the tests of a package and stops the server that they started, if any.
func Main(m *testing.M) int { return Around(m).Run() }

// Around returns the tests of a package with the server's end behind them, for those who
// run them in a way of their own.
func Around(m *testing.M) *Tests { return &Tests{m} }

// Tests are a package's tests and the server that they started, if any.
type Tests struct{ m *testing.M }

// Run runs the tests and stops the server.
func (t *Tests) Run() int {
	defer func() {
		if running != nil {
			running.stop()
		}
	}()
	return t.m.Run()
}

// Database creates an empty database for a test, dropped when the test ends, and
// returns its connection string. It takes a fifth of a second; see Schema.
func Database(t testing.TB) string {
	t.Helper()
	needServer(t)
	name := ownName()
	if err := command("CREATE DATABASE " + name); err != nil {
		t.Fatalf("creating a database: %v", err)
	}
	t.Cleanup(func() {
		if err := command("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("dropping a database: %v", err)
		}
	})
	return withDatabase(admin, name)
}

// Schema names a schema for a test, dropped with all that is in it when the test ends,
// and returns a database URL with the parameter schema, as package sqldb reads it. The
// schema is not there yet: sqldb's Migrate makes it. It shares the server's default
// database with the schemas of other tests.
func Schema(t testing.TB) string {
	t.Helper()
	needServer(t)
	u, err := url.Parse(admin)
	if err != nil || u.Scheme == "" {
		t.Fatalf("%s must be a URL here, postgres://…", Variable)
	}
	name := ownName()
	t.Cleanup(func() {
		if err := command("DROP SCHEMA IF EXISTS " + name + " CASCADE"); err != nil {
			t.Errorf("dropping a schema: %v", err)
		}
	})
	query := u.Query()
	query.Set("schema", name)
	u.RawQuery = query.Encode()
	return u.String()
}

func ownName() string { return fmt.Sprintf("privacyops_test_%d_%d", os.Getpid(), counter.Add(1)) }

// needServer starts the server unless there is one, and skips the test where that cannot
// be done.
func needServer(t testing.TB) {
	t.Helper()
	once.Do(func() {
		if admin = os.Getenv(Variable); admin == "" { //nolint:forbidigo // tests are configured by the environment
			if running, trouble = start(context.Background()); trouble == nil {
				admin = running.dsn
			}
		}
	})
	if trouble != nil {
		missing(t, trouble)
	}
}

func missing(t testing.TB, trouble error) {
	t.Helper()
	message := fmt.Sprintf("PostgreSQL cannot be started here: %v. Install its server or set %s.", trouble, Variable)
	if os.Getenv("CI") != "" { //nolint:forbidigo // tests are configured by the environment
		t.Fatal(message)
	}
	t.Skip(message)
}

// command runs one statement on the server.
func command(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

// withDatabase names another database in a connection string of either form.
func withDatabase(dsn, name string) string {
	if u, err := url.Parse(dsn); err == nil && strings.HasPrefix(u.Scheme, "postgres") {
		u.Path = "/" + name
		return u.String()
	}
	return dsn + " dbname=" + name
}
