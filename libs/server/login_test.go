package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/server"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// doorEvents gives the events of log-ins and refusals that wait, and those alone, with what is to be known of each.
func (s *suite) doorEvents() (brief []string, ids []string) {
	s.tb.Helper()
	var in ingest
	if err := s.outbox.Flush(context.Background(), &in); err != nil {
		s.tb.Fatal(err)
	}
	for _, e := range in.events {
		if e.GetKind() != authv1.Rule_LOGIN {
			continue
		}
		if text := e.String(); strings.Contains(text, "anna") || e.GetService() != "consent" || len(e.GetSubjectRefs()) != 0 {
			s.tb.Errorf("an event at the door: %v", e)
		}
		if e.GetActor().GetKind() == auditv1.Actor_CALLER && e.GetActor().GetRef() == "" {
			s.tb.Errorf("nobody logs in: %v", e)
		}
		brief = append(brief, fmt.Sprintf("%s %q %s %v %s %s %s", e.GetAction(), e.GetController(), e.GetActor().GetKind(), e.GetActor().GetRoles(), e.GetOutcome(), e.GetReason(),
			e.GetDetail()["count"]))
		ids = append(ids, e.GetId())
	}
	slices.Sort(brief)
	return brief, ids
}

// get asks for a controller with a token, as a service.
func (s *suite) get(service, token string) error {
	s.tb.Helper()
	ctx := s.tb.Context()
	if token != "" {
		ctx = as(ctx, token)
	}
	_, err := consentv1.NewRegisterClient(s.dial(service)).GetController(ctx, &consentv1.GetControllerRequest{Name: "controllers/north"})
	return err
}

// TestLogIns: whoever comes to a service itself logs in there with the first call, once, in the log of each controller of the token, or
// in the suite's; who comes through the gateway has logged in there. After a new start the event has the same id.
func TestLogIns(t *testing.T) {
	t.Parallel()
	s := start(t, &handlers{}, nil)
	now := time.Now()
	both, err := s.issuer.Token(access.Claims{Subject: secret, Roles: []string{"dpo", "auditor"}, Controllers: []string{"north", "south"}, Issued: now, Expires: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.get("gateway", both); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.doorEvents(); len(got) != 0 {
		t.Errorf("through the gateway: %v", got)
	}
	if err := s.get("export", both); err != nil {
		t.Fatal(err)
	}
	got, ids := s.doorEvents()
	if want := []string{`access.login "north" CALLER [DPO AUDITOR] OK  `, `access.login "south" CALLER [DPO AUDITOR] OK  `}; !slices.Equal(got, want) {
		t.Errorf("log-ins\n%q, want\n%q", got, want)
	}
	for _, controller := range []string{"north", "south"} {
		if !slices.Contains(ids, s.cfg.Verifier.LoginID(both, "consent", controller)) {
			t.Errorf("the log-in at %s has another id: %v", controller, ids)
		}
	}
	for range 3 {
		if err := s.get("export", both); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := s.doorEvents(); len(got) != 0 {
		t.Errorf("whoever has logged in logs in again: %q", got)
	}
	if err := s.get("export", s.token("operator", "*")); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.doorEvents(); !slices.Equal(got, []string{`access.login "" CALLER [OPERATOR] OK  `}) {
		t.Errorf("with a token for all: %q", got)
	}
	if err := s.get("export", s.token("dpo", "south")); status.Code(err) != codes.NotFound {
		t.Error(err)
	}
	if got, _ := s.doorEvents(); !slices.Equal(got, []string{`access.login "south" CALLER [DPO] OK  `}) {
		t.Errorf("a log-in that then reaches nothing: %q", got)
	}
}

// TestTurnedAway: calls without a good token are told of once a minute and reason, with how many there were; not those that came through
// the gateway, which tells of them itself, and not those to what is public.
func TestTurnedAway(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(time.Now())
	s := start(t, &handlers{}, func(cfg *server.Config) { cfg.Clock = c })
	bad := func(service string, times int) {
		t.Helper()
		for range times {
			if err := s.get(service, "x.y.z"); status.Code(err) != codes.Unauthenticated {
				t.Error(err)
			}
		}
	}
	told := func(want ...string) {
		t.Helper()
		if got, _ := s.doorEvents(); !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	bad("gateway", 2)
	if _, err := auditv1.NewAuditLogClient(s.dial("export")).GetCheckpoint(as(t.Context(), "x.y.z"), &auditv1.GetCheckpointRequest{}); err != nil {
		t.Error(err)
	}
	told()
	bad("export", 5)
	told(`access.refuse "" ANONYMOUS [] DENIED TOKEN_INVALID 1`)
	c.Advance(time.Minute - 1)
	bad("export", 2)
	told()
	c.Advance(1)
	bad("export", 1)
	told(`access.refuse "" ANONYMOUS [] DENIED TOKEN_INVALID 7`)
}
