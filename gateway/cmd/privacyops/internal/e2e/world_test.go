// Package e2e tests the whole suite from outside: everything is said over REST, to an installation in a folder of its own, by
// callers who have nothing but tokens. What it leaves behind is then looked at with tools that the suite has no part in.
package e2e

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/restclient"
	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/seed"
	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/suite"
	"github.com/privacyops/privacyops/libs/access"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/participant"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// school is the path of the controller that most tests act for.
const school = "/v1/controllers/" + sample.Controller

// patience is how long a test waits for something that the suite does by itself.
const patience = 30 * time.Second

// web makes calls that are not made through package restclient.
var web = &http.Client{Timeout: patience}

// world is one installation with the sample in it.
type world struct {
	*suite.Suite
	t        *testing.T
	dir      string
	database string // the sample platform's own
}

// setting is how a test wants its installation.
type setting struct {
	suite suite.Options
	seed  seed.Options
}

// newWorld starts an installation and stops it with the test.
func newWorld(t *testing.T, change ...func(*setting)) *world {
	t.Helper()
	w := &world{t: t, dir: filepath.Join(t.TempDir(), "data")}
	platform := filepath.Join(w.dir, "sample")
	must(t, os.MkdirAll(platform, 0o700))
	system, database, err := seed.Platform(t.Context(), platform)
	must(t, err)
	w.database = database
	s := setting{suite: suite.Options{DataDir: w.dir, Systems: []participant.SystemConfig{system}},
		seed: seed.Options{Approvals: 1}}
	place(t, &s.suite)
	for _, f := range change {
		f(&s)
	}
	w.Suite, err = suite.Start(t.Context(), s.suite)
	must(t, err)
	t.Cleanup(func() { must(t, w.Stop()) })
	must(t, seed.Register(t.Context(), w.URL, w.Issuer, s.seed))
	return w
}

// client is a caller with one token. Its methods end the test where the suite does not do what they expect.
type client struct {
	restclient.Client
	t *testing.T
}

// as is a caller with a role at the school.
func (w *world) as(role string) *client { return w.caller(role, sample.Controller, role) }

// caller is somebody with a role at a controller, told from others by a name.
func (w *world) caller(role, controller, name string) *client {
	w.t.Helper()
	return &client{restclient.Client{Base: w.URL, Token: w.token(role, name, controller)}, w.t}
}

// token makes a token for somebody with a role at controllers.
func (w *world) token(role, name string, controllers ...string) string {
	w.t.Helper()
	now := time.Now()
	token, err := w.Issuer.Token(access.Claims{Subject: name, Roles: []string{role}, Controllers: controllers, Issued: now, Expires: now.Add(time.Hour)})
	must(w.t, err)
	return token
}

func (c *client) post(path string, req, resp proto.Message) {
	c.t.Helper()
	if err := c.Post(c.t.Context(), path, req, resp); err != nil {
		c.t.Fatalf("POST %s: %v", path, err)
	}
}

func (c *client) get(path string, resp proto.Message) {
	c.t.Helper()
	if err := c.Get(c.t.Context(), path, resp); err != nil {
		c.t.Fatalf("GET %s: %v", path, err)
	}
}

// refused sends a body as it is, checks status and reason of the refusal, and gives its words.
func (c *client) refused(method, path, body string, status int, reason string) (message string) {
	c.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	answer, err := c.Raw(c.t.Context(), method, path, "application/json", r)
	var e *restclient.Error
	if !errors.As(err, &e) {
		c.t.Errorf("%s %s was not refused: %s %v", method, path, answer, err)
		return ""
	}
	if e.Status != status || e.Reason() != reason {
		c.t.Errorf("%s %s: got %v, want %d %s", method, path, e, status, reason)
	}
	return e.Message
}

// refusedMessage is refused with a message as the body.
func (c *client) refusedMessage(path string, req proto.Message, status int, reason string) (message string) {
	c.t.Helper()
	body, err := protojson.Marshal(req)
	must(c.t, err)
	return c.refused(http.MethodPost, path, string(body), status, reason)
}

// watch reads lines of a watch, each of which must be one JSON object of the answer's type, until f says enough or the
// stream ends.
func watch[M proto.Message](c *client, path string, fresh func() M, f func(M) (enough bool)) (lines int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	resp, err := c.Do(ctx, http.MethodGet, path, "", nil)
	must(c.t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/x-ndjson" {
		c.t.Fatalf("GET %s: %s, %s", path, resp.Status, resp.Header.Get("Content-Type"))
	}
	in, m := bufio.NewScanner(resp.Body), fresh()
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		m = fresh()
		if err := protojson.Unmarshal(in.Bytes(), m); err != nil {
			c.t.Fatalf("GET %s: line %d is not one object: %v", path, lines, err)
		}
		lines++
		if f(m) {
			return lines
		}
	}
	if in.Err() != nil {
		c.t.Fatalf("GET %s: %v; the last line says %v", path, in.Err(), m)
	}
	return lines
}

