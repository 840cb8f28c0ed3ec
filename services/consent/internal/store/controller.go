package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// controllerBody is the stored form of what a controller says about itself. Its names never change their meaning.
type controllerBody struct {
	DisplayName           string `json:"displayName"`
	Jurisdiction          string `json:"jurisdiction"`
	TimeZone              string `json:"timeZone"`
	Language              string `json:"language"`
	Contact               string `json:"contact,omitempty"`
	DPOName               string `json:"dpoName,omitempty"`
	DPOEmail              string `json:"dpoEmail,omitempty"`
	RequiredApprovals     int    `json:"requiredApprovals"`
	GracePeriodSeconds    int64  `json:"gracePeriodSeconds"`
	GracePeriodNanos      int64  `json:"gracePeriodNanos,omitempty"`
	PrimaryIdentifierType string `json:"primaryIdentifierType"`

	Kind      consent.ControllerKind `json:"kind,omitempty"`
	AgePolicy consent.AgePolicy      `json:"agePolicy,omitempty"`
}

func encodeController(c consent.Controller) (string, error) {
	raw, err := json.Marshal(controllerBody{
		DisplayName: c.DisplayName, Jurisdiction: c.Jurisdiction, TimeZone: c.TimeZone, Language: c.Language, Contact: c.Contact,
		DPOName: c.DPO.Name, DPOEmail: c.DPO.Email, RequiredApprovals: c.RequiredApprovals,
		GracePeriodSeconds: int64(c.GracePeriod / time.Second), GracePeriodNanos: int64(c.GracePeriod % time.Second),
		PrimaryIdentifierType: c.PrimaryIdentifierType, Kind: c.Kind, AgePolicy: c.AgePolicy,
	})
	return string(raw), err
}

func decodeController(c *consent.Controller, text string) error {
	var b controllerBody
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return err
	}
	c.DisplayName, c.Jurisdiction, c.TimeZone, c.Language, c.Contact = b.DisplayName, b.Jurisdiction, b.TimeZone, b.Language, b.Contact
	c.DPO = consent.ContactPerson{Name: b.DPOName, Email: b.DPOEmail}
	c.RequiredApprovals, c.PrimaryIdentifierType = b.RequiredApprovals, b.PrimaryIdentifierType
	c.Kind, c.AgePolicy = b.Kind, b.AgePolicy
	c.GracePeriod = time.Duration(b.GracePeriodSeconds)*time.Second + time.Duration(b.GracePeriodNanos)
	return nil
}

// CreateController implements consent.Controllers.
func (Store) CreateController(ctx context.Context, tx sqldb.Tx, c consent.Controller) error {
	body, err := encodeController(c)
	if err != nil {
		return wrap("encode a controller", err)
	}
	err = insert(ctx, tx, "create a controller",
		`INSERT INTO controller (controller, version, body, create_time, update_time) VALUES ($1, $2, $3, $4, $5)`,
		string(c.ID), c.Version, body, sqldb.Micros(c.CreateTime), sqldb.Micros(c.UpdateTime))
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO revision (controller, revision) VALUES ($1, $2)`, string(c.ID), int64(1))
	return wrap("create a revision", err)
}

// Controller implements consent.Controllers.
func (Store) Controller(ctx context.Context, q sqldb.Querier, id consent.ControllerID) (consent.Controller, error) {
	c, body, created, updated := consent.Controller{ID: id}, "", int64(0), int64(0)
	err := q.QueryRow(ctx, `SELECT version, body, create_time, update_time FROM controller WHERE controller = $1`, string(id)).
		Scan(&c.Version, &body, &created, &updated)
	if err == nil {
		c.CreateTime, c.UpdateTime = sqldb.Time(created), sqldb.Time(updated)
		err = decodeController(&c, body)
	}
	return c, wrap("read a controller", err)
}

// UpdateController implements consent.Controllers.
func (Store) UpdateController(ctx context.Context, tx sqldb.Tx, c consent.Controller) error {
	body, err := encodeController(c)
	if err != nil {
		return wrap("encode a controller", err)
	}
	return update(ctx, tx, "update a controller",
		`UPDATE controller SET version = $1, body = $2, update_time = $3 WHERE controller = $4`,
		c.Version, body, sqldb.Micros(c.UpdateTime), string(c.ID))
}
