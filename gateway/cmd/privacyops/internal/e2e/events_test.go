package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/privacyops/privacyops/libs/access"
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
	all, told := methods(), map[string]bool{}
	for _, line := range story {
		if all[line.rpc] == nil {
			t.Errorf("the story calls %s, which does not exist", line.rpc)
			continue
		}
		told[line.rpc] = true
		down.Store(line.down)
		x.tell(line, all[line.rpc])
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if event := ruleOf(all[name]).GetEvent(); event == "" {
			x.silent(name, all[name])
		} else if !told[name] {
			t.Errorf("the story does not call %s, which makes the event %s", name, event)
		}
	}
	events := x.settled()
	checked := map[string]int{}
	for _, want := range x.wanted {
		for _, wrong := range want.judge(events) {
			t.Errorf("%s: %s", want.call, wrong)
		}
		_, what, _ := strings.Cut(want.call, " ")
		checked[what]++
	}
	t.Logf("%d RPCs, %d calls: %v", len(all), len(x.wanted), checked)
	x.sabotage(events)
	x.inReference(events)
	// What happened to the erasure afterwards names the person, and is closed with the person's key.
	x.chains(append(x.early, slices.DeleteFunc(slices.Clone(events), func(e *auditv1.AuditEvent) bool { return strings.Contains(e.GetResource(), "/erasures/") })...))
	x.logins(events)
}

// inReference checks that whatever was recorded is in the reference that people read.
func (x *teller) inReference(events []*auditv1.AuditEvent) {
	reference, err := os.ReadFile("../../../../../deploy/EVENTS.md")
	must(x.t, err)
	for _, e := range events {
		if !strings.Contains(string(reference), "| `"+e.GetAction()+"` | "+e.GetKind().String()+" |") {
			x.t.Errorf("deploy/EVENTS.md does not have %s of kind %s", e.GetAction(), e.GetKind())
		}
	}
}

// chains checks the digests: a changing event of a resource begins where the one before it ended. An export goes on between its events.
func (x *teller) chains(events []*auditv1.AuditEvent) {
	last, done, linked := map[string]string{}, map[string]bool{}, 0
	for _, e := range slices.SortedFunc(slices.Values(events), func(a, b *auditv1.AuditEvent) int {
		return int(a.GetControllerSequence() - b.GetControllerSequence())
	}) {
		if done[e.GetName()] || e.GetResource() == "" || e.GetBeforeDigest()+e.GetAfterDigest() == "" || strings.Contains(e.GetResource(), "/exports/") {
			continue
		}
		done[e.GetName()] = true
		if before, known := last[e.GetResource()]; known && before != e.GetBeforeDigest() {
			x.t.Errorf("%s of %s begins at another digest than the event before it ended", e.GetAction(), e.GetResource())
		} else if known {
			linked++
		}
		last[e.GetResource()] = e.GetAfterDigest()
	}
	for _, kind := range []string{"systems", "activities", "consents", "objections", "restrictions", "erasures", "rosters"} {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(last)), func(name string) bool { return strings.Contains(name, "/"+kind+"/") }) {
			x.t.Errorf("no event of a change to %s has a digest", kind)
		}
	}
	// How many there are depends on whether the story's erasure has ended: then nobody can read the digests of that person's events.
	if linked < 8 {
		x.t.Errorf("only %d events begin where another ended", linked)
	}
}

// logins checks that whoever came to the gateway has logged in there once, with each controller of the token.
func (x *teller) logins(events []*auditv1.AuditEvent) {
	seen := map[string]int{}
	for _, e := range events {
		if e.GetAction() == access.LoginAction {
			seen[e.GetName()]++
			if e.GetKind() != authv1.Rule_LOGIN || e.GetActor().GetRef() == "" || e.GetService() != "gateway" && controllerOf(e) == "" {
				x.t.Errorf("a log-in is %v", e)
			}
		}
	}
	for name, n := range seen {
		if n != 1 {
			x.t.Errorf("%s is there %d times", name, n)
		}
	}
	if len(seen) < 10 {
		x.t.Errorf("%d log-ins", len(seen))
	}
}

