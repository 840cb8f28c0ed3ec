package sqlmap

import (
	"context"
	"strings"
)

const (
	postgresSchema  = `SELECT COALESCE(NULLIF($1::text, ''), current_schema()::text)`
	postgresColumns = `SELECT c.relname::text, a.attname::text,
       CASE WHEN b.typname = 'bpchar' THEN 'bpchar' ELSE format_type(b.oid, NULL) END,
       b.typcategory::text, b.typname::text,
       a.attnotnull OR t.typnotnull, a.attgenerated <> '' OR a.attidentity = 'a',
       CASE WHEN b.typname IN ('varchar', 'bpchar') AND greatest(a.atttypmod, t.typtypmod) > 4
            THEN greatest(a.atttypmod, t.typtypmod) - 4 ELSE 0 END
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
  JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
 WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') ORDER BY c.relname, a.attnum`
	postgresIndexes = `SELECT c.relname::text, i.indexrelid::text, i.indisprimary, COALESCE(a.attname::text, '')
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, ord)
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum AND k.attnum > 0
 WHERE n.nspname = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND k.ord <= i.indnkeyatts
 ORDER BY c.relname, i.indexrelid, k.ord`
	postgresForeign = `SELECT c.relname::text, a.attname::text, cardinality(f.conkey) = 1, r.relname::text, ra.attname::text,
       CASE f.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' ELSE 'RESTRICT' END
  FROM pg_constraint f
  JOIN pg_class c ON c.oid = f.conrelid
  JOIN pg_class r ON r.oid = f.confrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace AND n.oid = r.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = f.conkey[1]
  JOIN pg_attribute ra ON ra.attrelid = r.oid AND ra.attnum = f.confkey[1]
 WHERE f.contype = 'f' AND n.nspname = $1 ORDER BY c.relname, f.conname`
)

// readPostgres reads the catalogue of one schema.
func readPostgres(ctx context.Context, q querier, schema string) (catalogue, error) {
	cat := catalogue{}
	err := scan(ctx, q, postgresColumns, []any{schema}, func(read func(...any) error) error {
		var tbl, category, typname string
		c := &column{}
		if err := read(&tbl, &c.name, &c.sqlType, &category, &typname, &c.notNull, &c.generated, &c.maxLen); err != nil {
			return err
		}
		c.family = postgresFamily(category, typname)
		cat.table(tbl).add(c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	indexes, err := postgresUnique(ctx, q, schema)
	if err != nil {
		return nil, err
	}
	cat.apply(indexes)
	return cat, scan(ctx, q, postgresForeign, []any{schema}, func(read func(...any) error) error {
		var tbl string
		var f foreignKey
		if err := read(&tbl, &f.column, &f.single, &f.refTable, &f.refCol, &f.onDelete); err != nil {
			return err
		}
		if t := cat[tbl]; t != nil {
			t.foreign = append(t.foreign, f)
		}
		return nil
	})
}

func postgresUnique(ctx context.Context, q querier, schema string) ([]index, error) {
	var out []index
	err := scan(ctx, q, postgresIndexes, []any{schema}, func(read func(...any) error) error {
		var tbl, id, name string
		var primary bool
		if err := read(&tbl, &id, &primary, &name); err != nil {
			return err
		}
		if len(out) == 0 || out[len(out)-1].id != id {
			out = append(out, index{table: tbl, id: id, primary: primary})
		}
		out[len(out)-1].columns = append(out[len(out)-1].columns, name)
		return nil
	})
	return out, err
}

func postgresFamily(category, typname string) family {
	switch typname {
	case "int2", "int4", "int8":
		return famInteger
	case "numeric":
		return famDecimal
	case "float4", "float8":
		return famReal
	case "bytea":
		return famBytes
	case "date":
		return famDate
	case "timestamp", "timestamptz":
		return famTime
	case "uuid":
		return famUUID
	case "json", "jsonb":
		return famJSON
	}
	switch {
	case category == "S" && !strings.HasPrefix(typname, "_"):
		return famText
	case category == "B":
		return famBool
	}
	return famOther
}
