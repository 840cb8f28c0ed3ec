package rpc

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// GiveConsent records a consent that was given.
func (s *consentsServer) GiveConsent(ctx context.Context, req *pb.GiveConsentRequest) (*pb.Consent, error) {
	controller, err := parseController("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	giving, err := s.giving(controller, req)
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, controllerName(controller), texts(giving.Subjects)...)
	once := idempotency.Request{Controller: string(controller), Method: pb.Consents_GiveConsent_FullMethodName, ID: req.GetRequestId(), Body: req}
	return idempotency.Once(ctx, s.Replies, once, &pb.Consent{}, func(ctx context.Context, tx sqldb.Tx) (*pb.Consent, error) {
		return s.give(ctx, tx, controller, consent.ActivityID(req.GetActivity()), giving)
	})
}

func (s *consentsServer) give(ctx context.Context, tx sqldb.Tx, controller consent.ControllerID, activity consent.ActivityID, giving consent.Giving) (*pb.Consent, error) {
	rev, err := s.Store.Advance(ctx, tx, controller)
	if err != nil {
		return nil, err
	}
	c, err := s.Store.Controller(ctx, tx, controller)
	if err != nil {
		return nil, err
	}
	a, err := s.activity(ctx, tx, controller, activity)
	if err != nil {
		return nil, err
	}
	given, err := consent.Give(giving, c, a, s.now(), rev)
	if err != nil {
		return nil, err
	}
	if err := s.Store.AddConsent(ctx, tx, given); err != nil {
		return nil, err
	}
	detail := map[string]string{"activity": string(activity), "capacity": string(given.Capacity)}
	if !given.Sufficient {
		detail["insufficient"] = string(consent.GuardianConsentRequired)
	}
	change := consent.Change{Controller: controller, Revision: rev, Kind: consent.Agreement, Activity: activity,
		Consents: []consent.ConsentID{given.ID}, Subjects: given.Subjects}
	return s.consentMessage(given), s.record(ctx, tx, change, outbox.Event{Resource: consentName(controller, given.ID), SubjectRefs: texts(given.Subjects), Detail: detail,
		After: s.recordedConsent(given)})
}

// giving reads a request.
func (s *consentsServer) giving(controller consent.ControllerID, req *pb.GiveConsentRequest) (g consent.Giving, err error) {
	g = consent.Giving{
		ID: consent.ConsentID(s.NewID()), Subjects: s.refs(controller, req.GetSubject(), req.GetSubjects()),
		Capacity: consent.Capacity(req.GetGivenBy().GetCapacity().String()), Reference: req.GetGivenBy().GetReference(), Evidence: req.GetEvidence(),
		Text: consent.ShownText{Version: req.GetText().GetVersion(), Language: req.GetText().GetLanguage(), SHA256: req.GetText().GetSha256()},
	}
	if g.ExpireTime, err = moment("expire_time", req.GetExpireTime()); err != nil {
		return g, err
	}
	if text := req.GetSubjectBirthDate(); text != "" {
		born, err := clock.ParseDate(text)
		if err != nil {
			// Without its cause: that text holds the date.
			return g, fault.BadField("subject_birth_date", "is no day of the calendar")
		}
		g.BirthDate = &born
	}
	return g, nil
}

// moment reads a time that may be left out, as exactly as it is stored.
func moment(field string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, fault.BadField(field, "is no time between the years 1 and 9999")
	}
	return t.AsTime().Truncate(time.Microsecond), nil
}
