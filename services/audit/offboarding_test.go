package audit_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
)

// TestOffBoarding destroys a controller's key: nobody in its part of the log can be read, and another controller's is as before.
func TestOffBoarding(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	conn := s.as(t, "erasure")
	for _, c := range []string{"school-a", "school-b"} {
		if _, err := auditv1.NewAuditIngestClient(conn).AppendAuditEvents(context.Background(), &auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{report(c, "erasure")}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []bool{true, false} {
		resp, err := auditv1.NewAuditKeysClient(conn).DestroyControllerKey(context.Background(), &auditv1.DestroyControllerKeyRequest{
			Parent: "controllers/school-a", Termination: "controllers/school-a/termination"})
		if err != nil || resp.GetDestroyed() != want {
			t.Fatalf("destroyed: %t, want %t (%v)", resp.GetDestroyed(), want, err)
		}
	}
	for c, want := range map[string]bool{"school-a": true, "school-b": false} {
		resp, err := auditv1.NewAuditLogClient(s.as(t, "gateway")).SearchAuditEvents(s.token(t, "ane", "dpo", c),
			&auditv1.SearchAuditEventsRequest{Parent: "controllers/" + c, Filter: `action = "erasure.approve"`})
		if err != nil || len(resp.GetEvents()) != 1 || resp.GetEvents()[0].GetErased() != want || (resp.GetEvents()[0].GetResource() == "") != want {
			t.Errorf("%s: %v, %v", c, resp.GetEvents(), err)
		}
	}
	_, err := auditv1.NewAuditKeysClient(conn).DestroySubjectKeys(context.Background(), &auditv1.DestroySubjectKeysRequest{Parent: "controllers/school-b",
		SubjectRefs: []string{"sub_1"}, Erasure: "controllers/school-a/erasures/" + newID()})
	if err == nil {
		t.Error("one controller's erasure destroys another one's keys")
	}
}

// TestKeeping replaces a controller's key and then ends its part of the log, with the service as a process of its own. After the one all is
// read as before, and after the other nothing is, while another controller's is; in files and memory there is nothing of the old keys.
func TestKeeping(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		address := ""
		if engine == sqldb.Postgres {
			address = enginetest.URL(t, engine)
		}
		s := newSchool(t, 100, keys.KeyTime, address)
		s.other(t)
		s.rotates(t)
		s.ends(t)
	})
}

// other is another school, which goes on.
func (s *school) other(t *testing.T) {
	t.Helper()
	if _, err := auditv1.NewAuditIngestClient(s.as(t, "erasure")).AppendAuditEvents(context.Background(),
		&auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{report("school-b", "erasure")}}); err != nil {
		t.Fatal(err)
	}
}

// keeping calls as an operator.
func (s *school) keeping(t *testing.T, operator string) (auditv1.AuditKeepingClient, context.Context) {
	t.Helper()
	return auditv1.NewAuditKeepingClient(s.as(t, "gateway")), s.token(t, operator, "operator", "school-a", "school-b", "school-c")
}

func (s *school) rotates(t *testing.T) {
	t.Helper()
	client, ctx := s.keeping(t, "ole")
	for controller, want := range map[string]int32{"school-a": int32(s.crowd), "school-c": 0} {
		resp, err := client.RotateControllerKey(ctx, &auditv1.RotateControllerKeyRequest{Parent: "controllers/" + controller})
		if err != nil || resp.GetRewrapped() != want {
			t.Fatalf("%s: %d keys are wrapped anew (%v), want %d", controller, resp.GetRewrapped(), err, want)
		}
	}
	old := newNeedles()
	for n, now := range s.storedKeys(t) {
		if at := slices.IndexFunc(s.keys, func(k storedKey) bool { return bytes.Equal(k.secret, now.secret) }); at < 0 {
			t.Errorf("%s has another key", n)
		} else if bytes.Equal(s.keys[at].wrapped, now.wrapped) {
			t.Errorf("%s has a key that is wrapped as before", n)
		}
	}
	for n, key := range s.keys {
		old.add("wrapped key", n, key.wrapped)
		old.add("ciphertext of a wrapped key", n, key.wrapped[40:72])
	}
	s.everybody(t)
	time.Sleep(forgotten)
	s.nothingLeft(t, "files after the key was replaced", old.in(s.files(t)...))
	s.memoryForgets(t, "memory after the key was replaced", old)
}

