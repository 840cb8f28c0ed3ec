package move

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/privacyops/privacyops/libs/sqldb"
)

// table is a table that is carried, with the columns that both engines have.
type table struct {
	service string
	name    string
	columns []tableColumn
	key     []int // the columns of the primary key, in its order
}

type tableColumn struct {
	name string
	kind kind
}

// String names the table for people.
func (t table) String() string { return t.service + "." + t.name }

// full is the table's name in a statement of PostgreSQL.
func (t table) full() string { return quoted(t.service) + "." + quoted(t.name) }

// stays are tables that are not copied: the versions of the schema, who of River's processes leads, and its wake-up calls.
var stays = []string{"goose_db_version", "river_migration", "river_leader", "river_notification"}

// versions are the two lines of migrations that a schema has.
var versions = []struct{ name, table, query string }{
	{"the schema", "goose_db_version", `SELECT coalesce(max(version_id), 0) FROM %s WHERE is_applied`},
	{"the job table", "river_migration", `SELECT coalesce(max(version), 0) FROM %s`},
}

// sameVersions refuses to carry rows between schemas of different versions.
func sameVersions(ctx context.Context, s *source, q sqldb.Querier) error {
	for _, v := range versions {
		here, err := s.version(ctx, v.table, on(v.query, v.table))
		if err != nil {
			return err
		}
		there, err := versionIn(ctx, q, s.service, v.table, on(v.query, quoted(s.service)+"."+v.table))
		switch {
		case err != nil:
			return err
		case here < there:
			return fmt.Errorf("%s of %s is of version %d in the data folder and %d in this program: start the installed version once with this program (privacyops serve), stop it, then move",
				v.name, s.service, here, there)
		case here > there:
			return fmt.Errorf("%s of %s is of version %d in the data folder and %d in this program: move with the program that the installation was last run with",
				v.name, s.service, here, there)
		}
	}
	return nil
}

// plan lists a service's tables in the order in which they are copied.
func plan(ctx context.Context, s *source, q sqldb.Querier) ([]table, error) {
	here, err := s.tables(ctx)
	if err != nil {
		return nil, err
	}
	there, err := tablesIn(ctx, q, s.service)
	if err != nil {
		return nil, err
	}
	here, there = without(here, stays), without(there, stays)
	if !slices.Equal(here, there) {
		return nil, fmt.Errorf("%s has other tables in the data folder (%s) than in PostgreSQL (%s)", s.service,
			strings.Join(here, ", "), strings.Join(there, ", "))
	}
	tables := map[string]table{}
	for _, name := range here {
		if tables[name], err = describe(ctx, s, q, name); err != nil {
			return nil, err
		}
	}
	needs, err := references(ctx, q, s.service)
	if err != nil {
		return nil, err
	}
	return ordered(here, tables, needs)
}

func without(names, out []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(out, name) })
}

func describe(ctx context.Context, s *source, q sqldb.Querier, name string) (table, error) {
	t := table{service: s.service, name: name}
	columns, err := s.columns(ctx, name)
	if err != nil {
		return t, err
	}
	types, err := typesOf(ctx, q, s.service, name)
	if err != nil {
		return t, err
	}
	key := map[int]int{}
	for i, c := range columns {
		pgType, ok := types[c.name]
		if !ok {
			return t, fmt.Errorf("%s has a column %s in the data folder that it has not in PostgreSQL", t, c.name)
		}
		k, ok := kindOf(pgType)
		if !ok {
			return t, unknownType(t, c.name, pgType)
		}
		if c.key > 0 {
			key[c.key] = i
		}
		t.columns = append(t.columns, tableColumn{c.name, k})
	}
	if len(types) != len(columns) {
		return t, fmt.Errorf("%s has columns in PostgreSQL that it has not in the data folder", t)
	}
	for n := 1; n <= len(key); n++ {
		t.key = append(t.key, key[n])
	}
	return t, t.orderly()
}

// orderly checks that both engines can give the rows in the same order.
func (t table) orderly() error {
	if len(t.key) == 0 {
		return fmt.Errorf("%s has no primary key, so its rows cannot be told apart", t)
	}
	for _, i := range t.key {
		switch t.columns[i].kind.name {
		case "number", "text", "bytes":
		default:
			return fmt.Errorf("%s has the column %s in its primary key, which the engines order differently", t, t.columns[i].name)
		}
	}
	return nil
}

// ordered puts each table behind those that its rows refer to.
func ordered(names []string, tables map[string]table, needs map[string][]string) ([]table, error) {
	var out []table
	placed := map[string]bool{}
	for len(out) < len(names) {
		before := len(out)
		for _, name := range names {
			ready := !slices.ContainsFunc(needs[name], func(other string) bool { return !placed[other] })
			if ready && !placed[name] {
				placed[name] = true
				out = append(out, tables[name])
			}
		}
		if len(out) == before {
			return nil, fmt.Errorf("the tables of %s refer to each other in a circle: there is no order to copy them in", tables[names[0]].service)
		}
	}
	return out, nil
}
