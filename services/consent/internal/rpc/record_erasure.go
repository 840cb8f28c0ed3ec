package rpc

import (
	"context"
	"strings"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// RecordErasure notes that the person behind the pseudonyms was erased. The person's consents stay: under pseudonyms only,
// as the proof that what was processed before was consented to (GDPR art. 7(1), 17(3)(e)). What the person said when they objected, and
// why it was decided so, is destroyed.
func (s *erasedServer) RecordErasure(ctx context.Context, req *pb.RecordErasureRequest) (*emptypb.Empty, error) {
	controller, err := parseController("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	if _, err := parse(erasureForm, "erasure", req.GetErasure()); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(req.GetErasure(), req.GetParent()+"/") {
		return nil, fault.BadField("erasure", "belongs to another controller than parent")
	}
	erasure := consent.Erasure{Controller: controller, Subjects: idsOf[consent.SubjectRef](req.GetSubjectRefs()), Resource: req.GetErasure(), RecordTime: s.now()}
	if erasure.Time, err = moment("erase_time", req.GetEraseTime()); err != nil {
		return nil, err
	}
	return write(ctx, s.handlers, controller, func(ctx context.Context, tx sqldb.Tx, rev consent.Revision) (*emptypb.Empty, error) {
		return &emptypb.Empty{}, s.noteErased(ctx, tx, rev, erasure)
	})
}

func (s *erasedServer) noteErased(ctx context.Context, tx sqldb.Tx, rev consent.Revision, erasure consent.Erasure) error {
	all, err := s.expanded(ctx, tx, erasure.Controller, erasure.Subjects)
	if err != nil {
		return err
	}
	if err := s.Store.ForgetWords(ctx, tx, erasure.Controller, all); err != nil {
		return err
	}
	// The method rule names no controller field, so the event names the controller itself.
	event := outbox.Event{Controller: string(erasure.Controller), Resource: erasure.Resource, SubjectRefs: texts(erasure.Subjects)}
	if erasure.Subjects, err = s.withPersons(ctx, tx, erasure.Controller, erasure.Subjects); err != nil {
		return err
	}
	if err := s.Store.AddErased(ctx, tx, erasure); err != nil {
		return err
	}
	change := consent.Change{Controller: erasure.Controller, Revision: rev, Kind: consent.ErasureNoted, Subjects: erasure.Subjects}
	return s.record(ctx, tx, change, event)
}
