package e2e

import (
	"net/url"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/suite"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/redis/redistest"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
)

// onStack is set where the tests run on PostgreSQL and Redis with replicas instead of the embedded engine. The tests are the same.
var onStack = os.Getenv("PRIVACYOPS_TEST_STACK") != ""

// replicas is how many of each service run on the stack.
const replicas = 2

// place puts an installation on the engine that is tested.
func place(t *testing.T, o *suite.Options) {
	t.Helper()
	if onStack {
		o.Database, o.Replicas, o.Redis = ownDatabase(t), replicas, ownRedis(t)
	}
}

// ownRedises are the servers by their URLs, for tests that look into them.
var ownRedises sync.Map

// ownRedis starts a Redis for one installation. Its keys name controllers, and all installations of these tests have the same.
func ownRedis(t *testing.T) redis.Settings {
	t.Helper()
	server := redistest.Start(t)
	cfg := server.Config()
	ownRedises.Store(cfg.URL, server)
	return redis.Settings{URL: cfg.URL, PasswordFile: cfg.PasswordFile}
}

// ownDatabase makes a database and a role that may make schemas in it and is bound by row-level security, as an installation's.
func ownDatabase(t *testing.T) string {
	t.Helper()
	address := pgtest.Database(t)
	u, err := url.Parse(address)
	must(t, err)
	name := u.Path[1:]
	role := "suite_" + name
	conn, err := pgx.Connect(t.Context(), address)
	must(t, err)
	defer func() { must(t, conn.Close(t.Context())) }()
	for _, statement := range []string{
		"CREATE ROLE " + pgx.Identifier{role}.Sanitize() + " LOGIN PASSWORD 'suite' NOSUPERUSER NOBYPASSRLS",
		"GRANT CREATE, CONNECT ON DATABASE " + pgx.Identifier{name}.Sanitize() + " TO " + pgx.Identifier{role}.Sanitize(),
	} {
		_, err := conn.Exec(t.Context(), statement)
		must(t, err)
	}
	u.User = url.UserPassword(role, "suite")
	return u.String()
}
