package sqlmap

import (
	"context"
	"slices"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// byContent searches the text columns of every table that the map names.
func (c *check) byContent(ctx context.Context) error {
	if len(c.words) == 0 {
		return nil
	}
	for _, t := range c.a.plan.tables() {
		hits := map[*column]*[2]int64{} // not kept, kept
		var columns []*column
		for _, col := range t.columns {
			if isText(col) {
				columns = append(columns, col)
				hits[col] = new([2]int64)
			}
		}
		err := c.a.search(ctx, c.q, t, columns, c.words, func(s *stmt) { c.kept(s, t) },
			func(s *stmt) { c.notOfOthers(s, t) },
			func(col *column, kept bool) {
				if kept {
					hits[col][1]++
				} else {
					hits[col][0]++
				}
			})
		if err != nil {
			return err
		}
		for _, col := range columns {
			c.foundText(t, col, *hits[col])
		}
	}
	return nil
}

// foundText names the dataset or the mention that a text was found in.
func (c *check) foundText(t *table, col *column, hits [2]int64) {
	var changed, kept string
	for _, d := range slices.Backward(c.a.plan.datasets) {
		switch {
		case d.table != t:
		case c.actions[d.def.Name] == participant.Keep:
			kept = d.def.Name
		default:
			changed = d.def.Name
		}
	}
	for _, m := range c.a.plan.mentions {
		if m.table == t && m.col == col {
			c.found(m.def.Name, t.name, col.name, participant.ByContent, hits[0]+hits[1], true)
			return
		}
	}
	c.found(changed, t.name, col.name, participant.ByContent, hits[0], false)
	c.found(kept, t.name, col.name, participant.ByContent, hits[1], true)
}

// notOfOthers leaves out rows that belong to people of another controller: what they
// contain is not this controller's to know.
func (c *check) notOfOthers(s *stmt, t *table) {
	p := c.a.plan
	if p.controller == nil {
		return
	}
	mine := parameters(c.a.e, p.controller, c.r.Subject.Controller)
	if t == p.table {
		s.sql(" AND ").in("t", p.controller, mine)
		return
	}
	for _, d := range p.datasets {
		if d.table != t {
			continue
		}
		s.sql(" AND (")
		d.follow(s, func(s *stmt, alias string, from *column) {
			s.col(alias, from).sql(" IN (SELECT ").col("p", d.target).sql(" FROM ").table(p.table, "p").sql(" WHERE (")
			s.in("p", p.controller, mine).sql(") IS NOT TRUE)")
		})
		s.sql(") IS NOT TRUE")
	}
}

// tables are the tables that the map names, each once, in its order.
func (p *plan) tables() []*table {
	out := []*table{p.table}
	add := func(t *table) {
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	for _, d := range p.datasets {
		add(d.table)
		for _, h := range d.hops {
			add(h.table)
		}
	}
	for _, m := range p.mentions {
		add(m.table)
	}
	return out
}
