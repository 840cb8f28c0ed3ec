package legalbasis_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/privacyops/privacyops/libs/legalbasis"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

const refused = `{"code":9,"message":"Forget.","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RESUME_TOKEN_TOO_OLD","domain":"privacyops"}]}`

// over is a REST in front of a handler.
func over(t *testing.T, h http.HandlerFunc) *legalbasis.REST {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &legalbasis.REST{Base: s.URL, Token: func(context.Context) (string, error) { return "secret", nil }}
}

func TestRESTCheck(t *testing.T) {
	t.Parallel()
	r := over(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		q := &consentv1.CheckLegalBasisRequest{}
		if err := protojson.Unmarshal(body, q); err != nil || q.GetParent() != "" || q.GetSubject().GetValue() != "p1" || r.Method != http.MethodPost ||
			r.URL.String() != "/v1/controllers/a/legalBasis:check" || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("%s %s %s", r.Method, r.URL, body)
		}
		_, _ = io.WriteString(w, `{"decision":"ALLOW","reason":"CONSENT_HOLDS","subjectRefs":["sub_1"],"laterField":{"x":1}}`)
	})
	q := ask("photos", "p1")
	q.Parent = "controllers/a"
	d, err := r.CheckLegalBasis(t.Context(), q)
	if err != nil || d.GetDecision() != consentv1.Decision_ALLOW || d.GetSubjectRefs()[0] != "sub_1" || q.GetParent() == "" {
		t.Errorf("%v %v", d, err)
	}
}

func TestRESTRefusals(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		want   codes.Code
	}{
		"a refusal": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, refused)
		}, codes.FailedPrecondition},
		"somebody else's page": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "<html>")
		}, codes.Unavailable},
		"sent elsewhere": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }, codes.Unavailable},
		"no JSON":        {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "yes") }, codes.Internal},
		"nobody":         {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, codes.Unavailable},
	} {
		r := over(t, tc.answer)
		_, err := r.CheckLegalBasis(t.Context(), ask("photos", "p1"))
		if status.Code(err) != tc.want {
			t.Errorf("%s, check: %v", name, err)
		}
		stream, err := r.WatchLegalBasis(t.Context(), &consentv1.WatchLegalBasisRequest{Parent: "controllers/a"})
		if err == nil {
			_, err = stream.Recv()
		}
		if status.Code(err) != tc.want {
			t.Errorf("%s, watch: %v", name, err)
		}
		if s, _ := status.FromError(err); tc.want == codes.FailedPrecondition && (len(s.Details()) != 1 || s.Details()[0].(*errdetails.ErrorInfo).GetReason() != "RESUME_TOKEN_TOO_OLD") {
			t.Errorf("%s: details %v", name, s.Details())
		}
	}
	gone := &legalbasis.REST{Base: "http://127.0.0.1:1"}
	if _, err := gone.CheckLegalBasis(t.Context(), ask("photos", "p1")); status.Code(err) != codes.Unavailable {
		t.Errorf("nobody listens: %v", err)
	}
	none := &legalbasis.REST{Base: "http://127.0.0.1:1", Token: func(context.Context) (string, error) { return "", io.ErrNoProgress }}
	if _, err := none.CheckLegalBasis(t.Context(), ask("photos", "p1")); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("no token: %v", err)
	}
}

// A watch gives a message for each line; an error comes as the last line, and an end without one is an end.
func TestRESTWatch(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		last string
		want codes.Code
	}{"error": {refused, codes.FailedPrecondition}, "end": {"", codes.OK}, "half a line": {`{"resumeTok`, codes.Internal}} {
		r := over(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/v1/controllers/a/legalBasis:watch" || r.URL.Query().Get("resumeToken") != "x+/=" || len(r.URL.Query()) != 1 {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			_, _ = io.WriteString(w, `{"resumeToken":"1","kind":"CONSENT_WITHDRAWN","subjectRefs":["sub_1"],"changeTime":"2026-03-02T12:00:00Z"}`+"\n")
			_, _ = io.WriteString(w, `{"resumeToken":"2","kind":"A_LATER_KIND","activity":"photos"}`+"\n")
			_, _ = io.WriteString(w, `{"resumeToken":"2","kind":"KIND_UNSPECIFIED","changeTime":"2026-03-02T12:00:00Z","activity":""}`+"\n"+tc.last)
		})
		stream, err := r.WatchLegalBasis(t.Context(), &consentv1.WatchLegalBasisRequest{Parent: "controllers/a", ResumeToken: "x+/="})
		if err != nil {
			t.Fatal(err)
		}
		if m, err := stream.Recv(); err != nil || m.GetKind() != consentv1.LegalBasisChange_CONSENT_WITHDRAWN || m.GetSubjectRefs()[0] != "sub_1" {
			t.Errorf("%s: %v %v", name, m, err)
		}
		if m, err := stream.Recv(); err != nil || m.GetKind() == 0 || m.GetActivity() != "photos" {
			t.Errorf("%s: a kind that is not known: %v %v", name, m, err)
		}
		if m, err := stream.Recv(); err != nil || m.GetKind() != 0 {
			t.Errorf("%s: up to date: %v %v", name, m, err)
		}
		_, err = stream.Recv()
		if name == "end" && !errors.Is(err, io.EOF) || name != "end" && status.Code(err) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
