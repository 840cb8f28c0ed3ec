package sqlmap

import (
	"slices"

	"github.com/privacyops/privacyops/services/participant/internal/datamap"
)

// erasureOrder puts children before what they hang on: a dataset whose path leads
// through a table before the datasets of that table, and, where the database has
// foreign keys, the referring table before the one referred to. Cycles are broken,
// foreign keys first, so that there always is an order. The person's own row is last.
func erasureOrder(p *plan) []*dataset {
	var rest, out []*dataset
	var identity *dataset
	for _, d := range p.datasets {
		if d.def.Identity() {
			identity = d
			continue
		}
		rest = append(rest, d)
	}
	// Of those that are free to go, columns come first: they may loosen a reference.
	slices.SortStableFunc(rest, func(a, b *dataset) int { return rank(a) - rank(b) })
	for len(rest) > 0 {
		i := firstFree(rest, func(a, b *dataset) bool { return hangsOn(a, b) || refers(a, b) })
		if i < 0 {
			i = firstFree(rest, hangsOn)
		}
		i = max(i, 0)
		out = append(out, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return append(out, identity)
}

func rank(d *dataset) int {
	if d.def.Erase.Action == datamap.Columns {
		return 0
	}
	return 1
}

// firstFree finds a dataset that no other one must precede, or -1.
func firstFree(rest []*dataset, before func(a, b *dataset) bool) int {
	return slices.IndexFunc(rest, func(d *dataset) bool {
		return !slices.ContainsFunc(rest, func(other *dataset) bool { return other != d && before(other, d) })
	})
}

// hangsOn reports whether the path of a leads through the table of b.
func hangsOn(a, b *dataset) bool {
	return a.table != b.table && slices.ContainsFunc(a.hops[:len(a.hops)-1], func(h hop) bool { return h.table == b.table })
}

// refers reports whether the table of a has a foreign key to the table of b.
func refers(a, b *dataset) bool {
	return a.table != b.table && slices.ContainsFunc(a.table.foreign, func(f foreignKey) bool { return f.refTable == b.table.name })
}

// cascades finds what the database itself would delete or change when rows of a
// dataset are deleted. It must be a dataset that deals with those rows itself.
func (b *binder) cascades(p *plan) {
	for _, parent := range p.datasets {
		if parent.def.Erase.Action != datamap.Delete {
			continue
		}
		for _, name := range b.cat.names() {
			for _, f := range b.cat[name].foreign {
				if f.refTable == parent.table.name && f.onDelete != "RESTRICT" && f.onDelete != "NO ACTION" {
					b.cascade(p, parent, name, f)
				}
			}
		}
	}
}

func (b *binder) cascade(p *plan, parent *dataset, child string, f foreignKey) {
	for _, d := range p.datasets {
		if d.table.name == child && d.releases(f, parent.table) {
			if d != parent {
				p.cascades = append(p.cascades, [2]*dataset{parent, d})
			}
			return
		}
	}
	b.fail(parent.def.TablePos, "deleting rows of table %q makes the database change table %q (column %q, ON DELETE %s): "+
		"add a dataset on that column that deletes the rows or changes the column", parent.table.name, child, f.column, f.onDelete)
}

// releases reports whether the dataset removes the references of f before the rows
// they point at are deleted.
func (d *dataset) releases(f foreignKey, parent *table) bool {
	if len(d.hops) == 0 || d.hops[0].from.name != f.column || d.hops[0].table != parent {
		return false
	}
	return d.def.Erase.Action == datamap.Delete || slices.ContainsFunc(d.changes, func(c change) bool { return c.col.name == f.column })
}

// strangers are the foreign keys to the person's key that no dataset starts with.
func strangers(cat catalogue, p *plan) []stranger {
	var out []stranger
	for _, name := range cat.names() {
		t := cat[name]
		for _, f := range t.foreign {
			known := slices.ContainsFunc(p.datasets, func(d *dataset) bool {
				return d.table == t && d.link() != nil && d.link().name == f.column
			})
			if f.single && f.refTable == p.table.name && f.refCol == p.key.name && !known && t.byName[f.column] != nil {
				out = append(out, stranger{t, t.byName[f.column]})
			}
		}
	}
	return out
}
