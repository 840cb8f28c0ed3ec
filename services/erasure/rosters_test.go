package erasure_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/fault"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
)

// extract writes a roster of a day.
func extract(day int, users ...string) string {
	var w strings.Builder
	fmt.Fprintf(&w, `<?xml version="1.0" encoding="UTF-8"?><s:UNILoginExportSmall xmlns:s="https://brugerdatabasen.stil.dk/bpi/wsieksport/7/small" `+
		`xmlns:c="https://brugerdatabasen.stil.dk/bpi/wsieksport/7/common" exportDateTime="2026-02-%02dT04:12:00+01:00" accessLevel="small">`+
		`<c:ImportSource source="ADM" sourceDateTime="2026-02-01T22:00:00+01:00" schoolYear="2025-2026"/>`+
		`<s:Institution><c:InstitutionNumber>A0A001</c:InstitutionNumber><c:InstitutionName>Testskolen</c:InstitutionName>`, day)
	for _, u := range users {
		fmt.Fprintf(&w, `<s:InstitutionPerson source="ADM"><s:Person><c:UserId>%s</c:UserId></s:Person><s:Student><c:Role>Elev</c:Role></s:Student></s:InstitutionPerson>`+"\n", u)
	}
	w.WriteString(`</s:Institution></s:UNILoginExportSmall>`)
	return w.String()
}

