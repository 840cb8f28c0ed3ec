package sqlmap

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// check is one verification while it runs.
type check struct {
	a        *Adapter
	r        participant.VerifyRequest
	q        querier
	actions  map[string]participant.Action
	ends     map[*column][]any // what link columns are matched with
	reused   []any             // recorded keys that name somebody else by now
	words    []string          // what text is searched for
	findings []participant.Finding
}

// Verify looks for what is left. When an erasure is done and nothing is left but what
// is kept, the ledger forgets the keys of the request.
func (a *Adapter) Verify(ctx context.Context, r participant.VerifyRequest) (participant.VerifyResult, error) {
	var out participant.VerifyResult
	if r.Request == "" {
		return out, fmt.Errorf("%w: a request id is required", participant.ErrInvalid)
	}
	if err := valid(r.Subject); err != nil {
		return out, err
	}
	release, err := a.hold(ctx, r.Request)
	if err != nil {
		return out, err
	}
	defer release()
	err = a.read(ctx, "verifying", func(tx *sql.Tx) error {
		c := &check{a: a, r: r, q: tx, ends: map[*column][]any{}}
		err := c.run(ctx)
		out.Findings = c.findings
		return err
	})
	if err != nil {
		return participant.VerifyResult{}, err
	}
	state, err := a.ledger.state(ctx, r.Request)
	if err == nil && state == stateDone && out.Clean() {
		err = a.ledger.purge(ctx, r.Request)
	}
	return out, err
}

