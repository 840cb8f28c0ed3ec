package store

import (
	"context"
	"encoding/json"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// activityBody is the stored form of what a version of an activity says. Its names never change their meaning: versions
// are kept for as long as the register is.
type activityBody struct {
	Purpose            string             `json:"purpose"`
	Basis              consent.LegalBasis `json:"legalBasis"`
	SpecialCondition   string             `json:"specialCategoryCondition,omitempty"`
	DataCategories     []string           `json:"dataCategories,omitempty"`
	SubjectCategories  []string           `json:"subjectCategories,omitempty"`
	Recipients         []string           `json:"recipients,omitempty"`
	Systems            []consent.SystemID `json:"systems,omitempty"`
	Locations          []string           `json:"locations,omitempty"`
	Retention          retentionBody      `json:"retention,omitzero"`
	Source             string             `json:"source,omitempty"`
	AutomatedDecisions bool               `json:"automatedDecisions,omitempty"`
	DirectMarketing    bool               `json:"directMarketing,omitempty"`
	Transfers          []transferBody     `json:"transfers,omitempty"`
	OutsideAuthority   bool               `json:"outsideAuthorityTasks,omitempty"`
}

// transferBody is the stored form of consent.Transfer.
type transferBody struct {
	Location  string                 `json:"location"`
	Ground    consent.TransferGround `json:"ground"`
	Safeguard string                 `json:"safeguard,omitempty"`
}

type retentionBody struct {
	Period    string `json:"period,omitempty"`
	Event     string `json:"event,omitempty"`
	Protected bool   `json:"protected,omitempty"`
	Ground    string `json:"ground,omitempty"`
}

func encodeActivity(a consent.Activity) (string, error) {
	b := activityBody{
		Purpose: a.Purpose, Basis: a.Basis, SpecialCondition: a.SpecialCondition, DataCategories: a.DataCategories,
		SubjectCategories: a.SubjectCategories, Recipients: a.Recipients, Systems: a.Systems, Locations: a.Locations,
		Retention: retentionBody(a.Retention), Source: a.Source, AutomatedDecisions: a.AutomatedDecisions,
		DirectMarketing: a.DirectMarketing, OutsideAuthority: a.OutsideAuthorityTasks,
	}
	for _, t := range a.Transfers {
		b.Transfers = append(b.Transfers, transferBody(t))
	}
	raw, err := json.Marshal(b)
	return string(raw), err
}

func decodeActivity(a *consent.Activity, text string) error {
	var b activityBody
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return err
	}
	a.Purpose, a.Basis, a.SpecialCondition = b.Purpose, b.Basis, b.SpecialCondition
	a.DataCategories, a.SubjectCategories, a.Recipients = b.DataCategories, b.SubjectCategories, b.Recipients
	a.Systems, a.Locations, a.Retention = b.Systems, b.Locations, consent.Retention(b.Retention)
	a.Source, a.AutomatedDecisions = b.Source, b.AutomatedDecisions
	a.DirectMarketing, a.OutsideAuthorityTasks = b.DirectMarketing, b.OutsideAuthority
	for _, t := range b.Transfers {
		a.Transfers = append(a.Transfers, consent.Transfer(t))
	}
	return nil
}

// AddActivityVersion implements consent.Activities.
func (Store) AddActivityVersion(ctx context.Context, tx sqldb.Tx, a consent.Activity) error {
	body, err := encodeActivity(a)
	if err != nil {
		return wrap("encode an activity", err)
	}
	if err := placeVersion(ctx, tx, a); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO activity_version (controller, activity, version, archived, body, author, create_time)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, string(a.Controller), string(a.ID), a.Version, sqldb.Bool(a.Archived), body,
		string(a.Author), sqldb.Micros(a.UpdateTime))
	return wrap("add a version", err)
}

// placeVersion makes the version the newest one. Only the successor of the newest version can be.
func placeVersion(ctx context.Context, tx sqldb.Tx, a consent.Activity) error {
	if a.Version == 1 {
		return insert(ctx, tx, "create an activity",
			`INSERT INTO activity (controller, activity, version, create_time) VALUES ($1, $2, $3, $4)`,
			string(a.Controller), string(a.ID), a.Version, sqldb.Micros(a.CreateTime))
	}
	return update(ctx, tx, "update an activity",
		`UPDATE activity SET version = $1 WHERE controller = $2 AND activity = $3 AND version = $4`,
		a.Version, string(a.Controller), string(a.ID), a.Version-1)
}

const selectActivity = `SELECT a.controller, a.activity, a.version, a.create_time, v.archived, v.body, v.author, v.create_time
	FROM activity a JOIN activity_version v ON v.controller = a.controller AND v.activity = a.activity AND v.version = a.version
	WHERE a.controller = $1 AND `

// Activity implements consent.Activities.
func (Store) Activity(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, id consent.ActivityID) (consent.Activity, error) {
	a, err := scanActivity(q.QueryRow(ctx, selectActivity+`a.activity = $2`, string(controller), string(id)))
	return a, wrap("read an activity", err)
}

// ActivityVersion implements consent.Activities.
func (Store) ActivityVersion(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, id consent.ActivityID, version int64) (consent.Activity, error) {
	a, err := scanActivity(q.QueryRow(ctx, `SELECT a.controller, a.activity, v.version, a.create_time, v.archived, v.body, v.author, v.create_time
		FROM activity a JOIN activity_version v ON v.controller = a.controller AND v.activity = a.activity
		WHERE a.controller = $1 AND a.activity = $2 AND v.version = $3`, string(controller), string(id), version))
	return a, wrap("read a version of an activity", err)
}

// Activities implements consent.Activities.
func (Store) Activities(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, after consent.ActivityID, limit int) ([]consent.Activity, error) {
	list, err := collect(ctx, q, scanActivity, selectActivity+`a.activity > $2 ORDER BY a.activity LIMIT $3`,
		string(controller), string(after), limit)
	return list, wrap("list activities", err)
}

func scanActivity(row sqldb.Row) (a consent.Activity, err error) {
	var created, archived, updated int64
	var body string
	err = row.Scan((*string)(&a.Controller), (*string)(&a.ID), &a.Version, &created, &archived, &body, (*string)(&a.Author), &updated)
	if err != nil {
		return a, err
	}
	a.CreateTime, a.UpdateTime, a.Archived = sqldb.Time(created), sqldb.Time(updated), sqldb.Truth(archived)
	return a, decodeActivity(&a, body)
}
