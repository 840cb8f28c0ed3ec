package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/erasure/internal/roster"
	"github.com/privacyops/privacyops/services/erasure/internal/rosters"
)

// InsertImport takes an extract in: decide is asked with the institution's state, and what it decides is stored, in the caller's
// transaction. A held extract is kept sealed, so that it can be confirmed.
func (s *Store) InsertImport(ctx context.Context, tx sqldb.Tx, i *rosters.Import, extract roster.Extract, key rosters.Key, decide rosters.Decider) error {
	previous, err := s.state(ctx, tx, i.Controller, string(extract.Institution))
	if err != nil {
		return err
	}
	out := decide(previous)
	i.Take(out)
	if err := s.warnOfErased(ctx, tx, i, extract, key); err != nil {
		return err
	}
	var wrapped, sealed []byte
	if out.Decision == roster.Held && out.HeldReason.Confirmable() {
		if wrapped, sealed, err = s.sealExtract(i.Name(), extract); err != nil {
			return err
		}
	}
	if out.Decision == roster.Applied {
		if err := s.apply(ctx, tx, i.Controller, extract, key, out.Next); err != nil {
			return err
		}
	}
	document, err := json.Marshal(i)
	if err != nil {
		return fmt.Errorf("store: roster document: %w", err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO roster (controller, id, state, institution, document, wrapped_key, sealed_extract, create_time)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		i.Controller, i.ID, i.State, i.Institution, string(document), wrapped, sealed, sqldb.Micros(i.CreateTime))
	if err != nil {
		return err
	}
	return s.recordImport(ctx, tx, i, nil)
}

// rosterRow reads what the digests of a roster's events are made of.
const rosterRow = `SELECT state, document FROM roster WHERE controller = $1 AND id = $2`

func (s *Store) recordImport(ctx context.Context, tx sqldb.Tx, i *rosters.Import, before any) error {
	after, err := recorded(ctx, tx, rosterRow, i.Controller, i.ID)
	if err != nil {
		return err
	}
	detail := map[string]string{"state": i.State, "heldReason": i.HeldReason, "sha256": i.SHA256, "present": fmt.Sprint(i.Present),
		"arrived": fmt.Sprint(i.Arrived), "left": fmt.Sprint(i.Left), "returned": fmt.Sprint(i.Returned)}
	for _, w := range i.Warnings {
		if text, erased := strings.CutPrefix(w, erasedBefore); erased {
			detail["erasedBefore"], _, _ = strings.Cut(text, " ")
		}
	}
	_, err = s.outbox.Record(ctx, tx, outbox.Event{Resource: i.Name(), Before: before, After: after, Detail: detail})
	return err
}

// erasedBefore begins the warning of people who were erased.
const erasedBefore = "ERASED_BEFORE: "

// warnOfErased says how many people of an extract were erased before: the roster may not bring them back unseen.
func (s *Store) warnOfErased(ctx context.Context, tx sqldb.Tx, i *rosters.Import, extract roster.Extract, key rosters.Key) error {
	n := 0
	for _, p := range extract.People {
		var one int
		err := tx.QueryRow(ctx, `SELECT 1 FROM tombstone WHERE controller = $1 AND subject_ref = $2`, i.Controller, string(key(p.UserID))).Scan(&one)
		if err == nil {
			n++
		} else if !errors.Is(err, sqldb.ErrNoRows) {
			return err
		}
	}
	// The transaction may run again.
	i.Warnings = slices.DeleteFunc(i.Warnings, func(w string) bool { return strings.HasPrefix(w, erasedBefore) })
	if n > 0 {
		i.Warnings = append(i.Warnings, fmt.Sprintf("%s%d people in the extract were erased before.", erasedBefore, n))
	}
	return nil
}

// state reads what is known of an institution, and keeps it from changing until the transaction ends: what is decided is
// decided on this.
func (s *Store) state(ctx context.Context, tx sqldb.Tx, controller, institution string) (roster.State, error) {
	st := roster.State{Members: map[roster.Pseudonym]roster.Member{}}
	if tx.Engine() == sqldb.Postgres { // SQLite's writers are alone in any case; there may be no row yet to lock
		_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, "roster/"+controller+"/"+institution)
		if err != nil {
			return st, err
		}
	}
	var exported int64
	err := tx.QueryRow(ctx, `SELECT school_year, export_time FROM roster_institution WHERE controller = $1 AND institution = $2`,
		controller, institution).Scan(&st.SchoolYear, &exported)
	if errors.Is(err, sqldb.ErrNoRows) {
		return roster.State{}, nil
	}
	if err != nil {
		return st, err
	}
	st.Institution, st.ExportTime = roster.InstitutionNumber(institution), sqldb.Time(exported)
	rows, err := tx.Query(ctx, `SELECT subject_ref, roles, departed_time FROM roster_member WHERE controller = $1 AND institution = $2`,
		controller, institution)
	if err != nil {
		return st, err
	}
	defer rows.Close()
	for rows.Next() {
		var ref string
		var roles, departed int64
		if err := rows.Scan(&ref, &roles, &departed); err != nil {
			return st, err
		}
		st.Members[roster.Pseudonym(ref)] = roster.Member{Roles: roster.Roles(roles), DepartedTime: sqldb.Time(departed)}
	}
	return st, rows.Err()
}

