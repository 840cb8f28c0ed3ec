package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/export/internal/export"
)

// columns are those that encode gives and one reads, in this order: the key, then what Save writes. Fence and lease are apart,
// because only the statements that take an export change them.
var columns = []string{
	"controller", "id", "state", "kind", "language", "subject_ref", "refs", "recipient", "systems", "omissions",
	"receive_time", "due_time", "retry_until", "expire_time", "create_time", "update_time", "settled", "version",
	"failures", "next_time", "draft", "identifiers_key", "identifiers",
	"package_file", "package_sha256", "package_size", "package_type", "package_key", "package_secret",
}

var (
	columnList = strings.Join(columns, ", ") + ", fence"
	insertSQL  = `INSERT INTO export (` + strings.Join(columns, ", ") + `, fence, lease_until) VALUES (` +
		strings.Join(placeholders(len(columns)), ", ") + `, 0, 0)`
	updateSQL = makeUpdate()
)

func placeholders(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = "$" + strconv.Itoa(i+1)
	}
	return out
}

func makeUpdate() string {
	changing := columns[2:]
	sets := make([]string, len(changing))
	for i, c := range changing {
		sets[i] = fmt.Sprintf("%s = $%d", c, i+1)
	}
	n := len(changing)
	return fmt.Sprintf("UPDATE export SET %s WHERE controller = $%d AND id = $%d AND fence = $%d", strings.Join(sets, ", "), n+1, n+2, n+3)
}

// encode gives the values of columns.
func encode(w *export.Work) ([]any, error) {
	refs, err1 := json.Marshal(w.Refs)
	systems, err2 := json.Marshal(w.Systems)
	omissions, err3 := json.Marshal(w.Omissions)
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return nil, fmt.Errorf("store: encode export: %w", err)
		}
	}
	p := export.Package{}
	if w.Package != nil {
		p = *w.Package
	}
	return []any{
		w.Controller, w.ID, w.State, w.Kind, w.Language, w.SubjectRef, string(refs), w.Recipient, string(systems), string(omissions),
		sqldb.Micros(w.Received), sqldb.Micros(w.Due), sqldb.Micros(w.RetryUntil), sqldb.Micros(w.Expires),
		sqldb.Micros(w.Created), sqldb.Micros(w.Updated), sqldb.Bool(w.Settled), w.Version,
		int64(w.Failures), sqldb.Micros(w.Next), w.Draft, blob(w.Identifiers.Key), blob(w.Identifiers.Data),
		p.File, p.SHA256, p.Size, p.ContentType, blob(p.Secret.Key), blob(p.Secret.Data),
	}, nil
}

// blob makes nil an empty value: the columns are never NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// one reads a row of columnList.
func one(row sqldb.Row) (*export.Work, error) {
	var w export.Work
	var p export.Package
	var refs, systems, omissions string
	var received, due, retry, expires, created, updated, settled, failures, next int64
	err := row.Scan(&w.Controller, &w.ID, &w.State, &w.Kind, &w.Language, &w.SubjectRef, &refs, &w.Recipient, &systems, &omissions,
		&received, &due, &retry, &expires, &created, &updated, &settled, &w.Version,
		&failures, &next, &w.Draft, &w.Identifiers.Key, &w.Identifiers.Data,
		&p.File, &p.SHA256, &p.Size, &p.ContentType, &p.Secret.Key, &p.Secret.Data, &w.Fence)
	if err != nil {
		return nil, err
	}
	err = errors.Join(json.Unmarshal([]byte(refs), &w.Refs), json.Unmarshal([]byte(systems), &w.Systems),
		json.Unmarshal([]byte(omissions), &w.Omissions))
	if err != nil {
		return nil, fmt.Errorf("store: a stored export does not parse: %w", err)
	}
	w.Received, w.Due, w.RetryUntil, w.Expires = sqldb.Time(received), sqldb.Time(due), sqldb.Time(retry), sqldb.Time(expires)
	w.Created, w.Updated, w.Next = sqldb.Time(created), sqldb.Time(updated), sqldb.Time(next)
	w.Settled, w.Failures = sqldb.Truth(settled), int(failures)
	if p.File != "" {
		w.Package = &p
	}
	return &w, nil
}

// collect reads all rows of a query, each with scan, and closes it.
func collect[T any](ctx context.Context, q sqldb.Querier, scan func(sqldb.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
