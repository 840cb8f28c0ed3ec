package move

import (
	"context"
	"fmt"
	"strings"

	"github.com/privacyops/privacyops/libs/sqldb"
)

// A batch is one transaction. It ends at whichever bound comes first.
const (
	batchRows  = 1000
	batchBytes = 4 << 20
)

// task is a table with what is to be done about it.
type task struct {
	table
	source *source
	total  int64
	sha256 string // of the rows as they are in the file
	copied int64
}

// survey reads a table of the file: how many rows, which hash. A value that PostgreSQL would not take is found here, before
// anything was written.
func (t *task) survey(ctx context.Context) error {
	rows, err := t.source.rows(ctx, t.table, 0)
	if err != nil {
		return err
	}
	defer rows.close()
	d := newDigest()
	for {
		row, err := rows.next()
		if err != nil {
			return err
		}
		if row == nil {
			t.total, t.sha256 = d.rows, d.sum()
			return nil
		}
		d.add(encoded(row))
	}
}

// copy copies what is missing, batch by batch. Told after each is how many rows are there.
func (t *task) copy(ctx context.Context, to *target, told func()) error {
	if t.copied >= t.total {
		return nil
	}
	rows, err := t.source.rows(ctx, t.table, t.copied)
	if err != nil {
		return err
	}
	defer rows.close()
	for {
		b := newBatch(t.table)
		for !b.full() {
			row, err := rows.next()
			if err != nil {
				return err
			}
			if row == nil {
				break
			}
			b.add(row)
		}
		if b.rows == 0 {
			return nil
		}
		if err := to.put(ctx, b, t.copied); err != nil {
			return fmt.Errorf("copy %s: %w", t, err)
		}
		t.copied += b.rows
		told()
	}
}

// put writes a batch and its line in the journal, both or neither.
func (t *target) put(ctx context.Context, b *batch, before int64) error {
	return t.write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		if err := noteCopied(ctx, tx, b.table, before, before+b.rows); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, b.table.insert(), b.lists()...)
		return err
	})
}

// insert is the statement that writes a batch, a list for each column.
func (t table) insert() string {
	var names, values, lists, aliases []string
	for i, c := range t.columns {
		alias := fmt.Sprintf("c%d", i+1)
		names = append(names, quoted(c.name))
		values = append(values, on(c.kind.write, alias))
		lists = append(lists, fmt.Sprintf("$%d::%s[]", i+1, c.kind.array))
		aliases = append(aliases, alias)
	}
	return "INSERT INTO " + t.full() + " (" + strings.Join(names, ", ") + ") OVERRIDING SYSTEM VALUE SELECT " + strings.Join(values, ", ") +
		" FROM unnest(" + strings.Join(lists, ", ") + ") AS r(" + strings.Join(aliases, ", ") + ")"
}

// batch holds rows by column.
type batch struct {
	table   table
	rows    int64
	bytes   int
	columns []list
}

// list is one column of a batch; only the one of its kind is used.
type list struct {
	numbers []*int64
	texts   []*string
	bytes   [][]byte
}

func newBatch(t table) *batch { return &batch{table: t, columns: make([]list, len(t.columns))} }

func (b *batch) full() bool { return b.rows >= batchRows || b.bytes >= batchBytes }

// add takes a row over; the row itself may be used again.
func (b *batch) add(row []any) {
	b.rows++
	for i, v := range row {
		l := &b.columns[i]
		var number *int64
		var text *string
		var raw []byte
		switch v := v.(type) {
		case int64:
			number = &v
		case string:
			text = &v
			b.bytes += len(v)
		case []byte:
			raw = v
			b.bytes += len(v)
		}
		switch b.table.columns[i].kind.array {
		case "bigint":
			l.numbers = append(l.numbers, number)
		case "bytea":
			l.bytes = append(l.bytes, raw)
		default:
			l.texts = append(l.texts, text)
		}
	}
}

// lists are the arguments of the statement.
func (b *batch) lists() (out []any) {
	for i, c := range b.table.columns {
		switch c.kind.array {
		case "bigint":
			out = append(out, b.columns[i].numbers)
		case "bytea":
			out = append(out, b.columns[i].bytes)
		default:
			out = append(out, b.columns[i].texts)
		}
	}
	return out
}