func newErasure() *erasurev1.Erasure { return &erasurev1.Erasure{} }

// awaitErasure follows an erasure until it is in one of the states, and gives it.
func (c *client) awaitErasure(name string, states ...erasurev1.Erasure_State) *erasurev1.Erasure {
	c.t.Helper()
	var last *erasurev1.Erasure
	watch(c, "/v1/"+name+":watch", newErasure, func(e *erasurev1.Erasure) bool {
		last = e
		for _, s := range states {
			if e.GetState() == s {
				return true
			}
		}
		return false
	})
	for _, s := range states {
		if last.GetState() == s {
			return last
		}
	}
	c.t.Fatalf("the erasure is %s (%s), want one of %v", last.GetState(), last.GetReason(), states)
	return nil
}

// planned asks for the erasure of a person and waits for its plan.
func (c *client) planned(p sample.Person) *erasurev1.Erasure {
	c.t.Helper()
	e := newErasure()
	c.post("/v1/controllers/"+p.Controller+"/erasures", &erasurev1.CreateErasureRequest{Subject: uniLogin(p),
		Ground: erasurev1.Erasure_NO_LONGER_NECESSARY, Channel: erasurev1.Erasure_MANUAL}, e)
	return c.awaitErasure(e.GetName(), erasurev1.Erasure_AWAITING_APPROVAL)
}

// approve approves the plan of an erasure.
func (c *client) approve(e *erasurev1.Erasure) *erasurev1.Erasure {
	c.t.Helper()
	out := newErasure()
	c.post("/v1/"+e.GetName()+":approve", &erasurev1.ApproveErasureRequest{PlanHash: e.GetPlan().GetPlanHash()}, out)
	return out
}

// check asks for the legal basis of an activity.
func (c *client) check(p sample.Person, activity, token string) *consentv1.Decision {
	c.t.Helper()
	req := &consentv1.CheckLegalBasisRequest{Subject: uniLogin(p), Activity: activity}
	if token != "" {
		req.Consistency = &consentv1.Consistency{Requirement: &consentv1.Consistency_Token{Token: token}}
	}
	d := &consentv1.Decision{}
	c.post("/v1/controllers/"+p.Controller+"/legalBasis:check", req, d)
	return d
}

// decided checks a decision.
func decided(t *testing.T, d *consentv1.Decision, want consentv1.Decision_Reason) {
	t.Helper()
	outcome := consentv1.Decision_DENY
	if want == consentv1.Decision_LEGAL_BASIS_HOLDS || want == consentv1.Decision_CONSENT_HOLDS {
		outcome = consentv1.Decision_ALLOW
	}
	if d.GetDecision() != outcome || d.GetReason() != want {
		t.Errorf("the check says %s %s, want %s %s", d.GetDecision(), d.GetReason(), outcome, want)
	}
}

func uniLogin(p sample.Person) *typev1.Subject {
	return &typev1.Subject{Type: typev1.Subject_UNILOGIN, Value: p.UniLogin}
}

// events searches the audit log until there are so many events.
func (w *world) events(filter string, atLeast int) []*auditv1.AuditEvent {
	w.t.Helper()
	return eventsAt(w, sample.Controller, filter, atLeast)
}

// eventsAt is events at any controller.
func eventsAt(w *world, controller, filter string, atLeast int) []*auditv1.AuditEvent {
	w.t.Helper()
	auditor := w.caller("auditor", controller, "auditor")
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		var all []*auditv1.AuditEvent
		for token := ""; ; {
			page := &auditv1.SearchAuditEventsResponse{}
			auditor.post("/v1/controllers/"+controller+"/auditEvents:search", &auditv1.SearchAuditEventsRequest{Filter: filter, PageSize: 1000, PageToken: token}, page)
			all = append(all, page.GetEvents()...)
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
		waiting := slices.ContainsFunc(all, func(e *auditv1.AuditEvent) bool { return e.GetIndex() < 0 })
		if (len(all) >= atLeast && !waiting) || time.Now().After(deadline) {
			return all
		}
	}
}

// importRoster hands an extract in.
func importRoster(t *testing.T, c *client, controller, extract string, out *erasurev1.Roster) {
	t.Helper()
	answer, err := c.Raw(t.Context(), http.MethodPost, controller+"/rosters:import?format=UNILOGIN_WSIEKSPORT", "application/xml", strings.NewReader(extract))
	must(t, err)
	must(t, protojson.Unmarshal(answer, out))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
