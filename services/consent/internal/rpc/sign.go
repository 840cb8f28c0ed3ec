package rpc

import (
	"encoding/json"
	"time"

	"github.com/privacyops/privacyops/libs/legalbasis"
	"github.com/privacyops/privacyops/libs/redis"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

const (
	// signedLife is how long a signed decision may be used. It is short, because nothing calls it back.
	signedLife = 60 * time.Second
	// unseen is how old the state can be that a decision rests on.
	unseen = redis.ProofAge
)

// sign signs the answers to those questions that ask for it: refusals, too.
func (s *basisServer) sign(controller consent.ControllerID, decided []answered, messages []*pb.Decision) error {
	for i, d := range decided {
		if !d.signed {
			continue
		}
		payload, err := json.Marshal(s.signedDecision(controller, d, messages[i]))
		if err != nil {
			return err
		}
		if messages[i].Signature, err = s.Signer.Sign(legalbasis.DecisionType, payload); err != nil {
			return err
		}
	}
	return nil
}

// signedUntil is when the signed answer ends: soon, and no later than the consent that it rests on.
func (d answered) signedUntil() time.Time {
	if until := d.at.Add(signedLife); d.ExpireTime.IsZero() || until.Before(d.ExpireTime) {
		return until
	}
	return d.ExpireTime
}

func (s *basisServer) signedDecision(controller consent.ControllerID, d answered, m *pb.Decision) legalbasis.SignedDecision {
	return legalbasis.SignedDecision{
		Issuer: s.Issuer, Controller: string(controller), Activity: string(d.Activity), Version: d.Version, SubjectRefs: m.GetSubjectRefs(),
		Recipient: d.Recipient, DataCategories: d.DataCategories, Location: d.Location,
		Decision: m.GetDecision().String(), Reason: string(d.Reason), LegalBasis: string(d.Basis), ID: d.id,
		IssuedAt: d.at.Unix(), ExpiresAt: d.signedUntil().Unix(), RevocationBound: int64((unseen + signedLife) / time.Second),
		ConsistencyToken: m.GetConsistencyToken(),
	}
}
