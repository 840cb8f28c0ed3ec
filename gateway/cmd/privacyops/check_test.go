package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"google.golang.org/protobuf/encoding/protojson"

	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

const denial = `{"decision":"DENY","reason":"CONSENT_WITHDRAWN","decisionId":"id-1","explanation":{"da":"Trukket tilbage.","en":"Withdrawn."},"laterField":1}`

// fakeSuite answers checks, and remembers what was asked.
func fakeSuite(t *testing.T, status int, answer string) (url string, asked *consentv1.CheckLegalBasisRequest) {
	t.Helper()
	asked = &consentv1.CheckLegalBasisRequest{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := protojson.Unmarshal(body, asked); err != nil || r.Method+" "+r.URL.String() != "POST /v1/controllers/skole-1/legalBasis:check" || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("asked %s %s %v: %v", r.Method, r.URL, r.Header, err)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

// checking is the command as a command line makes it.
func checking(t *testing.T, args ...string) *checkCommand {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &checkCommand{}
	parser, err := kong.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"--token-file", token, "--controller", "skole-1", "--activity", "photos", "--subject-type", "UNILOGIN"}, args...)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCheckAsksWhatItIsTold(t *testing.T) {
	t.Parallel()
	url, asked := fakeSuite(t, http.StatusOK, `{"decision":"ALLOW","reason":"LEGAL_BASIS_HOLDS","signature":"a.b.c"}`)
	c := checking(t, "--url", url+"/", "--recipient", "printer", "--data-category", "image", "--data-category", "name", "--location", "DK",
		"--as-of", "2026-03-02T12:00:00Z", "--signed")
	var out strings.Builder
	d, err := c.ask(t.Context(), strings.NewReader("u000007\r\n"), &out)
	if err != nil || d.GetDecision() != consentv1.Decision_ALLOW || out.String() != "ALLOW LEGAL_BASIS_HOLDS\nsignature a.b.c\n" {
		t.Fatalf("%v %v: %s", d, err, out.String())
	}
	if asked.GetSubject().GetType() != typev1.Subject_UNILOGIN || asked.GetSubject().GetValue() != "u000007" || asked.GetActivity() != "photos" || asked.GetRecipient() != "printer" ||
		strings.Join(asked.GetDataCategories(), " ") != "image name" || asked.GetLocation() != "DK" || !asked.GetSigned() ||
		!asked.GetAsOf().AsTime().Equal(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("asked %v", asked)
	}
}

func TestCheckTells(t *testing.T) {
	t.Parallel()
	url, asked := fakeSuite(t, http.StatusOK, denial)
	subject := filepath.Join(t.TempDir(), "subject")
	if err := os.WriteFile(subject, []byte("u000008"), 0o600); err != nil {
		t.Fatal(err)
	}
	for language, words := range map[string]string{"en": "Withdrawn.", "da": "Trukket tilbage."} {
		var out strings.Builder
		c := checking(t, "--url", url, "--language", language, "--subject-file", subject)
		if _, err := c.ask(t.Context(), nil, &out); err != nil || out.String() != "DENY CONSENT_WITHDRAWN\n"+words+"\ndecision id-1\n" {
			t.Errorf("%s: %v %s", language, err, out.String())
		}
		if asked.GetSubject().GetValue() != "u000008" || asked.GetAsOf() != nil {
			t.Errorf("asked %v", asked)
		}
	}
	var out strings.Builder
	if _, err := checking(t, "--url", url, "--json").ask(t.Context(), strings.NewReader("u1"), &out); err != nil {
		t.Fatal(err)
	}
	var whole struct{ Decision, DecisionID string }
	if err := json.Unmarshal([]byte(out.String()), &whole); err != nil || whole.Decision != "DENY" || !strings.Contains(out.String(), "laterField") {
		t.Errorf("%v: %s", err, out.String())
	}
	// A denial is an exit code of its own.
	var code exitError
	if err := checking(t, "--url", url, "--subject-file", subject).Run(t.Context()); !errors.As(err, &code) || code != exitDenied {
		t.Errorf("exit %v", err)
	}
}

// Without an answer there is an error, which does not repeat the identifier, and nothing is written that could be read as one.
func TestCheckWithoutAnswer(t *testing.T) {
	t.Parallel()
	const person = "u000007"
	refusal := `{"code":7,"message":"Not with this role.","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"ROLE_REQUIRED","domain":"privacyops"}]}`
	for name, tc := range map[string]struct {
		status       int
		answer, in   string
		args         []string
		want         string
		notEvenAsked bool
	}{
		"refused":           {status: 403, answer: refusal, want: "ROLE_REQUIRED"},
		"another program":   {status: 200, answer: "<html>", want: "not the suite"},
		"an empty answer":   {status: 200, answer: "{}", want: "not the suite"},
		"sent elsewhere":    {status: 307, answer: "", want: "not the suite"},
		"no identifier":     {status: 200, answer: denial, in: "\n", want: "no identifier", notEvenAsked: true},
		"two identifiers":   {status: 200, answer: denial, in: person + "\nu000008\n", want: "one line", notEvenAsked: true},
		"a long one":        {status: 200, answer: denial, in: strings.Repeat("x", 2000), want: "one line", notEvenAsked: true},
		"a type of nothing": {status: 200, answer: denial, args: []string{"--subject-type", "NAME"}, want: "UNILOGIN", notEvenAsked: true},
		"no controller":     {status: 200, answer: denial, args: []string{"--controller", "../x"}, want: "--controller", notEvenAsked: true},
		"no file":           {status: 200, answer: denial, args: []string{"--subject-file", "/nowhere"}, want: "cannot be read", notEvenAsked: true},
	} {
		url, asked := fakeSuite(t, tc.status, tc.answer)
		if tc.in == "" {
			tc.in = person
		}
		var out strings.Builder
		d, err := checking(t, append([]string{"--url", url}, tc.args...)...).ask(t.Context(), strings.NewReader(tc.in), &out)
		if err == nil || d != nil || out.Len() > 0 || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), person) {
			t.Errorf("%s: %v, %v, %q", name, d, err, out.String())
		}
		if tc.notEvenAsked != (asked.GetActivity() == "") {
			t.Errorf("%s: asked %v", name, asked)
		}
	}
}

// The identifier has no flag that takes it.
func TestNoArgumentForIdentifiers(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&checkCommand{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range parser.Model.Flags {
		if strings.HasPrefix(f.Name, "subject") && f.Name != "subject-type" && f.Name != "subject-file" {
			t.Errorf("--%s takes an identifier?", f.Name)
		}
	}
	if len(parser.Model.Positional) > 0 {
		t.Error("there are positional arguments")
	}
}
