package e2e

import (
	"cmp"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"
	"gopkg.in/yaml.v3"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/seed"
	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/suite"
	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/redis/redistest"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// fleet is an installation as operators run it: each service in processes of its own, PostgreSQL and Redis beside them. All of it
// belongs to one test, which may break what it likes.
type fleet struct {
	*world
	postgres *pgtest.Server
	redis    *redistest.Server
	store    string // URL of the installation's database, as its role
	replicas map[string][]*process
	spread   *spread // reaches all gateways
	canaries []string
}

// fleetOrder is the order in which services start. Those of which there is one keep a log or a ledger.
var fleetOrder = []string{"audit", "participant", "consent", "export", "erasure", "gateway"}

// fleetSetting is how a test wants its fleet.
type fleetSetting struct {
	// prepare changes the platform's database, at its path, before anybody uses it.
	prepare func(path string)
	// peers changes, for one process, where it finds the others.
	peers func(p *process, env map[string]string)
	// before runs when all is laid out and nothing has started.
	before func(f *fleet)
	// gateways are how many there are; default replicas.
	gateways int
	// quiet fleets log warnings alone.
	quiet bool
}

// onStackOnly skips a test that needs servers.
func onStackOnly(t *testing.T) {
	t.Helper()
	if !onStack || os.Getenv(pgtest.Variable) == "" {
		t.Skip("it runs many processes on a PostgreSQL and a Redis of their own; `make test-stack` runs it")
	}
}

// newFleet starts a fleet and stops it with the test.
func newFleet(t *testing.T, change ...func(*fleetSetting)) *fleet {
	t.Helper()
	var s fleetSetting
	for _, c := range change {
		c(&s)
	}
	f := layOut(t, s)
	if s.before != nil {
		s.before(f)
	}
	for _, service := range fleetOrder {
		for _, p := range f.replicas[service] {
			p.start()
		}
	}
	f.awaitReady()
	must(t, seed.Register(t.Context(), f.URL, f.Issuer, seed.Options{Approvals: 1}))
	t.Cleanup(f.wordsNameNobody)
	return f
}

// layOut makes everything that processes find when they start: keys, certificates, databases, addresses.
func layOut(t *testing.T, s fleetSetting) *fleet {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "fleet")
	f := &fleet{world: &world{t: t, dir: dir, Suite: &suite.Suite{}}, postgres: pgtest.Start(t), redis: redistest.Start(t), replicas: map[string][]*process{}}
	for _, d := range []string{"keys", "tls", "log", "packages", "ledger", "platform"} {
		must(t, os.MkdirAll(filepath.Join(dir, d), 0o700))
	}
	var err error
	f.Issuer, err = access.OpenIssuer(f.path("keys"))
	must(t, err)
	_, err = keyring.OpenOrCreate(f.path("keys", "master.key"))
	must(t, err)
	for _, name := range []string{"certificate", "export"} {
		secret, public, err := note.GenerateKey(rand.Reader, "privacyops.internal/"+name+"s")
		must(t, err)
		must(t, keyring.WriteSecret(f.path("keys", name+".key"), secret))
		must(t, os.WriteFile(f.path("keys", name+".pub"), []byte(public+"\n"), 0o600))
	}
	f.CertificateKey, f.LogKey = f.path("keys", "certificate.pub"), f.path("keys", "log.key.pub")
	authority, err := server.NewAuthority(f.path("tls"), time.Now())
	must(t, err)
	for _, service := range fleetOrder {
		_, err := authority.Issue(service)
		must(t, err)
	}
	f.ownPlatform(s.prepare)
	f.ownRole()
	f.place(s)
	return f
}

func (f *fleet) path(parts ...string) string {
	return filepath.Join(append([]string{f.dir}, parts...)...)
}

// ownPlatform builds the sample platform and the list that names it.
func (f *fleet) ownPlatform(prepare func(path string)) {
	f.t.Helper()
	system, database, err := seed.Platform(f.t.Context(), f.path("platform"))
	must(f.t, err)
	f.database = database
	if prepare != nil {
		prepare(database)
	}
	list, err := yaml.Marshal([]map[string]any{{"name": system.Name, "dataMap": system.DataMap, "database": system.Database, "controllers": system.Controllers}})
	must(f.t, err)
	must(f.t, os.WriteFile(f.path("systems.yaml"), list, 0o600))
}

// ownRole makes the installation's database and its role, which is bound by row-level security.
func (f *fleet) ownRole() {
	f.t.Helper()
	f.sql(`CREATE ROLE fleet LOGIN NOSUPERUSER NOBYPASSRLS`, `CREATE DATABASE fleet OWNER fleet`)
	u, err := url.Parse(f.postgres.URL())
	must(f.t, err)
	u.User, u.Path = url.User("fleet"), "/fleet"
	f.store = u.String()
}

// sql runs statements on the server's default database, as one who may do everything.
func (f *fleet) sql(statements ...string) {
	f.t.Helper()
	conn := f.look(f.postgres.URL())
	for _, s := range statements {
		_, err := conn.Exec(f.t.Context(), s)
		must(f.t, err)
	}
}

// everything opens the installation's database as one who may see everything.
func (f *fleet) everything() *pgx.Conn {
	f.t.Helper()
	u, err := url.Parse(f.postgres.URL())
	must(f.t, err)
	u.Path = "/fleet"
	return f.look(u.String())
}

