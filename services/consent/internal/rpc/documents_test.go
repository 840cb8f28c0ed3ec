package rpc_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/httpbody"

	"github.com/privacyops/privacyops/libs/fault"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typepb "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

// What a request leaves out is the controller's language, the person themselves, the controller's record, and Markdown.
func TestDocumentsByDefault(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.clock.Advance(11*time.Hour + 30*time.Minute) // half past eleven in UTC is the next day in Copenhagen
	body := must[*httpbody.HttpBody](t)
	for action, doc := range map[string]*httpbody.HttpBody{
		"notice.get":                  body(s.Documents.GetNotice(t.Context(), &pb.GetNoticeRequest{Parent: "controllers/a"})),
		"record_of_processing.get":    body(s.Documents.GetRecordOfProcessing(t.Context(), &pb.GetRecordOfProcessingRequest{Parent: "controllers/a"})),
		"impact_assessment_input.get": body(s.Documents.GetImpactAssessmentInput(t.Context(), &pb.GetImpactAssessmentInputRequest{Parent: "controllers/a"})),
	} {
		want := map[string]string{"notice.get": "# Sådan bruger School oplysninger om dig\n", "record_of_processing.get": "# Fortegnelse over behandlingsaktiviteter: School\n",
			"impact_assessment_input.get": "# Grundlag for konsekvensanalyse: School\n"}[action]
		if doc.GetContentType() != "text/markdown; charset=utf-8" || !strings.HasPrefix(string(doc.GetData()), want) {
			t.Errorf("%s is %s and begins %.80q", action, doc.GetContentType(), doc.GetData())
		}
		if !strings.Contains(string(doc.GetData()), "3. marts 2026") {
			t.Errorf("%s is of another day", action)
		}
		if e := s.lastEvent(action); e.GetResource() != "controllers/a" {
			t.Errorf("%s is recorded about %q", action, e.GetResource())
		}
	}
}

// A record tells of every version: who made it and when. A notice leaves out what has ended.
func TestDocumentsOfAnEndedActivity(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.activity("a", "club", typepb.LegalBasis_CONTRACT)
	must[*pb.Activity](t)(s.Register.ArchiveActivity(t.Context(), &pb.ArchiveActivityRequest{Name: "controllers/a/activities/club"}))
	record := must[*httpbody.HttpBody](t)(s.Documents.GetRecordOfProcessing(t.Context(), &pb.GetRecordOfProcessingRequest{Parent: "controllers/a"}))
	notice := must[*httpbody.HttpBody](t)(s.Documents.GetNotice(t.Context(), &pb.GetNoticeRequest{Parent: "controllers/a", Language: "en"}))
	if text := string(record.GetData()); !strings.Contains(text, "### club (afsluttet)") || !strings.Contains(text, "  - 1: 2026-03-02T12:00:00Z usr") || !strings.Contains(text, "  - 2: 2026-03-02T12:00:00Z usr") {
		t.Errorf("the record:\n%s", text)
	}
	if strings.Contains(string(notice.GetData()), "agreement with you") {
		t.Errorf("the notice speaks of what has ended:\n%s", notice.GetData())
	}
}

func TestDocumentsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := ready(t)
	refused[*httpbody.HttpBody](t, fault.NotFound, "NOT_FOUND")(s.Documents.GetNotice(t.Context(), &pb.GetNoticeRequest{Parent: "controllers/b"}))
	refused[*httpbody.HttpBody](t, fault.Invalid, "INVALID_ARGUMENT")(s.Documents.GetNotice(t.Context(), &pb.GetNoticeRequest{Parent: "controllers/a", Format: "csv"}))
	refused[*httpbody.HttpBody](t, fault.Invalid, "INVALID_ARGUMENT")(s.Documents.GetRecordOfProcessing(t.Context(), &pb.GetRecordOfProcessingRequest{Parent: "controllers/a", Format: "html"}))
	refused[*httpbody.HttpBody](t, fault.Invalid, "INVALID_ARGUMENT")(s.Documents.GetImpactAssessmentInput(t.Context(), &pb.GetImpactAssessmentInputRequest{Parent: "controllers/a", Language: "de"}))
}
