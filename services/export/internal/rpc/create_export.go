package rpc

import (
	"context"
	"strings"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/export/internal/export"

	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

// CreateExport starts an export. The register is asked before anything is written, so that an unknown controller leaves
// nothing behind and the due date is one of the controller's own days.
func (s *Server) CreateExport(ctx context.Context, req *exportv1.CreateExportRequest) (*exportv1.Export, error) {
	now := s.Clock.Now().Truncate(time.Microsecond) // as it is stored
	received, err := receivedAt(req, now)
	if err != nil {
		return nil, err
	}
	if key := req.GetRecipientKey(); key != "" && !s.ValidRecipient(key) {
		return nil, fault.BadField("recipient_key", "is not an age recipient; make a key pair with age-keygen and send its public key")
	}
	controller := export.ControllerID(strings.TrimPrefix(req.GetParent(), "controllers/"))
	snap, err := s.Register.Snapshot(ctx, controller)
	if err != nil {
		return nil, answer(err)
	}
	request := idempotency.Request{Controller: string(controller), Method: exportv1.Exports_CreateExport_FullMethodName,
		ID: req.GetRequestId(), Body: req}
	return idempotency.Once(ctx, s.Replies, request, &exportv1.Export{}, func(ctx context.Context, tx sqldb.Tx) (*exportv1.Export, error) {
		w, err := export.New(s.Keyring, export.Request{
			Ref: export.Ref{Controller: controller, ID: export.ID(s.NewID())}, Kind: export.Kind(req.GetKind().String()),
			Language: language(req.GetLanguage(), snap.Controller), Identifiers: identifiers(req), Recipient: req.GetRecipientKey(),
			Received: received, Due: clock.RespondBy(received, zone(snap.Controller)).End, Now: now,
		})
		if err != nil {
			return nil, err
		}
		if err := s.Store.Insert(ctx, tx, w); err != nil {
			return nil, err
		}
		after, err := s.Store.Recorded(ctx, tx, w.Ref)
		if err != nil {
			return nil, err
		}
		_, err = s.Outbox.Record(ctx, tx, outbox.Event{Resource: w.Name(), SubjectRefs: w.Refs, After: after,
			Detail: map[string]string{"kind": string(w.Kind), "due_time": w.Due.Format(time.RFC3339)}})
		return message(&w.Export), err
	})
}

// receivedAt is when the period to answer began.
func receivedAt(req *exportv1.CreateExportRequest, now time.Time) (time.Time, error) {
	t := req.GetReceivedAt()
	switch {
	case t == nil:
		return now, nil
	case t.CheckValid() != nil || t.AsTime().Year() < 2018: // the GDPR applies from 25 May 2018
		return now, fault.BadField("received_at", "is not the time of a request under the GDPR")
	case t.AsTime().After(now):
		return now, fault.BadField("received_at", "lies in the future; leave it out for now")
	}
	return t.AsTime().Truncate(time.Microsecond), nil
}

// identifiers lists what names the person: subject first, whose pseudonym the export carries.
func identifiers(req *exportv1.CreateExportRequest) []export.Identifier {
	var out []export.Identifier
	all := req.GetSubjects()
	if req.GetSubject() != nil {
		all = append([]*typev1.Subject{req.GetSubject()}, all...)
	}
	for _, x := range all {
		out = append(out, export.Identifier{Type: x.GetType().String(), Value: x.GetValue()})
	}
	return out
}

func language(asked string, c export.Controller) export.Language {
	switch {
	case asked != "":
		return export.Language(asked)
	case c.Language != "":
		return c.Language
	}
	return export.Danish
}

// zone is where the controller's days begin; nil, the suite's default, where it names none that is known.
func zone(c export.Controller) *time.Location {
	if c.TimeZone == "" {
		return nil
	}
	z, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		return nil
	}
	return z
}
