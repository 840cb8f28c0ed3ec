package rpc

import (
	"context"

	"google.golang.org/genproto/googleapis/api/httpbody"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/legalbasis"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/receipt"
)

// GetReceipt gives the signed receipt of a consent as it stands.
func (s *consentsServer) GetReceipt(ctx context.Context, req *pb.GetReceiptRequest) (*httpbody.HttpBody, error) {
	controller, id, err := parseConsent("name", req.GetName())
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, consentName(controller, id))
	facts, err := read(ctx, s.handlers, func(ctx context.Context, q sqldb.Querier) (receipt.Facts, error) {
		return s.receiptFacts(ctx, q, controller, id)
	})
	if err != nil {
		return nil, err
	}
	refs := facts.Consent.Subjects
	outbox.About(ctx, consentName(controller, id), texts(refs[:min(len(refs), maxRefs)])...)
	file, err := receipt.Make(facts).File(func(payload []byte) (string, error) {
		return s.Signer.SignDetached(legalbasis.ReceiptType, payload)
	})
	if err != nil {
		return nil, err
	}
	return &httpbody.HttpBody{ContentType: receipt.ContentType, Data: file}, nil
}

// receiptFacts reads what a receipt is made of. The controller is read as it is now: who has the receipt wants to reach it.
func (s *consentsServer) receiptFacts(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, id consent.ConsentID) (f receipt.Facts, err error) {
	f.Issuer, f.Now = s.Issuer, s.now()
	if f.Consent, err = s.Store.Consent(ctx, q, controller, id); err != nil {
		return f, err
	}
	if f.Controller, err = s.Store.Controller(ctx, q, controller); err != nil {
		return f, err
	}
	if f.Activity, err = s.Store.ActivityVersion(ctx, q, controller, f.Consent.Activity, f.Consent.ActivityVersion); err != nil {
		return f, err
	}
	for _, name := range f.Activity.Systems {
		system, err := s.Store.System(ctx, q, controller, name)
		switch {
		case err == nil:
			f.Systems = append(f.Systems, system)
		case fault.From(err).Kind() != fault.NotFound: // an activity may name a system that is not registered yet
			return f, err
		}
	}
	return f, nil
}
