package rpc

import (
	"cmp"
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// Notices tell that a controller has a newer revision; redis.Revisions does.
type Notices interface {
	// Watch calls fn, which does not wait, until stop is called. A notice may be missing, late or repeated.
	Watch(fn func(controller redis.Controller, revision int64)) (stop func())
}

// WatchTimes are the rhythm of watches. Zero fields take the defaults.
type WatchTimes struct {
	// Heartbeat is how often a quiet watch says that it is up to date; default 10 s.
	Heartbeat time.Duration
	// Poll is how long a change of which no notice came can stay unseen; default 1 s.
	Poll time.Duration
}

const (
	watchHeartbeat = 10 * time.Second
	watchPoll      = time.Second
	// watchPage is how many changes are read at once.
	watchPage = 1000
)

var errTooOld = fault.New(fault.Precondition, "RESUME_TOKEN_TOO_OLD",
	"What has changed since this token was given is no longer known. Forget all answers, and watch from now on: without a token.")

// WatchLegalBasis sends the controller's changes after a token, and then as they come. It reads them from the database, which a
// notice only makes it do sooner: a watch that lost every notice is a second late and misses nothing. Whoever reads may trust
// the order: a message that the watch is up to date comes after everything that was committed before its time.
func (s *basisServer) WatchLegalBasis(req *pb.WatchLegalBasisRequest, stream grpc.ServerStreamingServer[pb.LegalBasisChange]) error {
	ctx := stream.Context()
	controller, err := parseController("parent", req.GetParent())
	if err != nil {
		return err
	}
	outbox.About(ctx, controllerName(controller))
	wake := make(chan struct{}, 1)
	stop := s.Notices.Watch(func(changed redis.Controller, _ int64) {
		if changed == redis.Controller(controller) {
			select {
			case wake <- struct{}{}:
			default: // it is awake, and has not looked yet
			}
		}
	})
	defer stop()
	w := &watch{basisServer: s, controller: controller, send: stream.Send}
	if w.at, err = s.resume(ctx, controller, req.GetResumeToken()); err == nil {
		err = w.run(ctx, wake)
	}
	if ctx.Err() != nil {
		return ended(ctx)
	}
	return err
}

// ended is what a watch gives whose context has ended: nothing where the caller went, the reason where the server stops.
func ended(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// resume gives the revision after which a watch goes on.
func (s *basisServer) resume(ctx context.Context, controller consent.ControllerID, token string) (after consent.Revision, err error) {
	if token != "" {
		if after, err = s.tokens.Read(controller, token); err != nil {
			return 0, err
		}
	}
	return read(ctx, s.handlers, func(ctx context.Context, q sqldb.Querier) (consent.Revision, error) {
		newest, err := s.Store.Revision(ctx, q, controller)
		if err != nil || token == "" {
			return newest, err
		}
		kept, err := s.Store.ChangesAfter(ctx, q, controller, 0, 1)
		if err != nil {
			return 0, err
		}
		var oldest *consent.Change
		if len(kept) > 0 {
			oldest = &kept[0]
		}
		if !consent.CanResume(after, newest, oldest) {
			return 0, errTooOld
		}
		return after, nil
	})
}

// watch is one caller's watch.
type watch struct {
	*basisServer
	controller consent.ControllerID
	send       func(*pb.LegalBasisChange) error
	at         consent.Revision // everything up to it was sent
}

func (w *watch) run(ctx context.Context, wake <-chan struct{}) error {
	beat := time.NewTicker(cmp.Or(w.WatchTimes.Heartbeat, watchHeartbeat))
	defer beat.Stop()
	poll := time.NewTicker(cmp.Or(w.WatchTimes.Poll, watchPoll))
	defer poll.Stop()
	for due := true; ; {
		if err := w.catchUp(ctx, due); err != nil {
			return err
		}
		due = false
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		case <-poll.C:
		case <-beat.C:
			due = true
		}
	}
}

// catchUp sends what has changed, and then that this is all: if something has, or if it is due.
func (w *watch) catchUp(ctx context.Context, due bool) error {
	for {
		asked := w.now() // before the question: what is committed by then is in the answer
		changes, newest, err := w.next(ctx)
		if err != nil {
			return err
		}
		for _, c := range changes {
			if err := w.send(w.changeMessage(c)); err != nil {
				return err
			}
			w.at, due = c.Revision, true
		}
		if len(changes) == watchPage {
			continue
		}
		w.at = newest
		if !due {
			return nil
		}
		return w.send(&pb.LegalBasisChange{ResumeToken: w.tokens.Make(w.controller, w.at), ChangeTime: timestamppb.New(asked)})
	}
}

// next reads a page of changes, and the newest revision, from one snapshot.
func (w *watch) next(ctx context.Context) (changes []consent.Change, newest consent.Revision, err error) {
	err = w.DB.Read(ctx, func(ctx context.Context, q sqldb.Querier) (err error) {
		newest, err = w.Store.Revision(ctx, q, w.controller)
		switch {
		case err != nil || newest == w.at:
			return err
		case newest < w.at:
			return errTooOld // the database was set back
		}
		changes, err = w.Store.ChangesAfter(ctx, q, w.controller, w.at, watchPage)
		return err
	})
	return changes, newest, err
}

// changeMessage is a change as the contract shows it.
func (w *watch) changeMessage(c consent.Change) *pb.LegalBasisChange {
	return &pb.LegalBasisChange{
		ResumeToken: w.tokens.Make(c.Controller, c.Revision), Kind: cmp.Or(changeKinds[c.Kind], pb.LegalBasisChange_CONTROLLER_CHANGED), ChangeTime: timestamppb.New(c.Time),
		Activity: string(c.Activity), SubjectRefs: texts(c.Subjects), Consents: texts(c.Consents),
	}
}

// changeKinds are the contract's words. A kind that a newer replica has written, and that has none here, is said to be a change of the
// controller: it must not look as if nothing had changed.
var changeKinds = map[consent.ChangeKind]pb.LegalBasisChange_Kind{
	consent.OfController: pb.LegalBasisChange_CONTROLLER_CHANGED,
	consent.OfActivity:   pb.LegalBasisChange_ACTIVITY_CHANGED,
	consent.OfSystem:     pb.LegalBasisChange_SYSTEM_CHANGED,
	consent.Agreement:    pb.LegalBasisChange_CONSENT_GIVEN,
	consent.Withdrawal:   pb.LegalBasisChange_CONSENT_WITHDRAWN,
	consent.ErasureNoted: pb.LegalBasisChange_SUBJECT_ERASED,
	consent.Objecting:    pb.LegalBasisChange_OBJECTION_MADE,
	consent.Resolving:    pb.LegalBasisChange_OBJECTION_RESOLVED,
	consent.Restricting:  pb.LegalBasisChange_RESTRICTION_MADE,
	consent.Lifting:      pb.LegalBasisChange_RESTRICTION_LIFTED,
	consent.Linking:      pb.LegalBasisChange_SUBJECTS_LINKED,
}
