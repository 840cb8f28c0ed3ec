package store

import (
	"context"
	"slices"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// History implements consent.Histories.
func (s Store) History(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, activity consent.ActivityID, refs []consent.SubjectRef) (h consent.History, err error) {
	if h.Versions, err = versionsOf(ctx, q, controller, activity); err != nil {
		return h, wrap("read versions of an activity", err)
	}
	if h.Links, refs, err = everLinked(ctx, q, controller, refs); err != nil {
		return h, wrap("read links", err)
	}
	if h.Consents, err = s.ConsentsTo(ctx, q, controller, activity, refs); err != nil {
		return h, err
	}
	if h.Objections, err = objectionsTo(ctx, q, controller, activity, refs); err != nil {
		return h, wrap("read objections", err)
	}
	if h.Restrictions, err = restrictionsOf(ctx, q, controller, activity, refs); err != nil {
		return h, wrap("read restrictions", err)
	}
	h.Erasures, err = erasuresOf(ctx, q, controller, refs)
	return h, wrap("read erasures", err)
}

func versionsOf(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, activity consent.ActivityID) ([]consent.Activity, error) {
	return collect(ctx, q, scanActivity, `SELECT a.controller, a.activity, v.version, a.create_time, v.archived, v.body, v.author, v.create_time
		FROM activity a JOIN activity_version v ON v.controller = a.controller AND v.activity = a.activity
		WHERE a.controller = $1 AND a.activity = $2 ORDER BY v.version`, string(controller), string(activity))
}

// everLinked reads all versions of the links of the refs and of all identifiers that were ever linked to one of them, and gives the
// refs with those identifiers.
func everLinked(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, refs []consent.SubjectRef) ([]consent.LinkVersion, []consent.SubjectRef, error) {
	links, err := collect(ctx, q, scanLinkVersion, `SELECT v.subject_ref, v.person_id, v.shared, v.link_time, v.link_revision FROM subject_link v
		WHERE v.controller = $1 AND v.subject_ref IN (SELECT other.subject_ref FROM subject_link l
			JOIN subject_link other ON other.controller = l.controller AND other.person_id = l.person_id
			WHERE l.controller = $1 AND l.subject_ref IN (`+list(2, len(refs))+`))
		ORDER BY v.link_revision, v.subject_ref`, arguments([]any{string(controller)}, refs)...)
	all := slices.Clone(refs)
	for _, l := range links {
		if !slices.Contains(all, l.Subject) {
			all = append(all, l.Subject)
		}
	}
	return links, all, err
}

func scanLinkVersion(row sqldb.Row) (l consent.LinkVersion, err error) {
	var shared, at int64
	err = row.Scan((*string)(&l.Subject), (*string)(&l.Person), &shared, &at, (*int64)(&l.Revision))
	l.Shared, l.Time = sqldb.Truth(shared), sqldb.Time(at)
	return l, err
}

// objectionsTo reads every objection to an activity that was made under any of the refs, oldest first.
func objectionsTo(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, activity consent.ActivityID, refs []consent.SubjectRef) ([]consent.Objection, error) {
	rows, err := collect(ctx, q, func(row sqldb.Row) (o consent.Objection, err error) {
		var ref string
		var created, resolved int64
		err = row.Scan((*string)(&o.ID), (*string)(&o.Activity), (*string)(&o.State), &created, &resolved,
			(*int64)(&o.CreateRevision), (*int64)(&o.ResolveRevision), &ref)
		o.Controller, o.Subjects = controller, []consent.SubjectRef{consent.SubjectRef(ref)}
		o.CreateTime, o.ResolveTime = sqldb.Time(created), sqldb.Time(resolved)
		return o, err
	}, `SELECT o.objection_id, o.activity, o.state, o.create_time, o.resolve_time, o.create_revision, o.resolve_revision, s.subject_ref
		FROM objection o JOIN objection_subject s ON s.controller = o.controller AND s.objection_id = o.objection_id
		WHERE o.controller = $1 AND o.activity = $2 AND o.objection_id IN (SELECT l.objection_id FROM objection_subject l
			WHERE l.controller = $1 AND l.subject_ref IN (`+list(3, len(refs))+`))
		ORDER BY o.create_revision, o.objection_id, s.place`, arguments([]any{string(controller), string(activity)}, refs)...)
	return together(rows, func(into *consent.Objection, next consent.Objection) bool {
		if into.ID != next.ID {
			return false
		}
		into.Subjects = append(into.Subjects, next.Subjects...)
		return true
	}), err
}

// restrictionsOf reads every restriction of an activity, or of all, that was made under any of the refs, oldest first.
func restrictionsOf(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, activity consent.ActivityID, refs []consent.SubjectRef) ([]consent.Restriction, error) {
	rows, err := collect(ctx, q, func(row sqldb.Row) (r consent.Restriction, err error) {
		var ref string
		var created, lifted int64
		err = row.Scan((*string)(&r.ID), (*string)(&r.Activity), &r.Ground, &created, &lifted,
			(*int64)(&r.CreateRevision), (*int64)(&r.LiftRevision), &ref)
		r.Controller, r.Subjects = controller, []consent.SubjectRef{consent.SubjectRef(ref)}
		r.CreateTime, r.LiftTime = sqldb.Time(created), sqldb.Time(lifted)
		return r, err
	}, `SELECT r.restriction_id, r.activity, r.ground, r.create_time, r.lift_time, r.create_revision, r.lift_revision, s.subject_ref
		FROM restriction r JOIN restriction_subject s ON s.controller = r.controller AND s.restriction_id = r.restriction_id
		WHERE r.controller = $1 AND r.activity IN ('', $2) AND r.restriction_id IN (SELECT l.restriction_id FROM restriction_subject l
			WHERE l.controller = $1 AND l.subject_ref IN (`+list(3, len(refs))+`))
		ORDER BY r.create_revision, r.restriction_id, s.place`, arguments([]any{string(controller), string(activity)}, refs)...)
	return together(rows, func(into *consent.Restriction, next consent.Restriction) bool {
		if into.ID != next.ID {
			return false
		}
		into.Subjects = append(into.Subjects, next.Subjects...)
		return true
	}), err
}

// together puts rows that follow one another and are of one thing into one. Join reports whether it took the next one in.
func together[T any](rows []T, join func(into *T, next T) bool) []T {
	var out []T
	for _, next := range rows {
		if len(out) == 0 || !join(&out[len(out)-1], next) {
			out = append(out, next)
		}
	}
	return out
}

func erasuresOf(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, refs []consent.SubjectRef) ([]consent.Erasure, error) {
	return collect(ctx, q, func(row sqldb.Row) (e consent.Erasure, err error) {
		var ref string
		var done, noted int64
		err = row.Scan(&ref, &e.Resource, &done, &noted)
		e.Controller, e.Subjects = controller, []consent.SubjectRef{consent.SubjectRef(ref)}
		e.Time, e.RecordTime = sqldb.Time(done), sqldb.Time(noted)
		return e, err
	}, `SELECT subject_ref, erasure, erase_time, record_time FROM erased_subject
		WHERE controller = $1 AND subject_ref IN (`+list(2, len(refs))+`)`, arguments([]any{string(controller)}, refs)...)
}
