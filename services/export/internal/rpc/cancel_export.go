package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/export/internal/export"

	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

// CancelExport stops an export that is not finished. Its keys go with the transaction, its files right after.
func (s *Server) CancelExport(ctx context.Context, req *exportv1.CancelExportRequest) (*exportv1.Export, error) {
	ref, err := export.ParseName(req.GetName())
	if err != nil {
		return nil, fault.Missing()
	}
	var w *export.Work
	var orphans []export.FileID
	err = s.DB.Write(ctx, func(ctx context.Context, tx sqldb.Tx) (err error) {
		before, err := s.Store.Recorded(ctx, tx, ref)
		if err != nil {
			return err
		}
		if w, orphans, err = s.Store.Cancel(ctx, tx, ref, s.Clock.Now()); err != nil {
			return answer(err)
		}
		after, err := s.Store.Recorded(ctx, tx, ref)
		if err != nil {
			return err
		}
		_, err = s.Outbox.Record(ctx, tx, outbox.Event{Resource: w.Name(), SubjectRefs: w.Refs, Before: before, After: after})
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, f := range orphans {
		if f != "" {
			// What cannot be deleted now opens for nobody any more, and the next sweep of the folder finds it.
			_ = s.Remove(ctx, f)
		}
	}
	return message(&w.Export), nil
}
