package sqlmap

import (
	"context"
	"regexp"
	"strconv"
	"strings"
)

const (
	sqliteColumns = `SELECT m.name, p.name, p.type, p."notnull", p.pk, p.hidden
  FROM sqlite_master m, pragma_table_xinfo(m.name) p
 WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY m.name, p.cid`
	sqliteIndexes = `SELECT m.name, l.name, i.name
  FROM sqlite_master m, pragma_index_list(m.name) l, pragma_index_info(l.name) i
 WHERE m.type = 'table' AND l."unique" = 1 AND l.partial = 0 AND l.origin <> 'pk' ORDER BY m.name, l.seq, i.seqno`
	sqliteForeign = `SELECT m.name, f.id, f.seq, f."from", f."table", COALESCE(f."to", ''), f.on_delete
  FROM sqlite_master m, pragma_foreign_key_list(m.name) f
 WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq`
)

// readSQLite reads the catalogue of a SQLite database.
func readSQLite(ctx context.Context, q querier, _ string) (catalogue, error) {
	cat := catalogue{}
	var indexes []index
	primary := map[string]map[int]string{}
	err := scan(ctx, q, sqliteColumns, nil, func(read func(...any) error) error {
		var tbl, name, typ string
		var notNull bool
		var pk, hidden int
		if err := read(&tbl, &name, &typ, &notNull, &pk, &hidden); err != nil {
			return err
		}
		if hidden == 1 { // of a virtual table: not part of the row
			return nil
		}
		cat.table(tbl).add(sqliteColumn(name, typ, notNull, hidden != 0))
		if pk > 0 {
			if primary[tbl] == nil {
				primary[tbl] = map[int]string{}
			}
			primary[tbl][pk] = name
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for tbl, columns := range primary {
		ix := index{table: tbl, primary: true}
		for i := 1; i <= len(columns); i++ {
			ix.columns = append(ix.columns, columns[i])
		}
		if c := cat[tbl].byName[ix.columns[0]]; len(ix.columns) == 1 && c.family == famInteger {
			c.notNull = true // an INTEGER PRIMARY KEY is the row id
		}
		indexes = append(indexes, ix)
	}
	more, err := sqliteUnique(ctx, q)
	if err != nil {
		return nil, err
	}
	cat.apply(append(indexes, more...))
	return cat, sqliteForeignKeys(ctx, q, cat)
}

func sqliteUnique(ctx context.Context, q querier) ([]index, error) {
	var out []index
	err := scan(ctx, q, sqliteIndexes, nil, func(read func(...any) error) error {
		var tbl, id string
		var name *string // nil for an expression
		if err := read(&tbl, &id, &name); err != nil {
			return err
		}
		if len(out) == 0 || out[len(out)-1].id != id {
			out = append(out, index{table: tbl, id: id})
		}
		last := &out[len(out)-1]
		if name == nil {
			last.columns = append(last.columns, "")
		} else {
			last.columns = append(last.columns, *name)
		}
		return nil
	})
	return out, err
}

func sqliteForeignKeys(ctx context.Context, q querier, cat catalogue) error {
	return scan(ctx, q, sqliteForeign, nil, func(read func(...any) error) error {
		var tbl, from, ref, to, onDelete string
		var id, seq int
		if err := read(&tbl, &id, &seq, &from, &ref, &to, &onDelete); err != nil {
			return err
		}
		t := cat[tbl]
		if t == nil {
			return nil
		}
		if seq > 0 {
			t.foreign[len(t.foreign)-1].single = false
			return nil
		}
		for name := range cat { // SQLite folds ASCII case in the reference
			if strings.EqualFold(name, ref) {
				ref = name
			}
		}
		if r := cat[ref]; to == "" && r != nil && len(r.key) == 1 {
			to = r.key[0]
		}
		t.foreign = append(t.foreign, foreignKey{from, true, ref, to, strings.ToUpper(onDelete)})
		return nil
	})
}

var declaredLength = regexp.MustCompile(`CHAR[A-Z ]*\((\d+)\)`)

func sqliteColumn(name, declared string, notNull, generated bool) *column {
	typ := strings.ToUpper(declared)
	c := &column{name: name, family: sqliteFamily(typ), notNull: notNull, generated: generated}
	if m := declaredLength.FindStringSubmatch(typ); m != nil {
		c.maxLen, _ = strconv.Atoi(m[1])
	}
	return c
}

// sqliteFamily follows SQLite's affinity rules, and the words people use for dates.
func sqliteFamily(typ string) family {
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(typ, w) {
				return true
			}
		}
		return false
	}
	switch {
	case typ == "":
		return famAny
	case has("INT"):
		return famInteger
	case has("JSON"):
		return famJSON
	case has("CHAR", "CLOB", "TEXT"):
		return famText
	case has("BLOB"):
		return famBytes
	case has("REAL", "FLOA", "DOUB"):
		return famReal
	case has("BOOL"):
		return famBool
	case has("UUID"):
		return famUUID
	case has("DATETIME", "TIMESTAMP"):
		return famTime
	case has("DATE"):
		return famDate
	case has("NUM", "DEC"):
		return famDecimal
	}
	return famOther
}
