package sqlmap

import (
	"slices"

	"github.com/privacyops/privacyops/services/participant/internal/datamap"
)

// binder looks the names of a map up and collects what is wrong.
type binder struct {
	e    Engine
	cat  catalogue
	m    *datamap.Map
	errs datamap.Errors
}

// grounds for a column that speaks of others.
const (
	othersGround  = "RIGHTS_OF_OTHERS"
	othersArticle = "GDPR art. 15(4)"
)

// bind checks a map against a catalogue.
func bind(e Engine, cat catalogue, m *datamap.Map) (*plan, error) {
	b := &binder{e: e, cat: cat, m: m}
	p := &plan{m: m}
	if e == SQLite && m.Schema != "" {
		b.fail(m.Person.Pos, "schema is for PostgreSQL; take it out")
	}
	b.person(p)
	if err := b.errs.Err(); err != nil {
		return nil, err // everything else leads to the person and would fail after it
	}
	for i := range m.Datasets {
		p.datasets = append(p.datasets, b.dataset(&m.Datasets[i]))
	}
	for i := range m.Mentions {
		p.mentions = append(p.mentions, b.mention(&m.Mentions[i]))
	}
	if len(b.errs) == 0 {
		b.cascades(p)
	}
	if err := b.errs.Err(); err != nil {
		return nil, err
	}
	p.columns = personColumns(p)
	p.order = erasureOrder(p)
	p.strangers = strangers(cat, p)
	return p, nil
}

func (b *binder) fail(pos datamap.Pos, format string, args ...any) {
	b.errs.Add(b.m.File, pos, format, args...)
}

// table finds a table by its exact name.
func (b *binder) table(pos datamap.Pos, name string) *table {
	t := b.cat[name]
	if t == nil {
		b.fail(pos, "the database has no table %q%s", name, datamap.Suggest(name, b.cat.names()))
	}
	return t
}

// column finds a column by its exact name; t may be nil after an earlier error.
func (b *binder) column(pos datamap.Pos, t *table, name string) *column {
	if t == nil {
		return nil
	}
	c := t.byName[name]
	if c == nil {
		b.fail(pos, "table %q has no column %q%s", t.name, name, datamap.Suggest(name, t.columnNames()))
	}
	return c
}

func (b *binder) person(p *plan) {
	def := &b.m.Person
	p.table = b.table(def.TablePos, def.Table)
	p.key = b.column(def.KeyPos, p.table, def.Key)
	if p.key != nil && !p.key.unique {
		b.fail(def.KeyPos, "column %q of table %q is neither its primary key nor unique", p.key.name, p.table.name)
	}
	b.comparable(def.KeyPos, p.key)
	if def.Controller != "" {
		p.controller = b.nameable(def.CtrlPos, b.column(def.CtrlPos, p.table, def.Controller))
	}
	for i := range def.Identifiers {
		id := &def.Identifiers[i]
		p.ids = append(p.ids, identifier{id, b.nameable(id.Pos, b.column(id.Pos, p.table, id.Column))})
	}
}

// nameable checks that a value of a request can be compared with the column.
func (b *binder) nameable(pos datamap.Pos, c *column) *column {
	if c != nil && !slices.Contains([]family{famText, famInteger, famUUID}, c.family) {
		b.fail(pos, "column %q is of type %s; an identifier or controller must be text, integer or UUID", c.name, c.family)
	}
	return c
}

// comparable checks that equality is defined for the column.
func (b *binder) comparable(pos datamap.Pos, c *column) {
	if c != nil && b.e == PostgreSQL && (c.sqlType == "json" || c.family == famOther && c.sqlType == "xml") {
		b.fail(pos, "column %q is of type %s, which cannot be compared", c.name, c.sqlType)
	}
}

func (b *binder) dataset(def *datamap.Dataset) *dataset {
	d := &dataset{def: def, table: b.table(def.TablePos, def.Table)}
	d.key = b.key(def, d.table)
	d.hops, d.target = b.path(def, d.table)
	if d.table == nil {
		return d
	}
	for i := range def.Erase.Columns {
		d.changes = append(d.changes, b.change(d, &def.Erase.Columns[i])...)
	}
	b.exports(d)
	return d
}

