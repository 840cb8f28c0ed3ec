package store

import (
	"context"
	"math"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// AddObjection implements consent.Objections.
func (Store) AddObjection(ctx context.Context, tx sqldb.Tx, o consent.Objection) error {
	_, err := tx.Exec(ctx, `INSERT INTO objection (controller, objection_id, activity, state, create_time, resolve_time, create_revision,
			resolve_revision, wrapped_key, sealed_texts)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		string(o.Controller), string(o.ID), string(o.Activity), string(o.State), sqldb.Micros(o.CreateTime), sqldb.Micros(o.ResolveTime),
		int64(o.CreateRevision), int64(o.ResolveRevision), o.Words.WrappedKey, o.Words.Texts)
	if err != nil {
		return wrap("add an objection", err)
	}
	return addSubjects(ctx, tx, `INSERT INTO objection_subject (controller, objection_id, subject_ref, place) VALUES ($1, $2, $3, $4)`,
		o.Controller, string(o.ID), o.Subjects)
}

// addSubjects links an objection or a restriction to its subjects.
func addSubjects(ctx context.Context, tx sqldb.Tx, statement string, controller consent.ControllerID, id string, refs []consent.SubjectRef) error {
	for place, ref := range refs {
		if _, err := tx.Exec(ctx, statement, string(controller), id, string(ref), place); err != nil {
			return wrap("link to a subject", err)
		}
	}
	return nil
}

// The first subject comes with the row.
const objectionsWhere = `SELECT o.controller, o.objection_id, o.activity, l.subject_ref, o.state, o.create_time, o.resolve_time, o.create_revision,
		o.resolve_revision, o.wrapped_key, o.sealed_texts
	FROM objection o JOIN objection_subject l ON l.controller = o.controller AND l.objection_id = o.objection_id AND l.place = 0
	WHERE o.controller = $1 AND `

// Objection implements consent.Objections.
func (Store) Objection(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, id consent.ObjectionID) (consent.Objection, error) {
	o, err := scanObjection(q.QueryRow(ctx, objectionsWhere+`o.objection_id = $2`, string(controller), string(id)))
	if err == nil {
		o.Subjects, err = collect(ctx, q, scanRef, `SELECT subject_ref FROM objection_subject WHERE controller = $1 AND objection_id = $2
			ORDER BY place`, string(controller), string(id))
	}
	return o, wrap("read an objection", err)
}

// Objections implements consent.Objections.
func (Store) Objections(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, before consent.Revision, limit int) ([]consent.Objection, error) {
	found, err := collect(ctx, q, scanObjection, objectionsWhere+`o.create_revision < $2 ORDER BY o.create_revision DESC LIMIT $3`,
		string(controller), bound(before), limit)
	return found, wrap("list objections", err)
}

// bound is a revision before which everything lies that 0 does not bound.
func bound(before consent.Revision) int64 {
	if before == 0 {
		return math.MaxInt64
	}
	return int64(before)
}

// ResolveObjection implements consent.Objections.
func (Store) ResolveObjection(ctx context.Context, tx sqldb.Tx, o consent.Objection) error {
	return update(ctx, tx, "resolve an objection",
		`UPDATE objection SET state = $1, resolve_time = $2, resolve_revision = $3, wrapped_key = $4, sealed_texts = $5
			WHERE controller = $6 AND objection_id = $7`,
		string(o.State), sqldb.Micros(o.ResolveTime), int64(o.ResolveRevision), o.Words.WrappedKey, o.Words.Texts, string(o.Controller), string(o.ID))
}

// ForgetWords implements consent.Objections.
func (Store) ForgetWords(ctx context.Context, tx sqldb.Tx, controller consent.ControllerID, refs []consent.SubjectRef) error {
	_, err := tx.Exec(ctx, `UPDATE objection SET wrapped_key = NULL, sealed_texts = NULL
		WHERE controller = $1 AND objection_id IN (SELECT l.objection_id FROM objection_subject l
			WHERE l.controller = $1 AND l.subject_ref IN (`+list(2, len(refs))+`))`, arguments([]any{string(controller)}, refs)...)
	return wrap("forget what was said", err)
}

func scanObjection(row sqldb.Row) (o consent.Objection, err error) {
	var created, resolved int64
	var first consent.SubjectRef
	err = row.Scan((*string)(&o.Controller), (*string)(&o.ID), (*string)(&o.Activity), (*string)(&first), (*string)(&o.State), &created, &resolved,
		(*int64)(&o.CreateRevision), (*int64)(&o.ResolveRevision), &o.Words.WrappedKey, &o.Words.Texts)
	o.Subjects, o.CreateTime, o.ResolveTime = []consent.SubjectRef{first}, sqldb.Time(created), sqldb.Time(resolved)
	return o, err
}

// AddRestriction implements consent.Restrictions.
func (Store) AddRestriction(ctx context.Context, tx sqldb.Tx, r consent.Restriction) error {
	_, err := tx.Exec(ctx, `INSERT INTO restriction (controller, restriction_id, activity, ground, create_time, lift_time, create_revision, lift_revision)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		string(r.Controller), string(r.ID), string(r.Activity), r.Ground, sqldb.Micros(r.CreateTime), sqldb.Micros(r.LiftTime),
		int64(r.CreateRevision), int64(r.LiftRevision))
	if err != nil {
		return wrap("add a restriction", err)
	}
	return addSubjects(ctx, tx, `INSERT INTO restriction_subject (controller, restriction_id, subject_ref, place) VALUES ($1, $2, $3, $4)`,
		r.Controller, string(r.ID), r.Subjects)
}

const restrictionsWhere = `SELECT r.controller, r.restriction_id, r.activity, l.subject_ref, r.ground, r.create_time, r.lift_time, r.create_revision,
		r.lift_revision
	FROM restriction r JOIN restriction_subject l ON l.controller = r.controller AND l.restriction_id = r.restriction_id AND l.place = 0
	WHERE r.controller = $1 AND `

// Restriction implements consent.Restrictions.
func (Store) Restriction(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, id consent.RestrictionID) (consent.Restriction, error) {
	r, err := scanRestriction(q.QueryRow(ctx, restrictionsWhere+`r.restriction_id = $2`, string(controller), string(id)))
	if err == nil {
		r.Subjects, err = collect(ctx, q, scanRef, `SELECT subject_ref FROM restriction_subject WHERE controller = $1 AND restriction_id = $2
			ORDER BY place`, string(controller), string(id))
	}
	return r, wrap("read a restriction", err)
}

// Restrictions implements consent.Restrictions.
func (Store) Restrictions(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, before consent.Revision, limit int) ([]consent.Restriction, error) {
	found, err := collect(ctx, q, scanRestriction, restrictionsWhere+`r.create_revision < $2 ORDER BY r.create_revision DESC LIMIT $3`,
		string(controller), bound(before), limit)
	return found, wrap("list restrictions", err)
}

// LiftRestriction implements consent.Restrictions.
func (Store) LiftRestriction(ctx context.Context, tx sqldb.Tx, r consent.Restriction) error {
	return update(ctx, tx, "lift a restriction",
		`UPDATE restriction SET lift_time = $1, lift_revision = $2 WHERE controller = $3 AND restriction_id = $4`,
		sqldb.Micros(r.LiftTime), int64(r.LiftRevision), string(r.Controller), string(r.ID))
}

func scanRestriction(row sqldb.Row) (r consent.Restriction, err error) {
	var created, lifted int64
	var first consent.SubjectRef
	err = row.Scan((*string)(&r.Controller), (*string)(&r.ID), (*string)(&r.Activity), (*string)(&first), &r.Ground, &created, &lifted,
		(*int64)(&r.CreateRevision), (*int64)(&r.LiftRevision))
	r.Subjects, r.CreateTime, r.LiftTime = []consent.SubjectRef{first}, sqldb.Time(created), sqldb.Time(lifted)
	return r, err
}
