package e2e

import (
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/server"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// ways are the three ways of logging duty L.1 in which every RPC that makes an event is called, with what its event has to say.
var ways = map[string]auditv1.AuditEvent_Outcome{
	"allowed": auditv1.AuditEvent_OK, "denied": auditv1.AuditEvent_DENIED, "invalid": auditv1.AuditEvent_INVALID,
}

// complete checks that every RPC that makes an event was called in each of the three ways, and left the right one. Which RPCs those are
// says the descriptors, and none is exempt.
func (x *teller) complete(all map[string]protoreflect.MethodDescriptor, events []*auditv1.AuditEvent) {
	right := map[string]bool{}
	for _, want := range x.wanted {
		if outcome, counts := ways[want.way]; counts && want.outcome == outcome && len(want.judge(events)) == 0 {
			right[want.rpc+" "+want.way] = true
		}
	}
	rpcs, done := 0, 0
	for name, d := range all {
		event := ruleOf(d).GetEvent()
		if event == "" {
			continue
		}
		rpcs++
		for way := range ways {
			if right[name+" "+way] {
				done++
			} else {
				x.t.Errorf("%s was not %s with the right event, %s", name, way, event)
			}
		}
	}
	x.t.Logf("%d RPCs, of which %d make events: %d of %d ways left exactly one right event (%d calls)", len(all), rpcs, done, rpcs*len(ways), len(x.wanted))
}

// provoke makes one alert of the school's and one of the suite's, and keeps their names.
func (x *teller) provoke() {
	x.t.Helper()
	again := event(sample.Controller, "roster.import", authv1.Rule_CREATE)
	again.Detail = map[string]string{"erasedBefore": "1"}
	x.w.ingest("erasure", time.Time{}, again)
	x.w.ingest("audit", time.Time{}, event("", "ledger.replay", authv1.Rule_DELETE))
	for deadline := time.Now().Add(patience); x.words["alert"] == "" || x.words["suiteAlert"] == ""; time.Sleep(250 * time.Millisecond) {
		for _, a := range x.w.alerts() {
			if strings.HasPrefix(a.GetName(), "controllers/") {
				x.words["alert"] = a.GetName()
			} else {
				x.words["suiteAlert"] = a.GetName()
			}
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("no alerts were raised: %v", x.words)
		}
	}
}

// badCalls are made without a good token at each of two doors.
const badCalls = 4

// turnedAway makes calls without a good token at the gateway and at a service itself, and one with a good one there.
func (x *teller) turnedAway() {
	x.t.Helper()
	const rpc = "consent.v1.Register/GetController"
	d, request := methods()[rpc], newMessage(x.t, methods()[rpc].Input())
	setText(request, "name", x.words["c"])
	for range badCalls {
		if a := x.call(http.MethodGet, school, "", "x.y.z"); a.status != http.StatusUnauthorized {
			x.t.Errorf("a bad token at the gateway: %d", a.status)
		}
		if _, err := x.said("consent", "export", d, []proto.Message{request}, "x.y.z", newTrace()); err == nil {
			x.t.Error("a bad token passes at a service")
		}
	}
	_, err := x.said("consent", "export", d, []proto.Message{request}, x.token("auditor"), newTrace())
	must(x.t, err)
}

// refusals checks that calls without a good token have left one event at each door: that there were more within the minute is told by
// the next one, if any.
func (x *teller) refusals(events []*auditv1.AuditEvent) {
	seen := map[string]int{}
	for _, e := range events {
		if e.GetAction() != access.RefuseAction {
			continue
		}
		seen[e.GetService()]++
		if e.GetKind() != authv1.Rule_LOGIN || e.GetOutcome() != auditv1.AuditEvent_DENIED || e.GetReason() != "TOKEN_INVALID" || controllerOf(e) != "" ||
			e.GetActor().GetKind() != auditv1.Actor_ANONYMOUS || e.GetActor().GetRef() != "" {
			x.t.Errorf("a refusal is %v", e)
		}
	}
	if want := map[string]int{"gateway": 1, "consent": 1}; !maps.Equal(seen, want) {
		x.t.Errorf("refusals by door: %v, want %v", seen, want)
	}
}

// starts checks that each process that keeps events has begun with one.
func (x *teller) starts(events []*auditv1.AuditEvent) {
	seen := map[string]int{}
	for _, e := range events {
		if e.GetAction() != server.StartAction {
			continue
		}
		seen[e.GetService()]++
		if e.GetKind() != authv1.Rule_ADMIN || e.GetOutcome() != auditv1.AuditEvent_OK || controllerOf(e) != "" ||
			e.GetActor().GetKind() != auditv1.Actor_SERVICE || e.GetActor().GetRef() != e.GetService() {
			x.t.Errorf("a start is %v", e)
		}
	}
	for _, service := range suiteServices {
		if n := seen[service]; n < 1 && service != "participant" || n > 1 && !onStack {
			x.t.Errorf("%s has begun %d times", service, n)
		}
	}
}

// digests checks that whatever an allowed call changes is told by a digest: of what there is now, and unless it has come into being, of
// what there was. Events are taken as they were before the person was erased where they can be read no more.
func (x *teller) digests(events []*auditv1.AuditEvent) {
	checked, closed := map[string]bool{}, map[string]bool{}
	for _, want := range x.wanted {
		if want.way != "allowed" || !changes(want) && !creates(want) || want.action == "subject.erased" { // the erasure is another service's
			continue
		}
		at := slices.IndexFunc(events, func(e *auditv1.AuditEvent) bool { return e.GetTraceId() == want.trace && e.GetAction() == want.action })
		switch {
		case at < 0: // complete says so
		case events[at].GetErased():
			closed[want.rpc] = true
		case events[at].GetAfterDigest() == "" || (events[at].GetBeforeDigest() == "") != creates(want):
			x.t.Errorf("%s: the digests are %q and %q", want.call, events[at].GetBeforeDigest(), events[at].GetAfterDigest())
		default:
			checked[want.rpc] = true
		}
	}
	maps.DeleteFunc(closed, func(rpc string, _ bool) bool { return checked[rpc] })
	x.t.Logf("%d RPCs that change something have digests; with their person's key went those of %v", len(checked), slices.Sorted(maps.Keys(closed)))
	if len(closed) > 2 {
		x.t.Errorf("the digests of %v cannot be read", slices.Sorted(maps.Keys(closed)))
	}
}

// changes reports whether a call of the story is of a kind that changes something.
func changes(want expected) bool {
	return slices.Contains([]authv1.Rule_EventKind{authv1.Rule_CREATE, authv1.Rule_MODIFY, authv1.Rule_DELETE, authv1.Rule_ADMIN}, want.kind)
}

// creates reports whether a call of the story brings something into being.
func creates(want expected) bool {
	_, method, _ := strings.Cut(want.rpc, "/")
	return want.kind == authv1.Rule_CREATE || strings.HasPrefix(method, "Create")
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

// chains checks the digests: a changing event of a resource begins where the one before it ended. An export goes on between its events,
// and those of links are about different people each.
func (x *teller) chains(events []*auditv1.AuditEvent) {
	last, done, linked := map[string]string{}, map[string]bool{}, 0
	for _, e := range slices.SortedFunc(slices.Values(events), func(a, b *auditv1.AuditEvent) int {
		return int(a.GetControllerSequence() - b.GetControllerSequence())
	}) {
		if done[e.GetName()] || e.GetResource() == "" || e.GetBeforeDigest()+e.GetAfterDigest() == "" ||
			strings.Contains(e.GetResource(), "/exports/") || strings.HasSuffix(e.GetResource(), "/subjects") {
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
	for _, kind := range []string{"systems", "activities", "consents", "objections", "restrictions", "erasures", "rosters", "evidence", "alerts"} {
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
