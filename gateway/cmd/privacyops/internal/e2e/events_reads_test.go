package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

const (
	// settleTime is how long the log has to have nothing new before it counts as at rest.
	settleTime = 1500 * time.Millisecond
	// readings are how often the log is read, each time about the reading before.
	readings = 5
)

// reading is an entry of the log, as its own files have it.
type reading struct{ ID, Action, Kind, Outcome, Controller string }

// logger reads the log as nobody does who is allowed to: from its files.
type logger struct {
	t *testing.T
	w *world
}

func (l logger) all() (entries []reading) {
	l.t.Helper()
	eachLeaf(l.t, l.w, func(raw []byte) {
		var r reading
		must(l.t, json.Unmarshal(raw, &r))
		entries = append(entries, r)
	})
	return entries
}

// rest waits until the log has at least so many entries, and then nothing new for a while.
func (l logger) rest(atLeast int) []reading {
	l.t.Helper()
	last, since := l.all(), time.Now()
	for deadline := time.Now().Add(patience); time.Since(since) < settleTime || len(last) < atLeast; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("the log has %d entries and does not come to rest with %d", len(last), atLeast)
		}
		if now := l.all(); len(now) != len(last) {
			last, since = now, time.Now()
		}
	}
	return last
}

// after gives what the log has that it had not before.
func after(before, now []reading) []reading {
	known := map[string]bool{}
	for _, r := range before {
		known[r.ID] = true
	}
	return slices.DeleteFunc(slices.Clone(now), func(r reading) bool { return known[r.ID] })
}

// TestReadingTheLogIsLogged: whoever reads the log leaves one entry in it, whichever way it is read, and whoever reads about that
// leaves one more: no reading makes two, and none goes on by itself (logging duty L.4).
func TestReadingTheLogIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := logger{t, w}
	auditor := w.as("auditor")
	auditor.get(school, &consentv1.Controller{}) // so that the log-in is there
	entries := l.rest(1)
	begun := len(entries)
	about := `action = "activity.create"`
	for range readings {
		page := &auditv1.SearchAuditEventsResponse{}
		auditor.post(school+"/auditEvents:search", &auditv1.SearchAuditEventsRequest{Filter: about, PageSize: 1}, page)
		entries = l.one(entries, "audit.search")
		if len(page.GetEvents()) != 1 {
			t.Fatalf("%s finds %v", about, page.GetEvents())
		}
		name := page.GetEvents()[0].GetName()
		_, err := auditor.Raw(t.Context(), http.MethodGet, "/v1/"+name+"/proof", "", nil)
		must(t, err)
		entries = l.one(entries, "audit.proof")
		about = `resource = "` + name + `" AND action = "audit.proof"` // next, the reading of this one
	}
	for _, path := range []string{school + "/logReport", school + "/alerts", school + "/evidence"} {
		_, err := auditor.Raw(t.Context(), http.MethodGet, path, "", nil)
		must(t, err)
		entries = l.one(entries, "")
	}
	if got, want := len(entries)-begun, 2*readings+3; got != want {
		t.Errorf("%d readings left %d entries", want, got)
	}
	// What is public is no reading of anybody's, and leaves nothing.
	for _, path := range []string{"/v1/audit/checkpoint", "/v1/audit/tile/entries/000"} {
		if _, err := auditor.Raw(t.Context(), http.MethodGet, path, "", nil); err != nil && !strings.Contains(err.Error(), "404") {
			t.Error(err)
		}
	}
	if more := after(entries, l.rest(len(entries))); len(more) != 0 {
		t.Errorf("the log's tiles were read, which left %v", more)
	}
}

// one waits for the entry of a reading, and sees that it is the only one.
func (l logger) one(before []reading, action string) []reading {
	l.t.Helper()
	now := l.rest(len(before) + 1)
	added := after(before, now)
	if len(added) != 1 || added[0].Kind != "AUDIT_READ" || added[0].Outcome != "OK" || added[0].Controller != sample.Controller ||
		action != "" && added[0].Action != action {
		l.t.Errorf("a reading left %+v, want one %s", added, action)
	}
	return now
}

// ofKeys are the methods that change keys, and what can be read with it; and ofWork those that change what is beside the log.
var (
	ofKeys = []string{"DestroySubjectKeys", "DestroyControllerKey", "ApproveTermination", "RotateControllerKey"}
	ofWork = []string{"AcknowledgeAlert", "AcknowledgeSuiteAlert", "CreateEvidence"}
)

// TestNothingChangesTheLog: the audit service has no method that changes or deletes an entry. There is one that adds entries, which only
// services may call; those that destroy keys leave every entry where it is (logging duty L.4).
func TestNothingChangesTheLog(t *testing.T) {
	t.Parallel()
	readings := 0
	for name, d := range methods() {
		service, method, _ := strings.Cut(name, "/")
		switch route := permissions[name].route; {
		case !strings.HasPrefix(service, "audit."):
			continue
		case slices.ContainsFunc([]string{"Get", "List", "Search", "Read"}, func(verb string) bool { return strings.HasPrefix(method, verb) }):
			readings++
		case method == "AppendAuditEvents" && len(ruleOf(d).GetRoles()) == 0 && route == "":
		case slices.Contains(ofKeys, method), slices.Contains(ofWork, method):
		default:
			t.Errorf("%s is neither a reading nor one of the methods that may write", name)
		}
		if method, _, _ := strings.Cut(permissions[name].route, " "); method != "" && method != http.MethodGet && method != http.MethodPost {
			t.Errorf("%s is a %s", name, method)
		}
	}
	if readings < 10 {
		t.Errorf("%d readings", readings)
	}
}