func (c *check) run(ctx context.Context) error {
	steps := []func(context.Context) error{c.prepare, c.byLink, c.byForeignKey, c.byRecord, c.byContent}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// found adds a finding unless it counts nothing.
func (c *check) found(dataset, table, column string, m participant.Method, rows int64, kept bool) {
	if rows > 0 {
		c.findings = append(c.findings, participant.Finding{Dataset: dataset, Table: table, Column: column, Method: m, Rows: rows, Kept: kept})
	}
}

// prepare collects the values that could still point at the person: from the request,
// from the record of the erasure, and from rows that the identifiers still lead to.
func (c *check) prepare(ctx context.Context) error {
	if err := c.plannedActions(ctx); err != nil {
		return err
	}
	types, err := c.a.ledger.sharedTypes(ctx, c.r.Request)
	if err != nil {
		return err
	}
	subject := participant.Subject{Controller: c.r.Subject.Controller}
	for _, id := range c.r.Subject.Identifiers {
		if !slices.Contains(strings.Split(types, ","), string(id.Type)) {
			subject.Identifiers = append(subject.Identifiers, id)
		}
	}
	live, err := c.a.resolve(ctx, c.q, subject)
	if err != nil {
		return err
	}
	for col, values := range live.ends {
		c.ends[col] = slices.Clone(values)
	}
	if err := c.recordedKeys(ctx); err != nil {
		return err
	}
	var words []string
	for _, id := range subject.Identifiers {
		h, err := c.a.holders(ctx, c.q, subject.Controller, id)
		if err != nil {
			return err
		}
		if h.people > 0 && (h.row == nil || !c.has(c.a.plan.key, h.row.key)) {
			continue // of several people, or of somebody else
		}
		words = append(words, id.Value)
		if h.people == 0 {
			c.namedEnds(id)
		}
	}
	c.words = telling(words, minWord)
	return nil
}

// plannedActions takes the actions of the request, or those of the map for a request
// that the ledger does not know.
func (c *check) plannedActions(ctx context.Context) error {
	actions, err := c.a.ledger.actions(ctx, c.r.Request)
	if err != nil {
		return err
	}
	c.actions = map[string]participant.Action{}
	for _, d := range c.a.plan.datasets {
		c.actions[d.def.Name] = d.action()
		if act, ok := actions[d.def.Name]; ok {
			c.actions[d.def.Name] = act
		}
	}
	return nil
}

// recordedKeys adds the recorded keys of the person's rows, but for one that names
// somebody else by now.
func (c *check) recordedKeys(ctx context.Context) error {
	keys, err := c.a.ledger.personKeys(ctx, c.r.Request)
	if err != nil {
		return err
	}
	identity := c.a.plan.order[len(c.a.plan.order)-1]
	for encoded, guards := range keys {
		row, err := c.a.personByKey(ctx, c.q, []byte(encoded))
		if err != nil {
			return err
		}
		if row != nil && c.actions[identity.def.Name] == participant.Erase && !c.a.same(c.r.Request, row, guards) {
			c.reused = append(c.reused, row.key)
			continue
		}
		cells, err := decode([]byte(encoded))
		if err != nil {
			return err
		}
		c.addEnd(c.a.plan.key, cells[0])
	}
	return nil
}

// namedEnds adds an identifier that nobody has any more as an end of paths.
func (c *check) namedEnds(id participant.Identifier) {
	for _, i := range c.a.plan.ids {
		if i.def.Type == string(id.Type) && !i.def.Shared {
			for _, v := range parameters(c.a.e, i.col, id.Value) {
				c.addEnd(i.col, v)
			}
		}
	}
}

func (c *check) has(col *column, v any) bool {
	return slices.ContainsFunc(c.ends[col], func(old any) bool { return show(old) == show(v) })
}

func (c *check) addEnd(col *column, v any) {
	if !c.has(col, v) {
		c.ends[col] = append(c.ends[col], v)
	}
}

// leftover appends what makes a matching row of d a leftover: it still needs a change,
// no dataset keeps it, and it does not belong to a person who got a reused key.
func (c *check) leftover(s *stmt, d *dataset) {
	if c.actions[d.def.Name] == participant.Anonymise {
		s.sql(" AND ")
		differs(s, d.changes)
	}
	s.sql(" AND ")
	c.kept(s, d.table)
	s.sql(" IS NOT TRUE")
	if len(c.reused) > 0 && d.target == c.a.plan.key {
		s.sql(" AND (")
		d.reach(s, map[*column][]any{d.target: c.reused})
		s.sql(") IS NOT TRUE")
	}
}

// kept appends the condition that a dataset keeps row t.
func (c *check) kept(s *stmt, t *table) {
	s.sql("(1 = 0")
	for _, d := range c.a.plan.datasets {
		if d.table == t && c.actions[d.def.Name] == participant.Keep {
			s.sql(" OR ")
			d.reach(s, c.ends)
		}
	}
	s.sql(")")
}

// count counts rows of the dataset's table. Where another dataset keeps rows of the
// table by a path that may be broken by now, the record tells which.
func (c *check) count(ctx context.Context, d *dataset, where func(*stmt)) (int64, error) {
	doing := "verifying dataset " + d.def.Name
	var keepers []string
	for _, k := range c.a.plan.datasets {
		if k != d && k.table == d.table && len(k.hops) > 1 && c.actions[k.def.Name] == participant.Keep {
			keepers = append(keepers, k.def.Name)
		}
	}
	if len(keepers) == 0 || c.actions[d.def.Name] == participant.Keep {
		return c.a.count(ctx, c.q, doing, c.a.countOf(d.table, func(s *stmt) { where(s.sql(" WHERE ")) }))
	}
	s := c.a.stmt().sql("SELECT ")
	for i, k := range d.key {
		if i > 0 {
			s.sql(", ")
		}
		s.read(k)
	}
	where(s.sql(" FROM ").table(d.table, "t").sql(" WHERE "))
	var n int64
	err := c.a.query(ctx, c.q, doing, s, func(read func(...any) error) error {
		cells, err := readCells(read, len(d.key))
		if err != nil {
			return err
		}
		key, err := encode(cells)
		if err != nil {
			return err
		}
		for _, k := range keepers {
			if kept, err := c.a.ledger.has(ctx, c.r.Request, k, key); err != nil || kept {
				return err
			}
		}
		n++
		return nil
	})
	return n, err
}

// byLink matches the link columns with the key and the identifiers.
func (c *check) byLink(ctx context.Context) error {
	for _, d := range c.a.plan.datasets {
		kept := c.actions[d.def.Name] == participant.Keep
		n, err := c.count(ctx, d, func(s *stmt) {
			d.reach(s, c.ends)
			if !kept {
				c.leftover(s, d)
			}
		})
		if err != nil {
			return err
		}
		column := c.a.plan.key.name
		if d.link() != nil {
			column = d.link().name
		}
		c.found(d.def.Name, d.table.name, column, participant.ByLink, n, kept)
	}
	return nil
}

// byForeignKey matches foreign keys of the live database that no dataset follows.
func (c *check) byForeignKey(ctx context.Context) error {
	for _, x := range c.a.plan.strangers {
		n, err := c.a.count(ctx, c.q, "verifying table "+x.table.name, c.a.countOf(x.table, func(s *stmt) {
			s.sql(" WHERE ").in("t", x.column, c.ends[c.a.plan.key])
		}))
		if err != nil {
			return err
		}
		c.found("", x.table.name, x.column.name, participant.ByLink, n, false)
	}
	return nil
}