// key finds the columns that identify a row.
func (b *binder) key(def *datamap.Dataset, t *table) []*column {
	if t == nil {
		return nil
	}
	names := def.Key
	switch {
	case len(names) > 0:
	case t.name == b.m.Person.Table:
		names = []string{b.m.Person.Key}
	case len(t.key) > 0:
		names = t.key
	default:
		b.fail(def.TablePos, "table %q has no primary key; name the columns that identify a row with key", t.name)
	}
	var out []*column
	for _, n := range names {
		c := b.column(def.KeyPos, t, n)
		b.comparable(def.KeyPos, c)
		out = append(out, c)
	}
	return out
}

// path finds the columns of the joins and the person column they end at.
func (b *binder) path(def *datamap.Dataset, t *table) ([]hop, *column) {
	if def.Identity() {
		if t == nil {
			return nil, nil
		}
		return nil, t.byName[b.m.Person.Key]
	}
	var hops []hop
	for _, j := range def.Path {
		h := hop{from: b.column(j.Pos, t, j.Column), table: b.table(j.ToPos, j.Table)}
		h.to = b.column(j.ToPos, h.table, j.ToColumn)
		b.comparable(j.Pos, h.from)
		if h.from != nil && h.to != nil && !joinable(b.e, h.from, h.to) {
			b.fail(j.Pos, "column %q of table %q is of type %s and cannot be joined to %q of table %q, which is of type %s",
				h.from.name, t.name, h.from.family, h.to.name, h.table.name, h.to.family)
		}
		hops, t = append(hops, h), h.table
	}
	return hops, hops[len(hops)-1].to
}

// joinable reports whether equality between two columns means something.
func joinable(e Engine, a, c *column) bool {
	group := func(f family) family {
		switch {
		case f == famDecimal:
			return famInteger
		case e == SQLite && (f == famUUID || f == famJSON):
			return famText
		}
		return f
	}
	if a.family == famAny || c.family == famAny {
		return true
	}
	if a.family == famOther || c.family == famOther {
		return a.sqlType == c.sqlType
	}
	return group(a.family) == group(c.family)
}

// exports decides which columns are exported and which are withheld.
func (b *binder) exports(d *dataset) {
	out := map[*column]bool{}
	hide := func(pos datamap.Pos, name, ground, article string) {
		if c := b.column(pos, d.table, name); c != nil {
			out[c] = true
			d.withheld = append(d.withheld, withheld{c, ground, article})
		}
	}
	for _, c := range d.def.Others {
		hide(c.Pos, c.Name, othersGround, othersArticle)
	}
	for _, x := range d.def.Exclude {
		hide(x.Pos, x.Column, x.Ground, x.Article)
	}
	for _, c := range d.table.columns {
		if !out[c] {
			d.exported = append(d.exported, c)
		}
	}
}

func (b *binder) mention(def *datamap.Mention) *mention {
	m := &mention{def: def, table: b.table(def.TablePos, def.Table)}
	m.col = b.searchable(def.ColumnPos, b.column(def.ColumnPos, m.table, def.Column))
	person := b.cat[b.m.Person.Table]
	for _, c := range def.Match {
		m.match = append(m.match, b.searchable(c.Pos, b.column(c.Pos, person, c.Name)))
	}
	return m
}

func (b *binder) searchable(pos datamap.Pos, c *column) *column {
	if c != nil && !isText(c) {
		b.fail(pos, "column %q is of type %s; a mention is looked for in text", c.name, c.family)
	}
	return c
}

// isText reports whether a column can hold words.
func isText(c *column) bool {
	return c.family == famText || c.family == famJSON || c.family == famAny
}

// personColumns are the columns of the person table that the adapter reads of a
// person: identifiers, ends of paths, and what mentions look for.
func personColumns(p *plan) []*column {
	var out []*column
	add := func(c *column) {
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	add(p.key)
	for _, id := range p.ids {
		add(id.col)
	}
	for _, d := range p.datasets {
		add(d.target)
	}
	for _, m := range p.mentions {
		for _, c := range m.match {
			add(c)
		}
	}
	return out
}
