package store

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// AddConsent implements consent.Consents.
func (Store) AddConsent(ctx context.Context, tx sqldb.Tx, c consent.Consent) error {
	_, err := tx.Exec(ctx, `INSERT INTO consent (controller, consent_id, activity, activity_version, subject_ref, capacity, reference,
			sufficient, give_time, withdraw_time, expire_time, evidence, give_revision, withdraw_revision, last_revision,
			text_version, text_language, text_sha256)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
		string(c.Controller), string(c.ID), string(c.Activity), c.ActivityVersion, string(c.Subjects[0]), string(c.Capacity), c.Reference,
		sqldb.Bool(c.Sufficient), sqldb.Micros(c.GiveTime), sqldb.Micros(c.WithdrawTime), sqldb.Micros(c.ExpireTime), c.Evidence,
		int64(c.GiveRevision), int64(c.WithdrawRevision), int64(c.LastAct()), c.Text.Version, c.Text.Language, c.Text.SHA256)
	if err != nil {
		return wrap("add a consent", err)
	}
	for _, ref := range c.Subjects {
		_, err := tx.Exec(ctx, `INSERT INTO consent_subject (controller, subject_ref, activity, consent_id) VALUES ($1, $2, $3, $4)`,
			string(c.Controller), string(ref), string(c.Activity), string(c.ID))
		if err != nil {
			return wrap("link a consent", err)
		}
	}
	return nil
}

const consentColumns = `c.controller, c.consent_id, c.activity, c.activity_version, c.subject_ref, c.capacity, c.reference, c.sufficient,
	c.give_time, c.withdraw_time, c.expire_time, c.evidence, c.give_revision, c.withdraw_revision,
	c.text_version, c.text_language, c.text_sha256`

// Consent implements consent.Consents.
func (Store) Consent(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, id consent.ConsentID) (consent.Consent, error) {
	c, err := scanConsent(q.QueryRow(ctx, `SELECT `+consentColumns+` FROM consent c WHERE c.controller = $1 AND c.consent_id = $2`,
		string(controller), string(id)))
	if err == nil {
		err = fillSubjects(ctx, q, controller, []*consent.Consent{&c})
	}
	return c, wrap("read a consent", err)
}

// ConsentsTo implements consent.Consents.
func (Store) ConsentsTo(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, activity consent.ActivityID, refs []consent.SubjectRef) ([]consent.Consent, error) {
	found, err := collect(ctx, q, scanConsent, `SELECT `+consentColumns+` FROM consent c
		WHERE c.controller = $1 AND c.consent_id IN (SELECT l.consent_id FROM consent_subject l
			WHERE l.controller = $1 AND l.activity = $2 AND l.subject_ref IN (`+list(3, len(refs))+`))
		ORDER BY c.give_revision DESC`,
		arguments([]any{string(controller), string(activity)}, refs)...)
	if err == nil {
		err = fillSubjects(ctx, q, controller, pointers(found))
	}
	return found, wrap("find consents to an activity", err)
}

// ConsentsOf implements consent.Consents.
func (Store) ConsentsOf(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, refs []consent.SubjectRef, before consent.Revision, limit int) ([]consent.Consent, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	args := arguments([]any{string(controller), int64(before)}, refs)
	found, err := collect(ctx, q, scanConsent, `SELECT `+consentColumns+` FROM consent c
		WHERE c.controller = $1 AND c.give_revision < $2 AND c.consent_id IN (SELECT l.consent_id FROM consent_subject l
			WHERE l.controller = $1 AND l.subject_ref IN (`+list(3, len(refs))+`))
		ORDER BY c.give_revision DESC LIMIT $`+strconv.Itoa(len(args)+1),
		append(args, limit)...)
	return found, wrap("find consents of a person", err)
}

// Withdraw implements consent.Consents.
func (Store) Withdraw(ctx context.Context, tx sqldb.Tx, controller consent.ControllerID, ids []consent.ConsentID, at time.Time, rev consent.Revision) error {
	for _, id := range ids {
		_, err := tx.Exec(ctx, `UPDATE consent SET withdraw_time = $1, withdraw_revision = $2, last_revision = $2
			WHERE controller = $3 AND consent_id = $4 AND withdraw_revision = 0`,
			sqldb.Micros(at), int64(rev), string(controller), string(id))
		if err != nil {
			return wrap("withdraw a consent", err)
		}
	}
	return nil
}

// scanConsent reads a consent with the first of its subjects.
func scanConsent(row sqldb.Row) (c consent.Consent, err error) {
	var sufficient, given, withdrawn, expires int64
	var first consent.SubjectRef
	err = row.Scan((*string)(&c.Controller), (*string)(&c.ID), (*string)(&c.Activity), &c.ActivityVersion, (*string)(&first),
		(*string)(&c.Capacity), &c.Reference, &sufficient, &given, &withdrawn, &expires, &c.Evidence,
		(*int64)(&c.GiveRevision), (*int64)(&c.WithdrawRevision), &c.Text.Version, &c.Text.Language, &c.Text.SHA256)
	c.Subjects, c.Sufficient = []consent.SubjectRef{first}, sqldb.Truth(sufficient)
	c.GiveTime, c.WithdrawTime, c.ExpireTime = sqldb.Time(given), sqldb.Time(withdrawn), sqldb.Time(expires)
	return c, err
}

// fillSubjects adds the further subjects of each consent, in order of their pseudonyms.
func fillSubjects(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, into []*consent.Consent) error {
	for _, c := range into {
		refs, err := collect(ctx, q, scanRef, `SELECT subject_ref FROM consent_subject WHERE controller = $1 AND consent_id = $2
			ORDER BY subject_ref`, string(controller), string(c.ID))
		if err != nil {
			return err
		}
		first := c.Subjects[0]
		c.Subjects = append(c.Subjects, slices.DeleteFunc(refs, func(r consent.SubjectRef) bool { return r == first })...)
	}
	return nil
}

func scanRef(row sqldb.Row) (ref consent.SubjectRef, err error) {
	err = row.Scan((*string)(&ref))
	return ref, err
}

func pointers(list []consent.Consent) []*consent.Consent {
	out := make([]*consent.Consent, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	return out
}