// sabotage takes events away, doubles and alters them: every single one must be missed.
func (x *teller) sabotage(events []*auditv1.AuditEvent) {
	for _, want := range x.wanted {
		at := slices.IndexFunc(events, func(e *auditv1.AuditEvent) bool { return e.GetTraceId() == want.trace && e.GetAction() == want.action })
		if want.action == "" || at < 0 {
			continue
		}
		altered := proto.Clone(events[at]).(*auditv1.AuditEvent)
		altered.Kind = authv1.Rule_LOGIN - altered.GetKind()
		for what, bad := range map[string][]*auditv1.AuditEvent{
			"dropped": nil, "doubled": {events[at], events[at]}, "altered": {altered},
		} {
			if len(want.judge(bad)) == 0 {
				x.t.Errorf("%s: nobody would notice that its event was %s", want.call, what)
			}
		}
	}
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
	x.one(line.rpc+" denied", p, d, low, "gateway", request, auditv1.AuditEvent_DENIED)
	if p.route != "" {
		x.overDoor(line.rpc, p, d, low, request)
	}
	role, as := "", "gateway"
	if len(may) > 0 {
		role = may[0]
	} else {
		as = strings.Fields(p.services)[0]
		stranger := suiteServices[slices.IndexFunc(suiteServices, func(s string) bool { return s != as && s != "gateway" })]
		x.one(line.rpc+" denied to a service", p, d, "", stranger, request, auditv1.AuditEvent_DENIED)
	}
	x.one(line.rpc+" invalid", p, d, role, as, spoilt(request, d), auditv1.AuditEvent_INVALID)
	outcome := auditv1.AuditEvent_OK
	if line.absent {
		outcome = auditv1.AuditEvent_INVALID
	}
	answer := x.one(line.rpc+" allowed", p, d, role, as, request, outcome, line.extra(x.t)...)
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
func (x *teller) one(what string, p permission, d protoreflect.MethodDescriptor, role, as string, req proto.Message, outcome auditv1.AuditEvent_Outcome, more ...proto.Message) proto.Message {
	x.t.Helper()
	rule, trace := ruleOf(d), newTrace()
	want := expected{call: what, trace: trace, action: rule.GetEvent(), kind: rule.GetKind(), outcome: outcome, service: p.service,
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
	x.wanted = append(x.wanted, expected{call: rpc + " denied at the gateway", trace: resp.Header.Get("X-Request-Id"), action: rule.GetEvent(), kind: rule.GetKind(),
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

// said makes a call, unary or streaming, and gives its first answer.
func (x *teller) said(service, as string, d protoreflect.MethodDescriptor, messages []proto.Message, token, trace string) (proto.Message, error) {
	x.t.Helper()
	x.grpc++
	ctx, cancel := context.WithTimeout(x.t.Context(), patience)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	stream, err := x.connect(service, as).NewStream(ctx, &grpc.StreamDesc{ClientStreams: d.IsStreamingClient(), ServerStreams: d.IsStreamingServer()},
		"/"+string(d.Parent().FullName())+"/"+string(d.Name()))
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		_ = stream.SendMsg(m) // what is wrong comes with the answer
	}
	_ = stream.CloseSend()
	answer := newMessage(x.t, d.Output())
	return answer, stream.RecvMsg(answer)
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

// suiteEvents reads those that concern no single controller from the log's own files: no method lists them.
func suiteEvents(t *testing.T, w *world) (events []*auditv1.AuditEvent) {
	t.Helper()
	must(t, filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.Contains(path, "/tile/entries/") || strings.Contains(path, ".p/") && superseded(path) {
			return nil //nolint:nilerr // what was removed meanwhile is superseded
		}
		bundle, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		for len(bundle) >= 2 {
			n := int(bundle[0])<<8 + int(bundle[1]) + 2
			events, bundle = append(events, suiteEvent(t, bundle[2:n])...), bundle[n:]
		}
		return nil
	}))
	return events
}

// superseded reports whether a partial bundle has a larger or a full one beside it.
func superseded(path string) bool {
	dir, width := filepath.Split(path)
	if _, err := os.Stat(strings.TrimSuffix(filepath.Clean(dir), ".p")); err == nil {
		return true
	}
	others, _ := os.ReadDir(dir)
	own, _ := strconv.Atoi(width)
	return slices.ContainsFunc(others, func(o fs.DirEntry) bool { n, err := strconv.Atoi(o.Name()); return err == nil && n > own })
}

// suiteEvent reads a leaf of the log; nothing where it concerns a controller.
func suiteEvent(t *testing.T, raw []byte) []*auditv1.AuditEvent {
	t.Helper()
	var leaf struct {
		ID, Controller, Action, Kind, Outcome, Reason, Resource, Service, TraceParent string
		Actor                                                                         struct {
			Kind, Ref string
			Roles     []string
		}
	}
	must(t, json.Unmarshal(raw, &leaf))
	if leaf.Controller != "" {
		return nil
	}
	e := &auditv1.AuditEvent{Name: "auditEvents/" + leaf.ID, Action: leaf.Action, Reason: leaf.Reason, Resource: leaf.Resource, Service: leaf.Service,
		Kind:    authv1.Rule_EventKind(authv1.Rule_EventKind_value[leaf.Kind]),
		Outcome: auditv1.AuditEvent_Outcome(auditv1.AuditEvent_Outcome_value[leaf.Outcome]),
		Actor:   &auditv1.Actor{Kind: auditv1.Actor_Kind(auditv1.Actor_Kind_value[leaf.Actor.Kind]), Ref: leaf.Actor.Ref}}
	for _, role := range leaf.Actor.Roles {
		e.Actor.Roles = append(e.Actor.Roles, authv1.Rule_Role(authv1.Rule_Role_value[strings.ToUpper(role)]))
	}
	if parts := strings.Split(leaf.TraceParent, "-"); len(parts) == 4 {
		e.TraceId = parts[1]
	}
	return []*auditv1.AuditEvent{e}
}
