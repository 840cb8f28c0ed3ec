package e2e

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/privacyops/privacyops/libs/keyring"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/participant"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// expected is the one event that a call has to leave; with no action it is none.
type expected struct {
	call       string // for the failure's words
	rpc, way   string
	trace      string
	controller string
	action     string
	kind       authv1.Rule_EventKind
	outcome    auditv1.AuditEvent_Outcome
	service    string
	actor      *auditv1.Actor
	resource   string // empty: not known beforehand
}

// judge says what is wrong with the events that a call has left. A log-in is an event of its own, not the call's.
func (x expected) judge(events []*auditv1.AuditEvent) (wrong []string) {
	var own []*auditv1.AuditEvent
	for _, e := range events {
		byItself := e.GetActor().GetKind() == auditv1.Actor_SERVICE && x.actor.GetKind() != auditv1.Actor_SERVICE
		if e.GetTraceId() == x.trace && e.GetKind() != authv1.Rule_LOGIN && !byItself {
			own = append(own, e)
		}
	}
	if x.action == "" {
		if len(own) > 0 {
			return []string{fmt.Sprintf("left %d events, want none: %v", len(own), own)}
		}
		return nil
	}
	if len(own) != 1 {
		return []string{fmt.Sprintf("left %d events, want one: %v", len(own), own)}
	}
	e := own[0]
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"action", e.GetAction(), x.action}, {"kind", e.GetKind(), x.kind}, {"outcome", e.GetOutcome(), x.outcome}, {"service", e.GetService(), x.service},
		{"controller", controllerOf(e), x.controller}, {"actor", e.GetActor().String(), x.actor.String()},
	} {
		if c.got != c.want {
			wrong = append(wrong, fmt.Sprintf("%s is %v, want %v", c.what, c.got, c.want))
		}
	}
	if x.resource != "" && e.GetResource() != x.resource {
		wrong = append(wrong, fmt.Sprintf("resource is %q, want %q", e.GetResource(), x.resource))
	}
	if refused := x.outcome != auditv1.AuditEvent_OK; refused != (e.GetReason() != "") {
		wrong = append(wrong, fmt.Sprintf("outcome %s with the reason %q", x.outcome, e.GetReason()))
	}
	return wrong
}

// controllerOf reads the controller out of an event's name.
func controllerOf(e *auditv1.AuditEvent) string {
	if parts := strings.Split(e.GetName(), "/"); len(parts) == 4 {
		return parts[1]
	}
	return ""
}

// teller tells the story and remembers what it has to leave in the log.
type teller struct {
	*matrix
	keys   *keyring.Keyring
	words  map[string]string
	wanted []expected
	early  []*auditv1.AuditEvent // before the person was erased: afterwards nothing tells which resources their events were about
}

// newController is the one that the story creates.
const newController = "l1-school"

