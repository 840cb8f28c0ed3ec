package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/legalbasis"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// TestReceiptsAndSignedDecisionsOverREST takes home a receipt and a signed decision, and verifies both with the keys that anybody can read.
func TestReceiptsAndSignedDecisionsOverREST(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	platform := w.as("platform")
	nobody := &client{platform.Client, t}
	nobody.Token = ""
	keys, err := legalbasis.ParseKeys(nobody.raw("/v1/legalBasis/keys"))
	must(t, err)

	p := sample.Person{Controller: sample.Controller}
	must(t, w.platform().QueryRowContext(t.Context(), `SELECT unilogin FROM users WHERE school = ? ORDER BY id DESC LIMIT 1`, p.Controller).Scan(&p.UniLogin))
	given := &consentv1.Consent{}
	platform.post(school+"/consents", &consentv1.GiveConsentRequest{Subject: uniLogin(p), Activity: "photo-sharing",
		GivenBy: &consentv1.GivenBy{Capacity: consentv1.GivenBy_GUARDIAN}, Text: &consentv1.ConsentText{Version: "2026-01", Language: "da"}}, given)
	file := platform.raw("/v1/" + given.GetName() + "/receipt")
	receipt, err := legalbasis.VerifyReceipt(file, keys)
	if err != nil || !strings.Contains(string(receipt), given.GetName()) || strings.Contains(string(file), p.UniLogin) {
		t.Errorf("%v: %s", err, file)
	}

	decision := &consentv1.Decision{}
	w.as("partner").post(school+"/legalBasis:check", &consentv1.CheckLegalBasisRequest{Subject: uniLogin(p), Activity: "photo-sharing", Signed: true}, decision)
	signed, err := legalbasis.VerifyDecision(decision.GetSignature(), keys, time.Now())
	if err != nil || !signed.Allowed() || signed.Controller != sample.Controller || signed.ID != decision.GetDecisionId() {
		t.Errorf("%+v, %v", signed, err)
	}
}

// TestConsentSaysOneThing sends what the contract leaves no room for: two purposes in one consent, and a time at which it was given.
func TestConsentSaysOneThing(t *testing.T) {
	t.Parallel()
	platform := newWorld(t).as("platform")
	for name, field := range map[string]string{
		"two purposes":                 `"activity":["photo-sharing","teaching"]`,
		"a list of purposes beside it": `"activity":"photo-sharing","activities":["teaching"]`,
		"in arrears":                   `"activity":"photo-sharing","giveTime":"2020-01-01T00:00:00Z"`,
		"in the future":                `"activity":"photo-sharing","giveTime":"2120-01-01T00:00:00Z"`,
		"given and taken back":         `"activity":"photo-sharing","state":"WITHDRAWN"`,
	} {
		t.Log(name)
		platform.refused(http.MethodPost, school+"/consents", `{`+subjectJSON+`,`+field+`,"givenBy":{"capacity":"GUARDIAN"}}`,
			http.StatusBadRequest, "INVALID_ARGUMENT")
	}
}
