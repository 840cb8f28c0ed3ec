package sqlmap

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// guards are hashes of the identifiers of a person's row. They tell a row from a later
// one of somebody else that the database gave the same key.
func (a *Adapter) guards(request string, p *personRow) []string {
	var out []string
	for _, i := range a.plan.ids {
		v := show(p.values[i.col])
		if i.def.Shared || i.col == a.plan.key || v == "" {
			continue
		}
		sum := sha256.Sum256([]byte(request + "\x00" + i.def.Type + "\x00" + i.col.name + "\x00" + v))
		out = append(out, hex.EncodeToString(sum[:]))
	}
	if out == nil {
		out = []string{""} // nothing but the key names the row
	}
	return out
}

// recorded finds the recorded rows of the person that are still theirs.
func (a *Adapter) recorded(ctx context.Context, q querier, request string) (*found, error) {
	f := &found{ends: map[*column][]any{}}
	keys, err := a.ledger.personKeys(ctx, request)
	if err != nil {
		return nil, err
	}
	for encoded, guards := range keys {
		row, err := a.personByKey(ctx, q, []byte(encoded))
		if err != nil {
			return nil, err
		}
		if row != nil && a.same(request, row, guards) {
			f.add(row)
		}
	}
	return f, a.pathEnds(ctx, q, f)
}

// same reports whether a row still has one of the identifiers it was recorded with.
func (a *Adapter) same(request string, row *personRow, guards []string) bool {
	return slices.ContainsFunc(a.guards(request, row), func(g string) bool { return slices.Contains(guards, g) })
}

// personByKey reads the person row with an encoded key, nil when there is none.
func (a *Adapter) personByKey(ctx context.Context, q querier, encoded []byte) (*personRow, error) {
	cells, err := decode(encoded)
	if err != nil {
		return nil, err
	}
	if len(cells) != 1 {
		return nil, errCell
	}
	rows, err := a.people(ctx, q, func(s *stmt) { s.sql(" WHERE ").equal(a.plan.key, cells[0]) })
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}