// TestEveryCallLeavesItsEvent calls every RPC of the suite allowed, denied and invalid: each leaves exactly one right event, and those
// that are public or internal none (logging duty L.1).
func TestEveryCallLeavesItsEvent(t *testing.T) {
	t.Parallel()
	down := &atomic.Bool{}
	w := newWorld(t, func(s *setting) {
		s.suite.Wrap = func(_ string, p participant.Participant) participant.Participant { return failing{p, down} }
	})
	keys, err := keyring.Open(filepath.Join(w.dir, "keys", "master.key"))
	must(t, err)
	now := time.Now().UTC()
	x := &teller{matrix: &matrix{t: t, w: w, conns: map[string]*connection{}}, keys: keys, words: map[string]string{
		"c": "controllers/" + sample.Controller, "new": newController, "pupil": sample.Pupil().UniLogin, "sibling": sample.Sibling().UniLogin,
		"start": now.Add(-time.Hour).Format(time.RFC3339), "end": now.Format(time.RFC3339),
		"event": w.events(`action = "activity.create"`, 1)[0].GetName(),
	}}
	importRoster(t, w.as("platform"), school, extractOf(t, ""), &erasurev1.Roster{})
	x.provoke()
	x.turnedAway()
	all := methods()
	for _, line := range story {
		if all[line.rpc] == nil {
			t.Errorf("the story calls %s, which does not exist", line.rpc)
			continue
		}
		down.Store(line.down)
		x.tell(line, all[line.rpc])
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if ruleOf(all[name]).GetEvent() == "" {
			x.silent(name, all[name])
		}
	}
	events := x.settled()
	for _, want := range x.wanted {
		for _, wrong := range want.judge(events) {
			t.Errorf("%s: %s", want.call, wrong)
		}
	}
	x.complete(all, events)
	x.sabotage(events)
	x.digests(append(slices.Clone(x.early), events...))
	x.inReference(events)
	// What happened to the erasure afterwards names the person, and is closed with the person's key.
	x.chains(append(x.early, slices.DeleteFunc(slices.Clone(events), func(e *auditv1.AuditEvent) bool { return strings.Contains(e.GetResource(), "/erasures/") })...))
	x.logins(events)
	x.refusals(events)
	x.starts(events)
}

func ruleOf(d protoreflect.MethodDescriptor) *authv1.Rule {
	return proto.GetExtension(d.Options(), authv1.E_Rule).(*authv1.Rule)
}

// tell makes one call of the story: denied, invalid, allowed.
func (x *teller) tell(line told, d protoreflect.MethodDescriptor) {
	x.t.Helper()
	p, may := permissions[line.rpc], strings.Fields(permissions[line.rpc].roles)
	if p.service == "" {
		x.t.Errorf("there is no permission of %s", line.rpc)
		return
	}
	request := x.request(line, d)
	if line.rpc == "erasure.v1.Erasures/ApproveErasure" {
		x.early = eventsAt(x.w, sample.Controller, "", 1)
	}
	low := "stranger" // a role that the suite does not know, for what all of its own may call
	if at := slices.IndexFunc(roles, func(r string) bool { return !slices.Contains(may, r) }); at >= 0 {
		low = roles[at]
	}
	x.one(line.rpc, "denied", p, d, low, "gateway", request, auditv1.AuditEvent_DENIED)
	if p.route != "" {
		x.overDoor(line.rpc, p, d, low, request)
	}
	if ruleOf(d).GetControllerField() == "" { // about the whole suite, and the token is for two of its controllers
		for _, role := range may {
			x.one(line.rpc, "denied as "+role+" of some", p, d, role, "gateway", request, auditv1.AuditEvent_DENIED)
		}
	}
	role, as := "", "gateway"
	if len(may) > 0 {
		role = may[0]
	} else {
		as = strings.Fields(p.services)[0]
		stranger := suiteServices[slices.IndexFunc(suiteServices, func(s string) bool { return s != as && s != "gateway" })]
		x.one(line.rpc, "denied to a service", p, d, "", stranger, request, auditv1.AuditEvent_DENIED)
	}
	x.one(line.rpc, "invalid", p, d, role, as, spoilt(request, d), auditv1.AuditEvent_INVALID)
	answer := x.one(line.rpc, "allowed", p, d, role, as, request, auditv1.AuditEvent_OK, line.extra(x.t)...)
	if line.keep == "" || answer == nil {
		return
	}
	name := answer.ProtoReflect().Get(answer.ProtoReflect().Descriptor().Fields().ByName("name")).String()
	x.words[line.keep] = name
	if line.wait != "" {
		x.await(name, line.wait)
	}
}

