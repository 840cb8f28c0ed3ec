// Command eventref writes the reference of all audit events, deploy/EVENTS.md, to standard output: those of calls as the method rules
// declare them, and those that the suite leaves by itself. `make generate` runs it from the top of the tree.
package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"

	// The services, so that their descriptors are there.
	_ "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	_ "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	_ "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	_ "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
	_ "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
)

const head = `# Events of the audit log

Made by ` + "`make generate`" + ` from the method rules in the protos; do not edit.

Every event has an id, the reporting service, the actor with its roles, the action, the kind, the outcome, the time by the reporter's clock and
the time by the audit service's. Where there is one, it also has the controller, the resource, the people concerned (as pseudonyms), the
reason, the trace, details (ids, hashes, counts) and the digests of the resource before and after a change.

## Outcomes

A call leaves exactly one event, however it ends: ` + "`OK`" + `; ` + "`DENIED`" + ` (the caller may not, or the controller is not its own); ` + "`INVALID`" + ` (the
request is not well formed, or there is no such resource); ` + "`FAILED`" + ` (it was tried and did not succeed). A call that changes something commits
with its event in one transaction. A decision on legal basis is an event of its own for who searches, though it shares an entry of the log.

The gateway answers some calls by itself: a denied one leaves the same event, reported by ` + "`gateway`" + `. A request that is no call of any method
(unknown path, broken JSON) leaves none. A refused call names its resource only if the request is well formed.

## Digests

An event of a change to a controller, activity, system, consent, objection, restriction, erasure, roster, export, package of evidence or alert, or
to the links between identifiers (resource ` + "`controllers/{controller}/subjects`" + `, of the people whom the event names), has ` + "`before_digest`" + `
(nothing for a creation) and ` + "`after_digest`" + ` (nothing for a deletion): HMAC-SHA-256 of the resource's canonical JSON (RFC 8785) under a key of the
controller, derived from the master key. All of them are keyed, as any resource may name a person. They serve to compare: an event's first
digest is the last one of the event before it on that resource, or something happened that the log does not have. Not in a digest: whether a
consent has expired by now, what somebody wrote in an objection, the attempts at an export between its events, how far evidence has been
gathered, and what an alert goes on counting. Links are compared between events that name the same people.

## Log-ins

The suite has no sessions: somebody logs in by the first call with a token. At the gateway that is ` + "`access.login`" + ` by ` + "`gateway`" + `; with a token that
is brought to a service directly, by that service. The id is made of the token under the suite's key, so several gateways, or one that starts anew,
count it once. Calls without a good token are ` + "`access.refuse`" + `: one event a minute, reason and process, with how many there were.

## Key use

Every signature is told by the event of what was signed: a certificate by ` + "`erasure.complete`" + `, an export by ` + "`export.complete`" + `, a receipt by
` + "`consent.receipt`" + `, evidence by ` + "`evidence.gather`" + `. The log's key signs checkpoints, which are public themselves. Of kind ` + "`KEY_USE`" + ` are the events in
which keys themselves are concerned.
`

// own is an event that a service leaves without a call.
type own struct{ action, kind, service, when string }

