package e2e

import (
	"fmt"
	"net/url"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/privacyops/privacyops/libs/redis/redistest"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
)

// asAdmin opens an installation's database as one who may see and change everything.
func asAdmin(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	u, err := url.Parse(address)
	must(t, err)
	u.User = url.User("postgres")
	if server := os.Getenv(pgtest.Variable); server != "" {
		admin, err := url.Parse(server)
		must(t, err)
		u.User = admin.User
	}
	conn, err := pgx.Connect(t.Context(), u.String())
	must(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

// located is a table and its schema.
type located struct{ Schema, Name string }

func (l located) quoted() string { return pgx.Identifier{l.Schema, l.Name}.Sanitize() }

// tablesOf are the tables of all services.
func tablesOf(t *testing.T, conn *pgx.Conn) []located {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT table_schema, table_name FROM information_schema.tables
		WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'`)
	must(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[located])
	must(t, err)
	return tables
}

// keepOnStack is keepWhatIsWritten on PostgreSQL.
func (o *observed) keepOnStack(names []string) {
	o.t.Helper()
	conn := asAdmin(o.t, o.options.Database)
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	for _, table := range tablesOf(o.t, conn) {
		if !wanted[table.Name] {
			continue
		}
		kept := located{table.Schema, "kept_" + table.Name}
		_, err := conn.Exec(o.t.Context(), fmt.Sprintf(`CREATE TABLE %[1]s AS TABLE %[2]s;
			CREATE FUNCTION %[1]s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN INSERT INTO %[1]s VALUES (NEW.*); RETURN NULL; END';
			CREATE TRIGGER kept AFTER INSERT OR UPDATE ON %[2]s FOR EACH ROW EXECUTE FUNCTION %[1]s()`, kept.quoted(), table.quoted()))
		must(o.t, err)
	}
}

// lookAtServers searches every row of the installation's database, and every key and value of its Redis.
func (o *observed) lookAtServers(s *scanner) {
	o.t.Helper()
	conn := asAdmin(o.t, o.options.Database)
	for _, table := range tablesOf(o.t, conn) {
		rows, err := conn.Query(o.t.Context(), "SELECT whole::text FROM "+table.quoted()+" whole")
		must(o.t, err)
		texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(o.t, err)
		for _, text := range texts {
			s.look(table.Name+" cell", table.Schema, []byte(text))
		}
	}
	server := o.redisServer()
	keys, _ := server.Do(o.t, "KEYS", "*").([]any)
	for _, key := range keys {
		s.look("Redis key", fmt.Sprint(key), fmt.Append(nil, key))
		s.look("Redis value", fmt.Sprint(key), fmt.Append(nil, redisValue(o.t, server, key)))
	}
}

func (o *observed) redisServer() *redistest.Server {
	o.t.Helper()
	server, ok := ownRedises.Load(o.options.Redis.URL)
	if !ok {
		o.t.Fatal("the installation has no Redis")
	}
	return server.(*redistest.Server)
}

// redisValue reads a value of any type that the suite uses.
func redisValue(t *testing.T, server *redistest.Server, key any) any {
	t.Helper()
	switch kind := server.Do(t, "TYPE", key); kind {
	case "string":
		return server.Do(t, "GET", key)
	case "hash":
		return server.Do(t, "HGETALL", key)
	case "stream":
		return server.Do(t, "XRANGE", key, "-", "+")
	case "none": // its time has come
		return ""
	default:
		t.Fatalf("a Redis value is a %v, which this search cannot read", kind)
		return nil
	}
}

// plantOnServers leaves a text where it must be found.
func (o *observed) plantOnServers(text string) {
	o.t.Helper()
	conn := asAdmin(o.t, o.options.Database)
	_, err := conn.Exec(o.t.Context(), `CREATE TABLE consent.planted (content BYTEA)`)
	must(o.t, err)
	_, err = conn.Exec(o.t.Context(), `INSERT INTO consent.planted VALUES ($1)`, []byte("x"+text))
	must(o.t, err)
	o.redisServer().Do(o.t, "XADD", "planted", "*", "field", "x"+text)
}