// one makes one call with a trace of its own, and notes what it has to leave.
func (x *teller) one(rpc, way string, p permission, d protoreflect.MethodDescriptor, role, as string, req proto.Message, outcome auditv1.AuditEvent_Outcome, more ...proto.Message) proto.Message {
	x.t.Helper()
	rule, trace := ruleOf(d), newTrace()
	what := rpc + " " + way
	want := expected{call: what, rpc: rpc, way: way, trace: trace, action: rule.GetEvent(), kind: rule.GetKind(), outcome: outcome, service: p.service,
		controller: controllerIn(req, rule), actor: &auditv1.Actor{Kind: auditv1.Actor_SERVICE, Ref: as}}
	token := ""
	if role != "" {
		token = x.token(role)
		if rule.GetControllerField() == "" && outcome != auditv1.AuditEvent_DENIED {
			token = x.w.token(role, role, "*")
		}
		want.actor = x.caller(role)
	}
	if outcome == auditv1.AuditEvent_DENIED {
		want.resource = textIn(req, rule.GetControllerField(), "controllers/")
	}
	x.wanted = append(x.wanted, want)
	answer, err := x.said(p.service, as, d, append([]proto.Message{req}, more...), token, trace)
	if (err == nil) != (outcome == auditv1.AuditEvent_OK) {
		x.t.Errorf("%s: %v", what, err)
	}
	if err != nil {
		return nil
	}
	return answer
}

// overDoor makes a call at the gateway that the gateway denies by itself.
func (x *teller) overDoor(rpc string, p permission, d protoreflect.MethodDescriptor, role string, req proto.Message) {
	x.t.Helper()
	rule := ruleOf(d)
	method, path, _ := strings.Cut(p.route, " ")
	path = x.absent(path)
	if controllerIn(req, rule) == newController {
		path = strings.ReplaceAll(path, sample.Controller, newController)
	}
	r, err := http.NewRequestWithContext(x.t.Context(), method, x.w.URL+path, strings.NewReader(p.body))
	must(x.t, err)
	r.Header.Set("Authorization", "Bearer "+x.token(role))
	r.Header.Set("Content-Type", "application/json")
	if p.body == "<x/>" {
		r.Header.Set("Content-Type", "application/xml")
	}
	resp, err := web.Do(r)
	must(x.t, err)
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		x.t.Errorf("%s %s as %s: %s", method, path, role, resp.Status)
	}
	x.wanted = append(x.wanted, expected{call: rpc + " denied at the gateway", rpc: rpc, way: "denied at the gateway", trace: resp.Header.Get("X-Request-Id"), action: rule.GetEvent(), kind: rule.GetKind(),
		outcome: auditv1.AuditEvent_DENIED, service: "gateway", controller: controllerIn(req, rule), actor: x.caller(role)})
}

// silent makes calls that leave no event: to what is public, and between services.
func (x *teller) silent(name string, d protoreflect.MethodDescriptor) {
	x.t.Helper()
	p, ok := permissions[name]
	if !ok {
		x.t.Errorf("there is no permission of %s", name)
		return
	}
	callers := append([]string{"gateway"}, strings.Fields(p.services)...)
	for _, as := range callers {
		trace := newTrace()
		x.wanted = append(x.wanted, expected{call: name + " without an event", trace: trace})
		// How it ends is the matrix's business.
		_, _ = x.said(p.service, as, d, []proto.Message{x.message(d, sample.Controller)}, "", trace)
	}
}

// settled gives all events once each call has left one, and a while longer.
func (x *teller) settled() (events []*auditv1.AuditEvent) {
	x.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(250 * time.Millisecond) {
		events = x.everything()
		missing := slices.ContainsFunc(x.wanted, func(want expected) bool {
			return want.action != "" && !slices.ContainsFunc(events, func(e *auditv1.AuditEvent) bool { return e.GetTraceId() == want.trace })
		})
		if !missing || time.Now().After(deadline) {
			time.Sleep(2 * time.Second) // what comes too often may come late
			return x.everything()
		}
	}
}

func (x *teller) everything() []*auditv1.AuditEvent {
	x.t.Helper()
	return slices.Concat(eventsAt(x.w, sample.Controller, "", 1), eventsAt(x.w, newController, "", 1), suiteEvents(x.t, x.w))
}