func (s *suite) send(ctx context.Context, header *erasurev1.ImportRosterHeader, file string) (*erasurev1.Roster, error) {
	s.t.Helper()
	stream, err := s.rosters.ImportRoster(ctx)
	check(s.t, err)
	parts := []*erasurev1.ImportRosterRequest{{Part: &erasurev1.ImportRosterRequest_Header{Header: header}}}
	for ; file != ""; file = file[min(len(file), 100):] { // in small pieces, in the middle of elements
		parts = append(parts, &erasurev1.ImportRosterRequest{Part: &erasurev1.ImportRosterRequest_Chunk{Chunk: []byte(file[:min(len(file), 100)])}})
	}
	for _, p := range parts {
		if err := stream.Send(p); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	return stream.CloseAndRecv()
}

func (s *suite) imported(file string) *erasurev1.Roster {
	s.t.Helper()
	r, err := s.send(s.platform(), header(), file)
	check(s.t, err)
	return r
}

func header() *erasurev1.ImportRosterHeader {
	return &erasurev1.ImportRosterHeader{Parent: "controllers/north", Format: erasurev1.Roster_UNILOGIN_WSIEKSPORT}
}

func wantRoster(t *testing.T, r *erasurev1.Roster, state erasurev1.Roster_State, held string, counts ...int64) {
	t.Helper()
	got := []int64{r.GetPresent(), r.GetArrived(), r.GetLeft(), r.GetReturned()}
	if diff := cmp.Diff(counts, got); diff != "" || r.GetState() != state || r.GetHeldReason() != held {
		t.Errorf("the extract is %s (%q), counts (-want +got):\n%s", r.GetState(), r.GetHeldReason(), diff)
	}
}

// TestRosters takes in what a roster service sends on good and on bad days. What is held changes nothing until a person confirms it.
func TestRosters(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	everybody := []string{pupil, "bo", "ib", "ea"}
	wantRoster(t, s.imported(extract(1, everybody...)), erasurev1.Roster_APPLIED, "", 4, 4, 0, 0)
	full := extract(2, everybody...)
	truncated := s.imported(full[:len(full)*2/3])
	wantRoster(t, truncated, erasurev1.Roster_HELD, "TRUNCATED", 4, 0, 0, 0)
	empty := s.imported(extract(3))
	wantRoster(t, empty, erasurev1.Roster_HELD, "EMPTY", 0, 0, 4, 0)
	half := s.imported(extract(4, "bo", "ib"))
	wantRoster(t, half, erasurev1.Roster_HELD, "MUCH_SMALLER", 2, 0, 2, 0)
	wantRoster(t, s.imported(extract(5, everybody...)), erasurev1.Roster_APPLIED, "", 4, 0, 0, 0) // nothing had changed

	_, err := s.rosters.ConfirmRoster(s.dpo(), &erasurev1.ConfirmRosterRequest{Name: half.GetName()})
	wantFault(t, err, fault.Precondition, "ROSTER_OVERTAKEN")
	_, err = s.rosters.ConfirmRoster(s.dpo(), &erasurev1.ConfirmRosterRequest{Name: truncated.GetName()})
	wantFault(t, err, fault.Precondition, "ROSTER_NOT_CONFIRMABLE")
	for range 2 {
		got, err := s.rosters.DiscardRoster(s.dpo(), &erasurev1.DiscardRosterRequest{Name: empty.GetName()})
		if err != nil || got.GetState() != erasurev1.Roster_DISCARDED {
			t.Errorf("discarded: %v, %v", got, err)
		}
	}
	_, err = s.rosters.ConfirmRoster(s.dpo(), &erasurev1.ConfirmRosterRequest{Name: empty.GetName()})
	wantFault(t, err, fault.Precondition, "ROSTER_SETTLED")

	half = s.imported(extract(6, "bo", "ib"))
	for range 2 {
		got, err := s.rosters.ConfirmRoster(s.dpo(), &erasurev1.ConfirmRosterRequest{Name: half.GetName()})
		check(t, err)
		wantRoster(t, got, erasurev1.Roster_APPLIED, "MUCH_SMALLER", 2, 0, 2, 0)
	}
	got, err := s.rosters.GetRoster(s.platform(), &erasurev1.GetRosterRequest{Name: half.GetName()})
	check(t, err)
	wantRoster(t, got, erasurev1.Roster_APPLIED, "MUCH_SMALLER", 2, 0, 2, 0)
	wantRoster(t, s.imported(extract(7, "bo", "ib", "ea")), erasurev1.Roster_APPLIED, "", 3, 0, 0, 1)

	counts := s.tally()
	for key, want := range map[string]int{"roster.import OK": 7, "roster.confirm OK": 2, "roster.discard OK": 2, "roster.get OK": 1,
		"roster.confirm INVALID ROSTER_OVERTAKEN": 1, "roster.confirm INVALID ROSTER_NOT_CONFIRMABLE": 1, "roster.confirm INVALID ROSTER_SETTLED": 1} {
		if counts[key] != want {
			t.Errorf("%d events %q, want %d", counts[key], key, want)
		}
	}
	s.leaks()
}

func TestRostersThatAreRefused(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	other := header()
	other.Format = erasurev1.Roster_ONEROSTER_CSV
	_, err := s.send(s.platform(), other, extract(1, pupil))
	wantFault(t, err, fault.Invalid, "INVALID_ARGUMENT")
	for name, file := range map[string]string{"no XML": "user;" + pupil, "another document": "<a>" + pupil + "</a>", "entities": `<!DOCTYPE a [<!ENTITY x "y">]><a/>`} {
		_, err = s.send(s.platform(), header(), file)
		if err == nil {
			t.Errorf("%s is taken in", name)
		}
		wantFault(t, err, fault.Invalid, "ROSTER_INVALID")
	}
	_, err = s.send(s.dpo(), header(), extract(1, pupil))
	wantFault(t, err, fault.Denied, "ROLE_REQUIRED")
	_, err = s.send(s.as("eve", "platform", "south"), header(), extract(1, pupil))
	wantFault(t, err, fault.NotFound, "NOT_FOUND")
	held := s.imported(extract(2))
	for _, ctx := range []context.Context{s.as("eve", "dpo", "south")} {
		_, get := s.rosters.GetRoster(ctx, &erasurev1.GetRosterRequest{Name: held.GetName()})
		_, confirm := s.rosters.ConfirmRoster(ctx, &erasurev1.ConfirmRosterRequest{Name: held.GetName()})
		_, discard := s.rosters.DiscardRoster(ctx, &erasurev1.DiscardRosterRequest{Name: held.GetName()})
		for _, err := range []error{get, confirm, discard} {
			wantFault(t, err, fault.NotFound, "NOT_FOUND")
		}
	}
	s.tally()
	s.leaks()
}

func TestTheSameRosterTwice(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	h := header()
	h.RequestId = "6f0d1dfc-54c3-4f0c-8b5b-2f7d7a7c0002"
	one, err := s.send(s.platform(), h, extract(1, pupil))
	check(t, err)
	two, err := s.send(s.platform(), h, extract(1, pupil))
	if err != nil || one.GetName() != two.GetName() {
		t.Errorf("the same key gives %s and %s, %v", one.GetName(), two.GetName(), err)
	}
	_, err = s.send(s.platform(), h, extract(1, pupil, "bo"))
	wantFault(t, err, fault.Exists, "IDEMPOTENCY_KEY_REUSED")
}
