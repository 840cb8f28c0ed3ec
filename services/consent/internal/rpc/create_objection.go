package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// CreateObjection records that a person objects to an activity (GDPR art. 21). The answer does not repeat what the person says: it
// is kept for repeated calls, and the words are for the DPO alone.
func (s *rightsServer) CreateObjection(ctx context.Context, req *pb.CreateObjectionRequest) (*pb.Objection, error) {
	controller, err := parseController("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	refs := s.refs(controller, req.GetSubject(), req.GetSubjects())
	outbox.About(ctx, controllerName(controller), texts(refs)...)
	once := idempotency.Request{Controller: string(controller), Method: pb.Rights_CreateObjection_FullMethodName, ID: req.GetRequestId(), Body: req}
	return idempotency.Once(ctx, s.Replies, once, &pb.Objection{}, func(ctx context.Context, tx sqldb.Tx) (*pb.Objection, error) {
		rev, err := s.Store.Advance(ctx, tx, controller)
		if err != nil {
			return nil, err
		}
		return s.object(ctx, tx, rev, controller, refs, req)
	})
}

func (s *rightsServer) object(ctx context.Context, tx sqldb.Tx, rev consent.Revision, controller consent.ControllerID, refs []consent.SubjectRef, req *pb.CreateObjectionRequest) (*pb.Objection, error) {
	a, err := s.activity(ctx, tx, controller, consent.ActivityID(req.GetActivity()))
	if err != nil {
		return nil, err
	}
	if refs, err = s.withPersons(ctx, tx, controller, refs); err != nil {
		return nil, err
	}
	o, err := consent.Object(consent.ObjectionID(s.NewID()), refs, a, s.now(), rev)
	if err != nil {
		return nil, err
	}
	if o.Words, err = s.sealNew(ctx, tx, o, words{Grounds: req.GetGrounds()}); err != nil {
		return nil, err
	}
	if err := s.Store.AddObjection(ctx, tx, o); err != nil {
		return nil, err
	}
	change := consent.Change{Controller: controller, Revision: rev, Kind: consent.Objecting, Activity: o.Activity, Subjects: o.Subjects}
	return s.objectionMessage(o, words{}), s.record(ctx, tx, change, s.objectionEvent(nil, o))
}

// sealNew seals what somebody says first. Of a person who was erased nothing is written down any more.
func (s *rightsServer) sealNew(ctx context.Context, tx sqldb.Tx, o consent.Objection, w words) (consent.SealedWords, error) {
	erased, err := s.erased(ctx, tx, o.Controller, o.Subjects)
	if err != nil || erased {
		return consent.SealedWords{}, err
	}
	return s.seal(objectionName(o.Controller, o.ID), consent.SealedWords{}, w)
}

// objectionEvent is the event of a change, without what anybody has said: the words of a person who is erased go, the event stays.
func (h *handlers) objectionEvent(before *consent.Objection, o consent.Objection) outbox.Event {
	e := outbox.Event{Resource: objectionName(o.Controller, o.ID), SubjectRefs: texts(o.Subjects),
		Detail: map[string]string{"activity": string(o.Activity), "state": string(o.State)}, After: h.objectionMessage(o, words{})}
	if before != nil {
		e.Before = h.objectionMessage(*before, words{})
	}
	return e
}

func (h *handlers) objectionMessage(o consent.Objection, w words) *pb.Objection {
	return &pb.Objection{
		Name: objectionName(o.Controller, o.ID), State: pb.Objection_State(pb.Objection_State_value[string(o.State)]), Activity: string(o.Activity),
		SubjectRef: string(o.Subjects[0]), Grounds: w.Grounds, Resolution: w.Resolution,
		CreateTime: timestamp(o.CreateTime), ResolveTime: timestamp(o.ResolveTime),
		ConsistencyToken: h.tokens.Make(o.Controller, max(o.CreateRevision, o.ResolveRevision)),
	}
}

// openedObjection is an objection with what was said about it, for the DPO.
func (h *handlers) openedObjection(o consent.Objection) (*pb.Objection, error) {
	w, err := h.unseal(objectionName(o.Controller, o.ID), o.Words)
	if err != nil {
		return nil, err
	}
	return h.objectionMessage(o, w), nil
}
