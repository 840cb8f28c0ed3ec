package sqlmap

import (
	"context"
	"database/sql"
	"slices"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// Locate counts the person's rows and names further identifiers.
func (a *Adapter) Locate(ctx context.Context, s participant.Subject) (participant.Location, error) {
	var out participant.Location
	if err := valid(s); err != nil {
		return out, err
	}
	err := a.read(ctx, "locating", func(tx *sql.Tx) error {
		f, err := a.resolve(ctx, tx, s)
		if err != nil {
			return err
		}
		out.Known = len(f.people) > 0
		if out.Further, err = a.further(ctx, tx, s, f); err != nil {
			return err
		}
		out.Shared = f.shared
		out.Counts, err = a.counts(ctx, tx, f)
		return err
	})
	if err != nil {
		return participant.Location{}, err
	}
	return out, nil
}

// counts counts every dataset and every mention.
func (a *Adapter) counts(ctx context.Context, q querier, f *found) ([]participant.DatasetCount, error) {
	var out []participant.DatasetCount
	for _, d := range a.plan.datasets {
		n, err := a.count(ctx, q, "counting dataset "+d.def.Name, a.countOf(d.table, func(s *stmt) {
			s.sql(" WHERE ")
			d.reach(s, f.ends)
		}))
		if err != nil {
			return nil, err
		}
		out = append(out, participant.DatasetCount{Dataset: d.def.Name, Rows: n})
	}
	for _, m := range a.plan.mentions {
		n, err := a.countMention(ctx, q, m, f)
		if err != nil {
			return nil, err
		}
		out = append(out, participant.DatasetCount{Dataset: m.def.Name, Rows: n})
	}
	return out, nil
}

// further lists the identifiers of the person's rows that the request did not have.
// Those that several people have are reported in f instead.
func (a *Adapter) further(ctx context.Context, q querier, s participant.Subject, f *found) ([]participant.Identifier, error) {
	var out []participant.Identifier
	identity := a.plan.m.Identity().Name
	for _, p := range f.people {
		for _, i := range a.plan.ids {
			value := show(p.values[i.col])
			id := participant.Identifier{Type: participant.IdentifierType(i.def.Type), Value: value}
			if value == "" || slices.Contains(out, id) || (!i.def.Shared && slices.Contains(s.Identifiers, id)) {
				continue
			}
			h, err := a.holders(ctx, q, s.Controller, id)
			if err != nil {
				return nil, err
			}
			switch {
			case h.row == nil:
				f.share(participant.SharedIdentifier{Type: id.Type, Dataset: identity, People: max(h.people, 1)})
			case i.def.Provide:
				out = append(out, id)
			}
		}
	}
	return out, nil
}
