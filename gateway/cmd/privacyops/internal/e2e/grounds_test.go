package e2e

import (
	"testing"

	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// TestGroundsThatReachSomeActivities erases on grounds that leave what rests on another legal basis. Whatever was approved can be
// carried out, and the person is not erased for the activities that go on.
func TestGroundsThatReachSomeActivities(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dpo, partner := w.as("dpo"), w.as("partner")
	for ground, p := range map[erasurev1.Erasure_Ground]sample.Person{
		erasurev1.Erasure_CONSENT_WITHDRAWN: sample.Pupil(),   // photos go, teaching goes on
		erasurev1.Erasure_OBJECTION_UPHELD:  sample.Sibling(), // teaching goes, photos rest on consent
	} {
		e := newErasure()
		dpo.post(school+"/erasures", &erasurev1.CreateErasureRequest{Subject: uniLogin(p), Ground: ground}, e)
		e = dpo.awaitErasure(e.GetName(), erasurev1.Erasure_AWAITING_APPROVAL)
		dpo.approve(e)
		dpo.awaitErasure(e.GetName(), erasurev1.Erasure_COMPLETED)
		if ground == erasurev1.Erasure_CONSENT_WITHDRAWN {
			decided(t, partner.check(p, "teaching", ""), consentv1.Decision_LEGAL_BASIS_HOLDS)
		}
	}
}
