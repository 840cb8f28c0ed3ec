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
// as the proof that what was processed before was consented to (GDPR art. 7(1), 17(3)(e)).
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
		if err := s.Store.AddErased(ctx, tx, erasure); err != nil {
			return nil, err
		}
		change := consent.Change{Controller: controller, Revision: rev, Kind: consent.ErasureNoted, Subjects: erasure.Subjects}
		// The method rule names no controller field, so the event names the controller itself.
		return &emptypb.Empty{}, s.record(ctx, tx, change, outbox.Event{Controller: string(controller), Resource: erasure.Resource, SubjectRefs: texts(erasure.Subjects)})
	})
}
