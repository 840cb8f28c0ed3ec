package sqlmap

import (
	"context"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// byRecord reads the recorded rows again, and children of recorded parents.
func (c *check) byRecord(ctx context.Context) error {
	for _, d := range c.a.plan.datasets {
		if c.actions[d.def.Name] == participant.Keep {
			continue
		}
		still, err := c.stillThere(ctx, d)
		if err != nil {
			return err
		}
		c.found(d.def.Name, d.table.name, "", participant.ByRecord, still, false)
		if len(d.hops) > 1 {
			orphans, err := c.orphans(ctx, d)
			if err != nil {
				return err
			}
			c.found(d.def.Name, d.table.name, d.link().name, participant.ByRecord, orphans, false)
		}
	}
	return nil
}

// stillThere counts recorded rows that are there unchanged. For the person's own row
// the key alone proves nothing; byLink has told a reused one.
func (c *check) stillThere(ctx context.Context, d *dataset) (int64, error) {
	if d.def.Identity() {
		return 0, nil
	}
	var sum int64
	rows, err := c.a.ledger.chunkOf(ctx, c.r.Request, d.def.Name, nil, false)
	for err == nil && len(rows) > 0 {
		var n int64
		var wrong error
		n, err = c.count(ctx, d, func(s *stmt) {
			wrong = d.matches(s, rows)
			c.leftover(s, d)
		})
		if sum += n; wrong != nil {
			return 0, wrong
		}
		if err == nil {
			rows, err = c.a.ledger.chunkOf(ctx, c.r.Request, d.def.Name, rows[len(rows)-1].key, false)
		}
	}
	return sum, err
}

// orphans counts rows that hang on a recorded parent, whether or not it is gone.
func (c *check) orphans(ctx context.Context, d *dataset) (int64, error) {
	var sum int64
	values, err := c.a.ledger.parentChunk(ctx, c.r.Request, d.def.Name, nil)
	for err == nil && len(values) > 0 {
		var cells []any
		for _, v := range values {
			one, err := decode(v)
			if err != nil {
				return 0, err
			}
			cells = append(cells, one...)
		}
		var n int64
		n, err = c.count(ctx, d, func(s *stmt) {
			s.in("t", d.link(), cells)
			c.leftover(s, d)
		})
		if sum += n; err == nil {
			values, err = c.a.ledger.parentChunk(ctx, c.r.Request, d.def.Name, values[len(values)-1])
		}
	}
	return sum, err
}
