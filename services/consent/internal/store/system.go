package store

import (
	"context"
	"encoding/json"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// systemBody is the stored form of what a system is. Its names never change their meaning.
type systemBody struct {
	DisplayName string `json:"displayName"`
	Participant string `json:"participant"`
	Location    string `json:"location,omitempty"`
	OperatedBy  string `json:"operatedBy,omitempty"`
	Mandatory   bool   `json:"mandatory,omitempty"`
	Order       int    `json:"order,omitempty"`
}

func encodeSystem(s consent.System) (string, error) {
	raw, err := json.Marshal(systemBody{DisplayName: s.DisplayName, Participant: s.Participant, Location: s.Location,
		OperatedBy: s.OperatedBy, Mandatory: s.Mandatory, Order: s.Order})
	return string(raw), err
}

// CreateSystem implements consent.Systems.
func (Store) CreateSystem(ctx context.Context, tx sqldb.Tx, s consent.System) error {
	body, err := encodeSystem(s)
	if err != nil {
		return wrap("encode a system", err)
	}
	return insert(ctx, tx, "create a system",
		`INSERT INTO controller_system (controller, system_id, version, body, create_time, update_time) VALUES ($1, $2, $3, $4, $5, $6)`,
		string(s.Controller), string(s.ID), s.Version, body, sqldb.Micros(s.CreateTime), sqldb.Micros(s.UpdateTime))
}

// UpdateSystem implements consent.Systems.
func (Store) UpdateSystem(ctx context.Context, tx sqldb.Tx, s consent.System) error {
	body, err := encodeSystem(s)
	if err != nil {
		return wrap("encode a system", err)
	}
	return update(ctx, tx, "update a system",
		`UPDATE controller_system SET version = $1, body = $2, update_time = $3 WHERE controller = $4 AND system_id = $5`,
		s.Version, body, sqldb.Micros(s.UpdateTime), string(s.Controller), string(s.ID))
}

const selectSystem = `SELECT controller, system_id, version, body, create_time, update_time FROM controller_system
	WHERE controller = $1 AND `

// System implements consent.Systems.
func (Store) System(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, id consent.SystemID) (consent.System, error) {
	s, err := scanSystem(q.QueryRow(ctx, selectSystem+`system_id = $2`, string(controller), string(id)))
	return s, wrap("read a system", err)
}

// Systems implements consent.Systems.
func (Store) Systems(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, after consent.SystemID, limit int) ([]consent.System, error) {
	list, err := collect(ctx, q, scanSystem, selectSystem+`system_id > $2 ORDER BY system_id LIMIT $3`,
		string(controller), string(after), limit)
	return list, wrap("list systems", err)
}

func scanSystem(row sqldb.Row) (s consent.System, err error) {
	var created, updated int64
	var text string
	err = row.Scan((*string)(&s.Controller), (*string)(&s.ID), &s.Version, &text, &created, &updated)
	if err != nil {
		return s, err
	}
	s.CreateTime, s.UpdateTime = sqldb.Time(created), sqldb.Time(updated)
	var b systemBody
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return s, err
	}
	s.DisplayName, s.Participant, s.Location, s.OperatedBy = b.DisplayName, b.Participant, b.Location, b.OperatedBy
	s.Mandatory, s.Order = b.Mandatory, b.Order
	return s, nil
}
