package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/evidence"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
)

// watched remembers up to where each package's controller was looked through for destroyed keys. A start begins anew.
type watched struct {
	mu   sync.Mutex
	upTo map[evidence.Ref]evidence.Cursor
}

// Due lists evidence whose package has to go; see evidence.Store.
//
// A package has the keys of the sealed entries of its period. So when a person's keys are destroyed, it goes if an entry of its period is
// sealed under one of them, and stays if none is: then it holds nothing about the person that the log itself does not still say, which
// are ids of keys that are no more. When a controller's keys are destroyed, all its packages go. Where the index cannot tell, because the
// destruction cannot be read or entries of the period have left the index since, the package goes too.
func (s *Evidence) Due(ctx context.Context, now time.Time, limit int) (out []*evidence.Evidence, err error) {
	s.watched.mu.Lock()
	defer s.watched.mu.Unlock()
	next := map[evidence.Ref]evidence.Cursor{}
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		clear(next)
		ready, err := collect(ctx, q, func(r sqldb.Rows) (*evidence.Evidence, error) { return scanEvidence(r) },
			`SELECT `+evidenceColumns+` FROM evidence WHERE state = 'READY' ORDER BY expire_time, id`)
		out = nil
		for _, e := range ready {
			gone := !e.Expires.After(now)
			if !gone && err == nil {
				if gone, err = s.namesDestroyed(ctx, q, e, next); gone {
					e.Reason = evidence.ReasonKeysDestroyed
				}
			}
			if gone && len(out) < limit {
				out = append(out, e)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: packages that have to go: %w", err)
	}
	s.watched.upTo = next
	return out, nil
}

// namesDestroyed reports whether keys were destroyed, since it was last asked, that a package has. What was looked through goes to next.
func (s *Evidence) namesDestroyed(ctx context.Context, q sqldb.Querier, e *evidence.Evidence, next map[evidence.Ref]evidence.Cursor) (bool, error) {
	from, known := s.watched.upTo[e.Ref]
	if !known {
		from = evidence.Cursor{Received: e.Created}
	}
	var at, number int64
	err := q.QueryRow(ctx, `SELECT received_at, controller_sequence FROM entry WHERE controller = $1
		ORDER BY received_at DESC, controller_sequence DESC LIMIT 1`, e.Controller).Scan(&at, &number)
	if errors.Is(err, sqldb.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	leaves, err := collect(ctx, q, func(r sqldb.Rows) (leaf []byte, err error) { return leaf, r.Scan(&leaf) },
		`SELECT leaf FROM entry WHERE controller = $1 AND (received_at, controller_sequence) > ($2, $3)
			AND (received_at, controller_sequence) <= ($4, $5) AND action = $6`,
		e.Controller, sqldb.Micros(from.Received), int64(from.Number), at, number, keys.DestroyAction)
	if err != nil {
		return false, err
	}
	for _, leaf := range leaves {
		if gone, err := opensWith(ctx, q, e, leaf); gone || err != nil {
			return gone, err // not looked through: it is asked again until it is gone
		}
	}
	next[e.Ref] = evidence.Cursor{Received: sqldb.Time(at), Number: uint64(number)}
	return false, nil
}

// opensWith reports whether a package has a key of an entry that was sealed under one of the keys whose destruction the leaf records.
func opensWith(ctx context.Context, q sqldb.Querier, e *evidence.Evidence, leaf []byte) (bool, error) {
	ids, whole := destroyedKeys(leaf)
	if whole {
		return true, nil
	}
	from, to := sqldb.Micros(ceilMicros(e.Start)), sqldb.Micros(ceilMicros(e.End))
	var events int64
	if err := q.QueryRow(ctx, eventsSQL, e.Controller, from, to).Scan(&events); err != nil || events != e.Total {
		return true, err
	}
	for _, id := range ids {
		var named int64
		err := q.QueryRow(ctx, stretches+`SELECT COUNT(*) FROM stretches CROSS JOIN entry_person p CROSS JOIN entry e
			WHERE p.position / 131072 = stretches.n AND e.position = p.position AND p.person = $1 AND e.controller = $2 AND e.received_at >= $3 AND e.received_at < $4`, id[:], e.Controller, from, to).Scan(&named)
		if err != nil || named > 0 {
			return true, err
		}
	}
	return false, nil
}

// destroyedKeys reads which keys an entry says were destroyed; one that cannot be read is taken for all of them.
func destroyedKeys(leaf []byte) (ids []audit.KeyID, whole bool) {
	entry, err := audit.ParseLeaf(leaf)
	if err == nil {
		ids, whole, err = keys.Destroyed(entry.Event)
	}
	return ids, whole || err != nil
}
