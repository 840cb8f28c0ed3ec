package demo

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/privacyops/privacyops/services/participant/sample"
)

// search looks for the pupil in every cell of the platform's database, without the data map. What it still finds must be what
// the certificate says was kept.
func (s *story) search(ctx context.Context) error {
	s.chapter("The platform's own database, searched for what should be gone")
	db, err := sample.Open(s.database)
	if err != nil {
		return err
	}
	defer db.Close()
	hits, err := sample.Search(ctx, db, s.pupil.Values()...)
	if err != nil {
		return err
	}
	keeping, err := keepingTables()
	if err != nil {
		return err
	}
	rows := map[string]bool{}
	for _, h := range hits {
		if !slices.Contains(keeping, h.Table) {
			return fmt.Errorf("table %s still holds the person (row %s, column %s)", h.Table, h.Key, h.Column)
		}
		rows[h.Table+"/"+h.Key] = true
	}
	if int64(len(rows)) != s.kept {
		return fmt.Errorf("the person is found in %d rows, but the certificate names %d as kept", len(rows), s.kept)
	}
	s.say("%d values searched in every cell: found only in the %d rows that the certificate names as kept", len(s.pupil.Values()), s.kept)
	return nil
}

// keepingTables reads from the data map which tables hold something that is kept.
func keepingTables() (tables []string, err error) {
	var m struct {
		Datasets []struct {
			Table string `yaml:"table"`
			Erase struct {
				Action string `yaml:"action"`
			} `yaml:"erase"`
		} `yaml:"datasets"`
		Mentions []struct {
			Table string `yaml:"table"`
		} `yaml:"mentions"`
	}
	if err := yaml.Unmarshal(sample.DataMap, &m); err != nil {
		return nil, err
	}
	for _, d := range m.Datasets {
		if d.Erase.Action == "keep" {
			tables = append(tables, d.Table)
		}
	}
	for _, d := range m.Mentions {
		tables = append(tables, d.Table)
	}
	return tables, nil
}

// compare looks at every row of every table: only rows that were about the pupil may be different.
func (s *story) compare(ctx context.Context) error {
	db, err := sample.Open(s.database)
	if err != nil {
		return err
	}
	defer db.Close()
	after, err := sample.Fingerprint(ctx, db)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, rows := range s.before {
		total += int64(len(rows))
	}
	changes := s.before.Changes(after)
	for _, row := range changes {
		if !s.mayChange(row) {
			return fmt.Errorf("row %s of table %s is somebody else's, and was changed", row.Key, row.Table)
		}
	}
	if int64(len(changes)) != s.erased {
		return fmt.Errorf("%d rows are different, but the certificate counts %d", len(changes), s.erased)
	}
	s.others = total - int64(len(changes))
	s.say("%d rows in %d tables compared: %d are gone or changed, all of them hers; the other %d are byte for byte the same", total, len(s.before), len(changes), s.others)
	return nil
}

// mayChange reports whether a row was about the pupil before anything was erased.
func (s *story) mayChange(row sample.Row) bool { return s.own[row.Table+"/"+row.Key] }

// ownRows finds, before the erasure, the rows that are about the pupil: by the database's own foreign keys to her row, by her
// addresses, and by the files of her submissions. It does not use the data map.
func (s *story) ownRows(ctx context.Context, db *sql.DB) error {
	s.own = map[string]bool{fmt.Sprintf("users/%d", s.pupil.Key): true}
	for table := range s.before {
		conditions, args, err := s.conditions(ctx, db, table)
		if err != nil {
			return err
		}
		if len(conditions) == 0 {
			continue
		}
		key, err := keyOf(ctx, db, table)
		if err != nil {
			return err
		}
		if err := s.take(ctx, db, table, `SELECT `+key+` FROM "`+table+`" WHERE `+strings.Join(conditions, " OR "), args); err != nil {
			return err
		}
	}
	return nil
}

// take notes the rows whose keys a query gives.
func (s *story) take(ctx context.Context, db *sql.DB, table, query string, args []any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return err
		}
		s.own[table+"/"+key] = true
	}
	return rows.Err()
}

// conditions are those under which a row of the table is about the pupil.
func (s *story) conditions(ctx context.Context, db *sql.DB, table string) (conditions []string, args []any, err error) {
	rows, err := db.QueryContext(ctx, `SELECT "from", "table" FROM pragma_foreign_key_list(?)`, table)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var column, target string
		if err := rows.Scan(&column, &target); err != nil {
			return nil, nil, err
		}
		switch {
		case target == "users":
			conditions, args = append(conditions, `"`+column+`" = ?`), append(args, s.pupil.Key)
		case table == "submission_files" && target == "submissions":
			conditions, args = append(conditions, `"`+column+`" IN (SELECT id FROM submissions WHERE pupil = ?)`), append(args, s.pupil.Key)
		}
	}
	if table == "support_tickets" {
		conditions, args = append(conditions, `contact_email = ?`, `contact_phone = ?`), append(args, s.pupil.Email, s.pupil.Phone)
	}
	return conditions, args, rows.Err()
}

// keyOf is an expression for the key of a row as fingerprints write it: the key's columns joined by a slash.
func keyOf(ctx context.Context, db *sql.DB, table string) (string, error) {
	rows, err := db.QueryContext(ctx, `SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk`, table)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var columns []string
	for rows.Next() {
		var c string
		if err := rows.Scan(&c); err != nil {
			return "", err
		}
		columns = append(columns, `"`+c+`"`)
	}
	return strings.Join(columns, ` || '/' || `), rows.Err()
}
