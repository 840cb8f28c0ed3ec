package e2e

import (
	"database/sql"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// TestNoChangeWithoutItsEvent keeps each service from writing audit events, by a trigger in its database: what it is asked to change
// then stays as it was (guarantee G5). Without the trigger the same call changes it.
func TestNoChangeWithoutItsEvent(t *testing.T) { //nolint:tparallel // one trigger at a time: consent and activity share a database
	t.Parallel()
	if onStack {
		t.Skip("the trigger is written for SQLite, and one engine shows that change and event share their transaction")
	}
	w := newWorld(t)
	p := sample.Person{Controller: sample.Controller}
	must(t, w.platform().QueryRowContext(t.Context(), `SELECT unilogin FROM users WHERE school = ? ORDER BY id DESC LIMIT 1`, p.Controller).Scan(&p.UniLogin))
	for name, change := range map[string]struct {
		service, table, role, path string
		body                       proto.Message
	}{
		"a consent": {"consent", "consent", "platform", "/consents", &consentv1.GiveConsentRequest{Subject: uniLogin(p), Activity: "photo-sharing",
			GivenBy: &consentv1.GivenBy{Capacity: consentv1.GivenBy_GUARDIAN}, Text: &consentv1.ConsentText{Version: "2026-01", Language: "da"}}},
		"an activity": {"consent", "activity", "dpo", "/activities?activityId=unaudited", &consentv1.Activity{Purpose: "Nothing",
			LegalBasis: typev1.LegalBasis_CONSENT}},
		"an export": {"export", "export", "dpo", "/exports", &exportv1.CreateExportRequest{Subject: uniLogin(p), Kind: exportv1.Export_ACCESS, Language: "da"}},
		"an erasure": {"erasure", "erasure", "dpo", "/erasures", &erasurev1.CreateErasureRequest{Subject: uniLogin(p),
			Ground: erasurev1.Erasure_NO_LONGER_NECESSARY, Channel: erasurev1.Erasure_MANUAL}},
	} {
		t.Run(name, func(t *testing.T) {
			db := openToChange(t, filepath.Join(w.dir, change.service+".db"))
			count := func() (n int) {
				must(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+change.table).Scan(&n))
				return n
			}
			body, err := protojson.Marshal(change.body)
			must(t, err)
			c, before := w.as(change.role), count()
			_, err = db.ExecContext(t.Context(), `CREATE TRIGGER unaudited BEFORE INSERT ON audit_outbox BEGIN SELECT RAISE(ABORT, 'no events'); END`)
			must(t, err)
			c.refused(http.MethodPost, school+change.path, string(body), http.StatusInternalServerError, "INTERNAL")
			if n := count(); n != before {
				t.Errorf("%d rows became %d without an event", before, n)
			}
			_, err = db.ExecContext(t.Context(), `DROP TRIGGER unaudited`)
			must(t, err)
			c.post(school+change.path, change.body, nil)
			if n := count(); n != before+1 {
				t.Errorf("with events again: %d rows became %d, want one more", before, n)
			}
		})
	}
}

// openToChange opens a database of a running service to interfere with it.
func openToChange(t *testing.T, path string) *sql.DB {
	t.Helper()
	query := url.Values{"_pragma": {"busy_timeout(10000)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String())
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}