// forgotten is after how long the service has overwritten what the engine remembers.
const forgotten = 8 * time.Second

func (s *school) ends(t *testing.T) {
	t.Helper()
	s.erased = s.crowd
	stored := s.storedKeys(t)
	for n := range s.keys {
		s.keys[n] = stored[refOf(n)]
	}
	wanted := s.secrets(t)
	name := "controllers/school-a/termination"
	for i, step := range []struct {
		operator  string
		approvals int32
		state     auditv1.Termination_State
	}{
		{"ole", 1, auditv1.Termination_AWAITING_APPROVAL}, {"ole", 1, auditv1.Termination_AWAITING_APPROVAL}, {"pia", 2, auditv1.Termination_DESTROYED},
		{"pia", 1, auditv1.Termination_AWAITING_APPROVAL}, {"ole", 2, auditv1.Termination_DESTROYED}, // again: there is nothing to destroy
	} {
		client, ctx := s.keeping(t, step.operator)
		got, err := client.ApproveTermination(ctx, &auditv1.ApproveTerminationRequest{Name: name})
		if err != nil || got.GetApprovals() != step.approvals || got.GetState() != step.state || got.GetRequiredApprovals() != 2 {
			t.Fatalf("step %d: %v, %v", i, got, err)
		}
		if i < 2 && len(s.storedKeys(t)) != s.crowd {
			t.Fatal("one operator is enough")
		}
	}
	if got := wanted.in(s.dump(t)...); got.count("key") > 0 || got.count("key of an entry") > 0 {
		t.Errorf("right after the end %d keys are in memory", got.count("key"))
	}
	time.Sleep(forgotten)
	s.nothingLeft(t, "files after the end", wanted.in(s.files(t)...))
	s.memoryForgets(t, "memory after the end", wanted)
	s.endIsLogged(t)
}

// endIsLogged reads both schools' entries: an approval is told of before keys are destroyed, and these once.
func (s *school) endIsLogged(t *testing.T) {
	t.Helper()
	log := auditv1.NewAuditLogClient(s.as(t, "gateway"))
	of := func(controller, filter string) []*auditv1.AuditEvent {
		resp, err := log.SearchAuditEvents(s.token(t, "ane", "dpo", controller), &auditv1.SearchAuditEventsRequest{Parent: "controllers/" + controller,
			Filter: filter, PageSize: 200})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetEvents()
	}
	for controller, want := range map[string]bool{"school-a": true, "school-b": false} {
		events := of(controller, `action = "erasure.approve"`)
		for _, e := range events {
			if e.GetErased() != want || (len(e.GetDetail()) == 0) != want {
				t.Errorf("%s: %v", controller, e)
			}
		}
		if len(events) == 0 {
			t.Errorf("%s has no entries", controller)
		}
	}
	approved, destroyed := of("school-a", `action = "termination.approve"`), of("school-a", `action = "key.destroy"`)
	if len(approved) != 5 || len(destroyed) != 1 || destroyed[0].GetDetail()["scope"] != "CONTROLLER" ||
		!approved[2].GetOccurTime().AsTime().Before(destroyed[0].GetOccurTime().AsTime()) {
		t.Errorf("%d approvals, %d destructions: %v", len(approved), len(destroyed), destroyed)
	}
	if rotated := of("school-a", `action = "key.rotate"`); len(rotated) != 1 || rotated[0].GetActor().GetRoles()[0] != authv1.Rule_OPERATOR {
		t.Errorf("rotations: %v", rotated)
	}
	client := auditv1.NewAuditKeepingClient(s.as(t, "gateway"))
	if _, err := client.ApproveTermination(s.token(t, "ane", "dpo", "school-b"), &auditv1.ApproveTerminationRequest{Name: "controllers/school-b/termination"}); code(err) != codes.PermissionDenied {
		t.Errorf("no operator: %v", err)
	}
}