// ownEvents are those of jobs, processes and administrators.
var ownEvents = []own{
	{"access.login", "LOGIN", "gateway, or the service", "a token came for the first time; one event for each of its controllers, one of the suite for `*`"},
	{"access.refuse", "LOGIN", "gateway, or the service", "calls without a good token, counted; of the suite"},
	{"audit.verify", "AUDIT_READ", "audit", "the log was compared with its index; `FAILED` with the first bad index"},
	{"audit.witness", "AUDIT_READ", "audit", "a witness refused a checkpoint"},
	{"erasure.certify", "MODIFY", "erasure", "the certificate had to wait, with the reason"},
	{"erasure.complete", "DELETE", "erasure", "the certificate was issued and the identifiers destroyed"},
	{"erasure.execute", "DELETE", "erasure", "a system was told to erase, with what it did"},
	{"erasure.executed", "MODIFY", "erasure", "all systems have erased"},
	{"erasure.expire", "MODIFY", "erasure", "nobody approved in time"},
	{"erasure.fail", "MODIFY", "erasure", "it cannot be done"},
	{"erasure.overdue", "ADMIN", "erasure", "the answer was due (GDPR art. 12(3))"},
	{"erasure.plan", "MODIFY", "erasure", "the systems were asked and the plan made; or it had to wait"},
	{"erasure.replan", "MODIFY", "erasure", "the plan no longer fits and was made anew"},
	{"erasure.resume", "MODIFY", "erasure", "it goes on after something was left"},
	{"erasure.start", "MODIFY", "erasure", "it begins, under the approved plan"},
	{"erasure.verify", "MODIFY", "erasure", "the systems were asked what is left; the entry that the certificate is tied to"},
	{"evidence.expire", "DELETE", "audit", "a package of evidence was deleted"},
	{"evidence.gather", "AUDIT_READ", "audit", "a package of evidence was made, or could not be"},
	{"export.complete", "EXPORT", "export", "the package is ready"},
	{"export.expire", "DELETE", "export", "the package was deleted"},
	{"export.fail", "EXPORT", "export", "it cannot be done, or not whole"},
	{"export.overdue", "ADMIN", "export", "the answer was due (GDPR art. 12(3))"},
	{"key.destroy", "KEY_USE", "audit", "the key to a person's or a controller's part of the log was destroyed"},
	{"ledger.replay", "DELETE", "audit", "a system had people again who were erased, after a restore"},
	{"log.drop", "DELETE", "audit", "a year of the log is about to be dropped under its retention period; the details are its final checkpoint and its period"},
	{"log.open", "ADMIN", "audit", "the log goes on with the shard of a new year; the details are the final checkpoint of the one before it"},
	{"maintenance.migrate", "ADMIN", "audit", "`privacyops migrate` is about to bring databases up to date"},
	{"maintenance.move", "ADMIN", "audit", "`privacyops move` is about to carry the installation to PostgreSQL"},
	{"rate_limit.storm", "ADMIN", "gateway", "many calls of one caller were refused because they were too many"},
	{"service.start", "ADMIN", "each but the participant", "it starts, with its version and a keyed digest of its settings; of the suite"},
	{"token.issue", "ADMIN", "audit", "`privacyops token` is about to make a token of the development issuer"},
}

// row is a line of the table of calls.
type row struct{ action, kind, service, rpc, who string }

func main() {
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "eventref:", err)
		os.Exit(1)
	}
}

// write writes the whole reference.
func write(w io.Writer) error {
	var b strings.Builder
	b.WriteString(head)
	b.WriteString("\n## Calls\n\n| action | kind | service | call | by |\n|---|---|---|---|---|\n")
	for _, r := range calls() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", r.action, r.kind, r.service, r.rpc, r.who)
	}
	b.WriteString("\n## Without a call\n\n| action | kind | service | when |\n|---|---|---|---|\n")
	for _, e := range ownEvents {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", e.action, e.kind, e.service, e.when)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// calls reads the rules of all methods.
func calls() (rows []row) {
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				m := s.Methods().Get(j)
				rule, ok := proto.GetExtension(m.Options(), authv1.E_Rule).(*authv1.Rule)
				if !ok || rule.GetEvent() == "" {
					continue
				}
				rows = append(rows, row{rule.GetEvent(), rule.GetKind().String(), serviceOf(f), string(s.Name()) + "." + string(m.Name()), who(rule)})
			}
		}
		return true
	})
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(cmp.Compare(a.action, b.action), cmp.Compare(a.rpc, b.rpc)) })
	return rows
}

// serviceOf is the second part of a proto package, privacyops.<service>.v1.
func serviceOf(f protoreflect.FileDescriptor) string {
	parts := strings.Split(string(f.Package()), ".")
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}

func who(rule *authv1.Rule) string {
	var out []string
	for _, r := range rule.GetRoles() {
		out = append(out, strings.ToLower(r.String()))
	}
	for _, s := range rule.GetServices() {
		out = append(out, "the service "+s)
	}
	return strings.Join(out, ", ")
}
