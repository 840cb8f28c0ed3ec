package audit_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/sqldb"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	domain "github.com/privacyops/privacyops/services/audit/internal/audit"
)

// count starts the audit service once more, in this process, and compares the log with the changes.
func (b *battle) count(checkpoints []checkpointSeen) (n tally) {
	b.t.Helper()
	changes := b.changes()
	service, db, _, err := openService(context.Background(), b.dir, &bytes.Buffer{})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(access.WithCaller(context.Background(), access.Caller{Service: "gateway"}))
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	awaitIndex(b.t, b.dir, db)
	var in ingest
	service.Register(&in)
	n.changes, n.acknowledged, n.refused = len(changes), len(b.told), len(b.refused)
	for id := range b.told {
		if !changes[id] {
			n.unmade++
		}
	}
	for id := range b.refused {
		if changes[id] {
			n.unrefused++
		}
	}
	if repeated, err := os.Stat(filepath.Join(b.dir, "repeated")); err == nil {
		n.repeated = int(repeated.Size())
	}
	entries := b.entries(ctx, &in, db)
	n.compare(changes, entries)
	n.unlike = unlike(b.state(), entries)
	n.waits = b.waits(entries, checkpoints)
	stop()
	if err := errors.Join(<-ended, service.Close()); err != nil {
		b.t.Fatal(err)
	}
	for id, times := range replay(b.t, b.dir, db) {
		if times > 1 {
			b.t.Errorf("event %s is in the log %d times", id, times)
		}
	}
	if err := db.Close(); err != nil {
		b.t.Error(err)
	}
	return n
}

// compare holds the log against the changes.
func (n *tally) compare(changes map[string]bool, entries []domain.Placed) {
	of := map[string]int{}
	for _, e := range entries {
		n.entries++
		of[e.Entry.Detail["change"]]++
	}
	for id := range changes {
		if of[id] == 0 {
			n.missing++
		}
	}
	for id, times := range of {
		if !changes[id] {
			n.invented++
		}
		if times > 1 {
			n.twice++
		}
	}
}

// thing is a row of a reporting service's state.
type thing struct {
	version int64
	change  string
}

// unlike replays the log and counts the rows of the state that are not as it says. Each version of a row follows the one before.
func unlike(state map[string]thing, entries []domain.Placed) (n int) {
	model := map[string]thing{}
	for _, e := range entries {
		name := e.Entry.Detail["thing"]
		version, err := strconv.ParseInt(e.Entry.Detail["version"], 10, 64)
		if err != nil || version != model[name].version+1 {
			n++
		}
		model[name] = thing{version, e.Entry.Detail["change"]}
	}
	for name, row := range state {
		if model[name] != row {
			n++
		}
		delete(model, name)
	}
	return n + len(model)
}

// changes reads what the reporting service has committed, whoever was told of it.
func (b *battle) changes() map[string]bool {
	b.t.Helper()
	out := map[string]bool{}
	eachRow(b.t, filepath.Join(b.dir, "reporter.db"), `SELECT id FROM change`, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		out[id] = true
		return err
	})
	return out
}

// state reads the rows that the changes have led to.
func (b *battle) state() map[string]thing {
	b.t.Helper()
	out := map[string]thing{}
	eachRow(b.t, filepath.Join(b.dir, "reporter.db"), `SELECT name, version, change FROM thing`, func(scan func(...any) error) error {
		var name string
		var row thing
		err := scan(&name, &row.version, &row.change)
		out[name] = row
		return err
	})
	return out
}

// countRows counts the rows of a table.
func countRows(t *testing.T, path, table string) (n uint64) {
	t.Helper()
	eachRow(t, path, `SELECT count(*) FROM `+table, func(scan func(...any) error) error { return scan(&n) })
	return n
}

// eachRow reads a database beside the service whose it is.
func eachRow(t *testing.T, path, query string, row func(scan func(...any) error) error) {
	t.Helper()
	db, err := sqldb.Open(context.Background(), sqldb.Config{URL: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // it was read only
	err = db.Read(context.Background(), func(ctx context.Context, q sqldb.Querier) error {
		rows, err := q.Query(ctx, query)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := row(rows.Scan); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// entries reads all entries of the log by their proofs, each of which is checked with golang.org/x/mod alone, and gives those of the
// reporting service.
func (b *battle) entries(ctx context.Context, in *ingest, db *sqldb.DB) (out []domain.Placed) {
	b.t.Helper()
	for _, name := range entryNames(b.t, db) {
		proof, err := in.log.GetAuditEventProof(ctx, &auditv1.GetAuditEventProofRequest{Name: name})
		if err != nil {
			b.t.Fatalf("%s: %v", name, err)
		}
		checkProof(b.t, proof)
		entry, err := domain.ParseLeaf(proof.GetLeaf())
		if err != nil {
			b.t.Fatal(err)
		}
		if entry.Service == "erasure" {
			out = append(out, domain.Placed{Entry: entry, Index: uint64(proof.GetIndex())})
		}
	}
	return out
}

// entryNames lists the names of all events that the index has.
func entryNames(t *testing.T, db *sqldb.DB) (names []string) {
	t.Helper()
	err := db.Read(context.Background(), func(ctx context.Context, q sqldb.Querier) error {
		rows, err := q.Query(ctx, `SELECT controller, event_id FROM entry WHERE controller <> '' ORDER BY position`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var controller, id string
			if err := rows.Scan(&controller, &id); err != nil {
				return err
			}
			names = append(names, "controllers/"+controller+"/auditEvents/"+id)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
