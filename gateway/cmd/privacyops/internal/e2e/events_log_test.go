package e2e

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
)

// suiteEvents reads those that concern no single controller from the log's own files: no method lists them.
func suiteEvents(t *testing.T, w *world) (events []*auditv1.AuditEvent) {
	t.Helper()
	eachLeaf(t, w, func(raw []byte) { events = append(events, suiteEvent(t, raw)...) })
	return events
}

// eachLeaf reads the log's own files, which leaves no trace in it. A bundle may be replaced by a longer one while they are listed, so
// they are read again until there are as many leaves as the checkpoint says that there are.
func eachLeaf(t *testing.T, w *world, f func(raw []byte)) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		covered, leaves := readLeaves(t, w)
		if len(leaves) >= covered {
			for _, raw := range leaves {
				f(raw)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the log's files hold %d leaves, and its checkpoint covers %d", len(leaves), covered)
		}
	}
}

// readLeaves reads the leaves that there are, and how many of them the checkpoint covers.
func readLeaves(t *testing.T, w *world) (covered int, leaves [][]byte) {
	t.Helper()
	must(t, filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
		isEntries := bundlePath.MatchString(path) && !superseded(path)
		if err != nil || entry.IsDir() || !isEntries && entry.Name() != "checkpoint" {
			return nil //nolint:nilerr // what was removed meanwhile is superseded
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		if !isEntries {
			covered, err = strconv.Atoi(strings.Split(string(content), "\n")[1])
			return err
		}
		for len(content) >= 2 {
			n := int(content[0])<<8 + int(content[1]) + 2
			leaves = append(leaves, content[2:n])
			content = content[n:]
		}
		return nil
	}))
	return covered, leaves
}

// bundlePath is that of a bundle, full or partial. A file that has not got its name yet lies beside it, under that name and a random
// number: it may be half there.
var bundlePath = regexp.MustCompile(`/tile/entries/(x[0-9]{3}/)*[0-9]{3}(\.p/[0-9]{1,3})?$`)

// superseded reports whether it is a partial bundle that has a larger or a full one beside it.
func superseded(path string) bool {
	if !strings.Contains(path, ".p/") {
		return false
	}
	dir, width := filepath.Split(path)
	if _, err := os.Stat(strings.TrimSuffix(filepath.Clean(dir), ".p")); err == nil {
		return true
	}
	others, _ := os.ReadDir(dir)
	own, _ := strconv.Atoi(width)
	return slices.ContainsFunc(others, func(o fs.DirEntry) bool { n, err := strconv.Atoi(o.Name()); return err == nil && n > own && n < 256 })
}

// suiteEvent reads a leaf of the log; nothing where it concerns a controller.
func suiteEvent(t *testing.T, raw []byte) []*auditv1.AuditEvent {
	t.Helper()
	var leaf struct {
		ID, Controller, Action, Kind, Outcome, Reason, Resource, Service, TraceParent, BeforeDigest, AfterDigest string

		Actor struct {
			Kind, Ref string
			Roles     []string
		}
	}
	must(t, json.Unmarshal(raw, &leaf))
	if leaf.Controller != "" {
		return nil
	}
	e := &auditv1.AuditEvent{Name: "auditEvents/" + leaf.ID, Action: leaf.Action, Reason: leaf.Reason, Resource: leaf.Resource, Service: leaf.Service,
		BeforeDigest: leaf.BeforeDigest, AfterDigest: leaf.AfterDigest,
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