func (f *fleet) look(address string) *pgx.Conn {
	f.t.Helper()
	conn, err := pgx.Connect(f.t.Context(), address)
	must(f.t, err)
	f.t.Cleanup(func() { _ = conn.Close(f.t.Context()) })
	return conn
}

// place gives every process its addresses and its environment.
func (f *fleet) place(s fleetSetting) {
	f.t.Helper()
	for _, service := range fleetOrder {
		many := replicas
		switch service {
		case "audit", "participant":
			many = 1
		case "gateway":
			many = cmp.Or(s.gateways, replicas)
		}
		for n := range many {
			p := &process{fleet: f, service: service, n: n, listen: freeAddress(f.t), admin: freeAddress(f.t), words: &logLines{}}
			f.replicas[service] = append(f.replicas[service], p)
		}
	}
	for _, service := range fleetOrder {
		for _, p := range f.replicas[service] {
			env := f.environment(p)
			if s.quiet {
				env["PRIVACYOPS_LOG_LEVEL"] = "warn"
			}
			if s.peers != nil {
				s.peers(p, env)
			}
			for name, value := range env {
				p.env = append(p.env, name+"="+value)
			}
		}
	}
	f.spread = newSpread(f.t, f.replicas["gateway"])
	f.URL = "http://" + f.replicas["gateway"][0].listen
}

func (f *fleet) environment(p *process) map[string]string {
	config := f.redis.Config()
	env := map[string]string{
		"PRIVACYOPS_LISTEN": p.listen, "PRIVACYOPS_ADMIN": p.admin, "PRIVACYOPS_LOG_LEVEL": "debug",
		"PRIVACYOPS_TLS_DIR": f.path("tls"), "PRIVACYOPS_MASTER_KEY_FILE": f.path("keys", "master.key"),
		"PRIVACYOPS_ISSUER": access.DevelopmentIssuer, "PRIVACYOPS_AUDIENCE": access.DevelopmentAudience,
		"PRIVACYOPS_JWKS":  access.JWKSPath(f.path("keys")),
		"PRIVACYOPS_REDIS": config.URL, "PRIVACYOPS_REDIS_PASSWORD_FILE": config.PasswordFile,
		"PRIVACYOPS_PARTICIPANTS":    sample.System + "=" + f.addresses("participant"),
		"PRIVACYOPS_EXPORT_PACKAGES": f.path("packages"), "PRIVACYOPS_EXPORT_KEY_FILE": f.path("keys", "export.key"),
		"PRIVACYOPS_CERTIFICATE_KEY_FILE": f.path("keys", "certificate.key"),
		"PRIVACYOPS_AUDIT_LOG_DIR":        f.path("log", "tiles"), "PRIVACYOPS_AUDIT_LOG_KEY_FILE": f.path("keys", "log.key"),
		"PRIVACYOPS_PARTICIPANT_SYSTEMS": f.path("systems.yaml"), "PRIVACYOPS_PARTICIPANT_LEDGER_DIR": f.path("ledger"),
	}
	for _, service := range []string{"audit", "consent", "export", "erasure"} {
		name := "PRIVACYOPS_" + strings.ToUpper(service)
		env[name+"_ADDRESS"], env[name+"_DATABASE"] = f.addresses(service), f.store+"&schema="+service
	}
	env["PRIVACYOPS_AUDIT_KEYS_DATABASE"] = f.store + "&schema=audit_keys"
	return env
}

// addresses of a service's replicas, as its callers are told.
func (f *fleet) addresses(service string) string {
	all := make([]string, 0, replicas)
	for _, p := range f.replicas[service] {
		all = append(all, p.listen)
	}
	return strings.Join(all, ",")
}

// awaitReady waits until every process says that it can serve.
func (f *fleet) awaitReady() {
	f.t.Helper()
	for _, service := range fleetOrder {
		for _, p := range f.replicas[service] {
			p.awaitReady()
		}
	}
}

// client is a caller who goes round the gateways.
func (f *fleet) client(role string) *client {
	f.t.Helper()
	c := f.as(role)
	c.Base, c.HTTP = "http://gateways.invalid", f.spread.client()
	return c
}

// through is a caller who knows one gateway alone.
func (f *fleet) through(gateway int, role string) *client {
	f.t.Helper()
	c := f.as(role)
	c.Base = "http://" + f.replicas["gateway"][gateway].listen
	return c
}

// wordsNameNobody searches what the processes wrote.
func (f *fleet) wordsNameNobody() {
	s := newScanner(f.canaries...)
	for _, service := range fleetOrder {
		for _, p := range f.replicas[service] {
			for i, line := range p.words.lines() {
				s.look("line on standard error", fmt.Sprint(p, i), line)
			}
		}
	}
	if len(s.hits) > 0 {
		f.t.Errorf("the processes' words name people: %v", s.hits[:min(10, len(s.hits))])
	}
	f.t.Logf("%d log lines of the processes name none of %d values", s.places["line on standard error"], len(f.canaries))
}

// freeAddress is a loopback address that nobody listens on, outside the range from which the system takes ports for connections.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		lis, err := new(net.ListenConfig).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", 10000+mathrand.IntN(9000)))
		if err == nil {
			must(t, lis.Close())
			return lis.Addr().String()
		}
	}
	t.Fatal("no free port was found")
	return ""
}
