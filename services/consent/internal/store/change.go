package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// AddChange implements consent.Changes.
func (Store) AddChange(ctx context.Context, tx sqldb.Tx, c consent.Change) (previous consent.Revision, err error) {
	consents, err := json.Marshal(c.Consents)
	if err != nil {
		return 0, wrap("encode a change", err)
	}
	subjects, err := json.Marshal(c.Subjects)
	if err != nil {
		return 0, wrap("encode a change", err)
	}
	err = tx.QueryRow(ctx, `SELECT COALESCE(MAX(revision), 0) FROM change WHERE controller = $1`, string(c.Controller)).Scan((*int64)(&previous))
	if err != nil {
		return 0, wrap("read the change before", err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO change (controller, revision, kind, activity, system_id, consents, subject_refs, create_time)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, string(c.Controller), int64(c.Revision), string(c.Kind), string(c.Activity),
		string(c.System), string(consents), string(subjects), sqldb.Micros(c.Time))
	return previous, wrap("add a change", err)
}

// ChangesAfter implements consent.Changes.
func (Store) ChangesAfter(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, after consent.Revision, limit int) ([]consent.Change, error) {
	changes, err := collect(ctx, q, scanChange, `SELECT controller, revision, kind, activity, system_id, consents, subject_refs, create_time
		FROM change WHERE controller = $1 AND revision > $2 ORDER BY revision LIMIT $3`, string(controller), int64(after), limit)
	return changes, wrap("read changes", err)
}

// ForgetChanges implements consent.Changes. It deletes up to a revision and not by time alone: the clocks of two replicas differ, and
// a hole behind a change that is kept could not be seen.
func (Store) ForgetChanges(ctx context.Context, tx sqldb.Tx, before time.Time) (int64, error) {
	n, err := tx.Exec(ctx, `DELETE FROM change WHERE EXISTS (SELECT 1 FROM (
			SELECT controller AS owner, COALESCE(MIN(CASE WHEN create_time >= $1 THEN revision END), MAX(revision)) AS first
			FROM change GROUP BY controller) kept
		WHERE kept.owner = change.controller AND change.revision < kept.first)`, sqldb.Micros(before))
	return n, wrap("forget changes", err)
}

func scanChange(row sqldb.Row) (c consent.Change, err error) {
	var consents, subjects string
	var at int64
	err = row.Scan((*string)(&c.Controller), (*int64)(&c.Revision), (*string)(&c.Kind), (*string)(&c.Activity), (*string)(&c.System),
		&consents, &subjects, &at)
	if err == nil {
		err = errors.Join(json.Unmarshal([]byte(consents), &c.Consents), json.Unmarshal([]byte(subjects), &c.Subjects))
	}
	c.Time = sqldb.Time(at)
	return c, err
}

// People implements consent.People. It asks for each pseudonym by itself: three index searches, however many people there are.
func (s Store) People(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, refs []consent.SubjectRef) (map[consent.SubjectRef]consent.Person, error) {
	people := make(map[consent.SubjectRef]consent.Person, len(refs))
	for _, ref := range refs {
		if _, known := people[ref]; known {
			continue
		}
		p, err := marked(ctx, q, controller, ref)
		if err != nil {
			return nil, wrap("read a person", err)
		}
		given, err := collect(ctx, q, scanConsent, consentsUnder, string(controller), string(ref))
		if err != nil {
			return nil, wrap("read a person's consents", err)
		}
		for _, c := range given { // the first of each activity counts
			if len(p.Consents) == 0 || p.Consents[len(p.Consents)-1].Activity != c.Activity {
				p.Consents = append(p.Consents, c)
			}
		}
		people[ref] = p
	}
	return people, nil
}

// consentsUnder reads the consents under one pseudonym, of each activity the one that counts first.
// marked reads all of a person but the consents.
func marked(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, ref consent.SubjectRef) (p consent.Person, err error) {
	rows, err := q.Query(ctx, marksUnder, string(controller), string(ref))
	if err != nil {
		return p, err
	}
	defer rows.Close()
	for rows.Next() {
		var mark, id string
		if err := rows.Scan(&mark, &id); err != nil {
			return p, err
		}
		switch mark {
		case "erased":
			p.Erased = true
		case "objected":
			p.Objected = append(p.Objected, consent.ActivityID(id))
		case "restricted":
			p.Restricted = append(p.Restricted, consent.ActivityID(id))
		case "linked":
			p.Linked = append(p.Linked, consent.SubjectRef(id))
		}
	}
	return p, rows.Err()
}

var marksUnder = `SELECT 'erased', '' FROM erased_subject WHERE controller = $1 AND subject_ref = $2
	UNION SELECT 'objected', o.activity FROM objection_subject l
	JOIN objection o ON o.controller = l.controller AND o.objection_id = l.objection_id
	WHERE l.controller = $1 AND l.subject_ref = $2 AND o.state <> 'REJECTED'
	UNION SELECT 'restricted', r.activity FROM restriction_subject l
	JOIN restriction r ON r.controller = l.controller AND r.restriction_id = l.restriction_id
	WHERE l.controller = $1 AND l.subject_ref = $2 AND r.lift_revision = 0
	UNION SELECT 'linked', other.subject_ref FROM subject_link l
	JOIN subject_link other ON other.controller = l.controller AND other.person_id = l.person_id
	WHERE l.controller = $1 AND l.subject_ref = $2 AND l.shared = 0 AND ` + newest("l") + `
	AND other.subject_ref <> l.subject_ref AND other.shared = 0 AND ` + newest("other") + `
	ORDER BY 1, 2`

const consentsUnder = `SELECT ` + consentColumns + ` FROM consent_subject l
	JOIN consent c ON c.controller = l.controller AND c.consent_id = l.consent_id
	WHERE l.controller = $1 AND l.subject_ref = $2
	ORDER BY l.activity, c.sufficient DESC, c.last_revision DESC, c.give_revision DESC`
