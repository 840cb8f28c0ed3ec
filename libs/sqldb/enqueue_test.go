package sqldb_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
)

func enqueue(t *testing.T, db *sqldb.DB, ctx context.Context, job sqldb.Job) error { //nolint:revive // as in testing helpers
	t.Helper()
	return db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error { return tx.Enqueue(ctx, job) })
}

// The engines keep JSON, hashes and times in types of their own.
var (
	jobColumns = map[sqldb.Engine]string{
		sqldb.SQLite:   `SELECT kind, json(args), json(metadata), state FROM river_job`,
		sqldb.Postgres: `SELECT kind, args::text, metadata::text, state::text FROM river_job`,
	}
	readableKeys = map[sqldb.Engine]string{
		sqldb.SQLite:   `SELECT count(*) FROM river_job WHERE instr(CAST(unique_key AS TEXT), 'school') > 0`,
		sqldb.Postgres: `SELECT count(*) FROM river_job WHERE position('school' IN encode(unique_key, 'escape')) > 0`,
	}
	scheduledSecond = map[sqldb.Engine]string{
		sqldb.SQLite:   `SELECT unixepoch(scheduled_at) FROM river_job`,
		sqldb.Postgres: `SELECT floor(extract(epoch FROM scheduled_at))::bigint FROM river_job`,
	}
)

// onlyJob returns columns of the job table's only row, JSON without spaces.
func onlyJob(t *testing.T, db *sqldb.DB) (kind, args, metadata, state string) {
	t.Helper()
	err := db.Read(t.Context(), func(ctx context.Context, q sqldb.Querier) error {
		return q.QueryRow(ctx, jobColumns[db.Engine()]).Scan(&kind, &args, &metadata, &state)
	})
	if err != nil {
		t.Fatal(err)
	}
	return kind, compact(t, args), compact(t, metadata), state
}

func compact(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestEnqueueStoresKindArgumentsAndTrace(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := open(t, engine)
		span := trace.NewSpanContext(trace.SpanContextConfig{
			TraceID:    trace.TraceID{0xab, 15: 1},
			SpanID:     trace.SpanID{0xcd, 7: 1},
			TraceFlags: trace.FlagsSampled,
		})
		ctx := trace.ContextWithSpanContext(t.Context(), span)
		if err := enqueue(t, db, ctx, sqldb.Job{Kind: "erasure.locate", Args: struct{ ID string }{"e-1"}}); err != nil {
			t.Fatal(err)
		}
		kind, args, metadata, state := onlyJob(t, db)
		if kind != "erasure.locate" || args != `{"ID":"e-1"}` || state != "available" {
			t.Errorf("the row is %s %s %s", kind, args, state)
		}
		want := `"traceparent":"00-` + span.TraceID().String() + "-" + span.SpanID().String() + `-01"`
		if !strings.Contains(metadata, want) {
			t.Errorf("metadata %s lacks %s", metadata, want)
		}
	})
}

func TestEnqueueRefuses(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := open(t, engine)
		for name, job := range map[string]sqldb.Job{
			"no kind":                 {},
			"kind with a space":       {Kind: "send mail"},
			"kind with an address":    {Kind: "mail:freja@example.dk"},
			"arguments not an object": {Kind: "greet", Args: "e-1"},
			"arguments not JSON":      {Kind: "greet", Args: make(chan int)},
		} {
			if err := enqueue(t, db, t.Context(), job); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
		if n := count(t, db, countJobs); n != 0 {
			t.Errorf("%d jobs were kept", n)
		}
	})
}

func TestUniqueKeyAllowsOneUnfinishedJob(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := open(t, engine)
		add := func(kind, key string) int64 {
			t.Helper()
			before := count(t, db, countJobs)
			if err := enqueue(t, db, t.Context(), sqldb.Job{Kind: kind, UniqueKey: key}); err != nil {
				t.Fatal(err)
			}
			return count(t, db, countJobs) - before
		}
		steps := []struct {
			name      string
			kind, key string
			sql       string // run before the job is added
			added     int64
		}{
			{name: "the first", kind: "sync", key: "school-1", added: 1},
			{name: "again", kind: "sync", key: "school-1", added: 0},
			{name: "another key", kind: "sync", key: "school-2", added: 1},
			{name: "another kind", kind: "report", key: "school-1", added: 1},
			{name: "kind and key cut elsewhere", kind: "syncs", key: "chool-1", added: 1},
			{name: "no key", kind: "sync", added: 1},
			{name: "no key again", kind: "sync", added: 1},
			{name: "while it runs", kind: "sync", key: "school-1", sql: `UPDATE river_job SET state = 'running'`, added: 0},
			{name: "while it is to be retried", kind: "sync", key: "school-1", sql: `UPDATE river_job SET state = 'retryable'`, added: 0},
			{name: "after it was given up", kind: "sync", key: "school-1",
				sql: `UPDATE river_job SET state = 'discarded', finalized_at = '2026-01-01'`, added: 1},
			{name: "after it completed", kind: "sync", key: "school-1",
				sql: `UPDATE river_job SET state = 'completed', finalized_at = '2026-01-01'`, added: 1},
		}
		for _, step := range steps {
			if step.sql != "" {
				if err := exec(t, db, step.sql); err != nil {
					t.Fatal(err)
				}
			}
			if got := add(step.kind, step.key); got != step.added {
				t.Errorf("%s: %d jobs added, want %d", step.name, got, step.added)
			}
		}
		takeover := func(key string) int64 {
			t.Helper()
			before := count(t, db, countJobs)
			if err := enqueue(t, db, t.Context(), sqldb.Job{Kind: "sync", UniqueKey: "school-1", TakeoverKey: key}); err != nil {
				t.Fatal(err)
			}
			return count(t, db, countJobs) - before
		}
		if n := takeover("school-1 again"); n != 0 {
			t.Errorf("%d jobs take over what waits", n)
		}
		if err := exec(t, db, `UPDATE river_job SET state = 'running' WHERE state = 'available'`); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			key   string
			added int64
		}{{"school-1 again", 1}, {"school-1 again", 0}, {"school-1 once more", 1}} {
			if n := takeover(step.key); n != step.added {
				t.Errorf("%s: %d jobs take over what runs, want %d", step.key, n, step.added)
			}
		}
		if n := count(t, db, readableKeys[engine]); n != 0 {
			t.Error("a unique key is stored as it is")
		}
	})
}

func TestRunAtDecidesWhoWatchesTheJob(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		for name, tt := range map[string]struct {
			ahead time.Duration
			state string
		}{
			"past":  {-time.Hour, "available"},
			"soon":  {2 * time.Second, "available"},
			"later": {time.Hour, "scheduled"},
		} {
			db := open(t, engine)
			due := time.Now().Add(tt.ahead)
			if err := enqueue(t, db, t.Context(), sqldb.Job{Kind: "greet", RunAt: due}); err != nil {
				t.Fatal(err)
			}
			if _, _, _, state := onlyJob(t, db); state != tt.state {
				t.Errorf("%s: state %s, want %s", name, state, tt.state)
			}
			seconds := count(t, db, scheduledSecond[engine])
			if got := time.Unix(seconds, 0); due.Sub(got).Abs() > time.Second {
				t.Errorf("%s: due at %s, want %s", name, got, due)
			}
		}
	})
}