// apply stores the new state. Only people in the extract have a user name to seal; those who left keep theirs.
func (s *Store) apply(ctx context.Context, tx sqldb.Tx, controller string, extract roster.Extract, key rosters.Key, next roster.State) error {
	env, err := s.institution(ctx, tx, controller, extract, next)
	if err != nil {
		return err
	}
	users := map[roster.Pseudonym]roster.UserID{}
	for _, p := range extract.People {
		users[key(p.UserID)] = p.UserID
	}
	for ref, m := range next.Members {
		user, present := users[ref]
		if !present {
			_, err := tx.Exec(ctx, `UPDATE roster_member SET roles = $1, departed_time = $2 WHERE controller = $3 AND institution = $4 AND subject_ref = $5`,
				int64(m.Roles), sqldb.Micros(m.DepartedTime), controller, string(extract.Institution), string(ref))
			if err != nil {
				return err
			}
			continue
		}
		sealed, err := env.Seal([]byte(user))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO roster_member (controller, institution, subject_ref, roles, sealed_identifier, departed_time)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (controller, institution, subject_ref)
			DO UPDATE SET roles = excluded.roles, departed_time = excluded.departed_time`,
			controller, string(extract.Institution), string(ref), int64(m.Roles), sealed, sqldb.Micros(m.DepartedTime))
		if err != nil {
			return err
		}
	}
	return nil
}

// institution stores the institution's own row and opens its envelope, making one at the first extract.
func (s *Store) institution(ctx context.Context, tx sqldb.Tx, controller string, extract roster.Extract, next roster.State) (*keyring.Envelope, error) {
	name := "controllers/" + controller + "/institutions/" + string(extract.Institution)
	var wrapped []byte
	err := tx.QueryRow(ctx, `SELECT wrapped_key FROM roster_institution WHERE controller = $1 AND institution = $2`,
		controller, string(extract.Institution)).Scan(&wrapped)
	if errors.Is(err, sqldb.ErrNoRows) {
		_, wrapped, err = s.keyring.NewEnvelope(name)
	}
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO roster_institution (controller, institution, school_year, export_time, wrapped_key)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (controller, institution)
		DO UPDATE SET school_year = excluded.school_year, export_time = excluded.export_time`,
		controller, string(extract.Institution), next.SchoolYear, sqldb.Micros(next.ExportTime), wrapped)
	if err != nil {
		return nil, err
	}
	return s.keyring.OpenEnvelope(name, wrapped)
}

func (s *Store) sealExtract(name string, extract roster.Extract) (wrapped, sealed []byte, err error) {
	env, wrapped, err := s.keyring.NewEnvelope(name)
	if err != nil {
		return nil, nil, err
	}
	plain, err := json.Marshal(extract)
	if err != nil {
		return nil, nil, fmt.Errorf("store: seal extract: %w", err)
	}
	sealed, err = env.Seal(plain)
	return wrapped, sealed, err
}

// GetImport reads one import; sqldb.ErrNoRows where there is none.
func (s *Store) GetImport(ctx context.Context, controller, id string) (i *rosters.Import, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		i, _, _, err = scanImport(ctx, q, "", controller, id)
		return err
	})
	return i, err
}

func scanImport(ctx context.Context, q sqldb.Querier, lock, controller, id string) (i *rosters.Import, wrapped, sealed []byte, err error) {
	i = &rosters.Import{Controller: controller, ID: id}
	var document string
	err = q.QueryRow(ctx, `SELECT state, institution, document, wrapped_key, sealed_extract FROM roster WHERE controller = $1 AND id = $2`+lock,
		controller, id).Scan(&i.State, &i.Institution, &document, &wrapped, &sealed)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := json.Unmarshal([]byte(document), i); err != nil {
		return nil, nil, nil, fmt.Errorf("store: roster document: %w", err)
	}
	return i, wrapped, sealed, nil
}

// SettleImport ends the waiting of a held extract. Settling it the same way again changes nothing.
func (s *Store) SettleImport(ctx context.Context, set rosters.Settlement) (i *rosters.Import, err error) {
	err = s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		var wrapped, sealed []byte
		if i, wrapped, sealed, err = scanImport(ctx, tx, forUpdate(tx), set.Controller, set.ID); err != nil {
			return err
		}
		if i.State == set.State {
			return nil
		}
		if err := set.Check(i); err != nil {
			return err
		}
		before, err := recorded(ctx, tx, rosterRow, i.Controller, i.ID)
		if err != nil {
			return err
		}
		if set.Decide != nil {
			if err := s.confirm(ctx, tx, i, wrapped, sealed, set); err != nil {
				return err
			}
		}
		i.State = set.State
		document, err := json.Marshal(i)
		if err != nil {
			return fmt.Errorf("store: roster document: %w", err)
		}
		_, err = tx.Exec(ctx, `UPDATE roster SET state = $1, document = $2, wrapped_key = NULL, sealed_extract = NULL
			WHERE controller = $3 AND id = $4`, set.State, string(document), set.Controller, set.ID)
		if err != nil {
			return err
		}
		return s.recordImport(ctx, tx, i, before)
	})
	if err == nil {
		s.scrub(ctx)
	}
	return i, err
}

func (s *Store) confirm(ctx context.Context, tx sqldb.Tx, i *rosters.Import, wrapped, sealed []byte, set rosters.Settlement) error {
	env, err := s.keyring.OpenEnvelope(i.Name(), wrapped)
	if err != nil {
		return err
	}
	plain, err := env.Open(sealed)
	if err != nil {
		return err
	}
	var extract roster.Extract
	if err := json.Unmarshal(plain, &extract); err != nil {
		return fmt.Errorf("store: sealed extract: %w", err)
	}
	previous, err := s.state(ctx, tx, i.Controller, string(extract.Institution))
	if err != nil {
		return err
	}
	out := set.Decide(previous, extract)
	if out.Decision != roster.Applied {
		return rosters.Overtaken(out.HeldReason)
	}
	i.Take(out)
	return s.apply(ctx, tx, i.Controller, extract, set.Key, out.Next)
}
