package e2e

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/privacyops/privacyops/libs/legalbasis"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// following is a running watch of the school's changes over REST.
type following struct {
	t     *testing.T
	lines *bufio.Scanner
	stop  context.CancelFunc
}

func follow(c *client, token string) *following {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	c.t.Cleanup(cancel)
	path := school + "/legalBasis:watch"
	if token != "" {
		path += "?" + url.Values{"resumeToken": {token}}.Encode()
	}
	resp, err := c.Do(ctx, http.MethodGet, path, "", nil)
	must(c.t, err)
	c.t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/x-ndjson" {
		c.t.Fatalf("watch: %s, %s", resp.Status, resp.Header.Get("Content-Type"))
	}
	return &following{c.t, bufio.NewScanner(resp.Body), cancel}
}

func (f *following) next() *consentv1.LegalBasisChange {
	f.t.Helper()
	m := &consentv1.LegalBasisChange{}
	if !f.lines.Scan() {
		f.t.Fatalf("the watch has ended: %v", f.lines.Err())
	}
	must(f.t, protojson.Unmarshal(f.lines.Bytes(), m))
	return m
}

// changes reads what has happened, until the watch is up to date.
func (f *following) changes() (all []*consentv1.LegalBasisChange) {
	f.t.Helper()
	for m := f.next(); m.GetKind() != consentv1.LegalBasisChange_KIND_UNSPECIFIED; m = f.next() {
		all = append(all, m)
	}
	return all
}

// agreed gives or withdraws consent to photos.
func (c *client) agreed(p sample.Person, yes bool) *consentv1.Consent {
	c.t.Helper()
	out := &consentv1.Consent{}
	if yes {
		c.post(school+"/consents", &consentv1.GiveConsentRequest{Subject: uniLogin(p), Activity: "photo-sharing",
			GivenBy: &consentv1.GivenBy{Capacity: consentv1.GivenBy_GUARDIAN}}, out)
	} else {
		c.post(school+"/consents:withdraw", &consentv1.WithdrawConsentOfRequest{Subject: uniLogin(p), Activity: "photo-sharing"}, out)
	}
	return out
}

// TestWatchOfChanges follows a school over REST: a withdrawal is told within a second, and a watch that broke goes on without loss.
func TestWatchOfChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	partner, platform, p := w.as("partner"), w.as("platform"), sample.Pupil()
	given := platform.agreed(p, true)
	f := follow(partner, "")
	if before := f.changes(); len(before) > 0 {
		t.Errorf("a watch from now on begins with %v", before)
	}
	withdrawn := platform.agreed(p, false)
	acknowledged := time.Now()
	m := f.next()
	if late := time.Since(acknowledged); late > time.Second {
		t.Errorf("the withdrawal was told %v after it was acknowledged", late)
	}
	d := partner.check(p, "photo-sharing", m.GetResumeToken())
	decided(t, d, consentv1.Decision_CONSENT_WITHDRAWN)
	if m.GetKind() != consentv1.LegalBasisChange_CONSENT_WITHDRAWN || m.GetActivity() != "photo-sharing" || !slices.Equal(m.GetSubjectRefs(), d.GetSubjectRefs()) ||
		!slices.Equal(m.GetConsents(), []string{strings.TrimPrefix(given.GetName(), "controllers/"+sample.Controller+"/consents/")}) ||
		m.GetResumeToken() != withdrawn.GetConsistencyToken() {
		t.Errorf("told %v, decided %v", m, d)
	}
	f.stop()
	platform.agreed(sample.Sibling(), true)
	platform.agreed(p, true)
	platform.agreed(p, false)
	for range 2 { // the same place tells the same
		var kinds []string
		for _, m := range follow(partner, m.GetResumeToken()).changes() {
			kinds = append(kinds, m.GetKind().String())
		}
		if got := strings.Join(kinds, " "); got != "CONSENT_GIVEN CONSENT_GIVEN CONSENT_WITHDRAWN" {
			t.Errorf("during the break: %s", got)
		}
	}
	partner.refused(http.MethodGet, school+"/legalBasis:watch?resumeToken=x", "", http.StatusBadRequest, "TOKEN_INVALID")
	if events := w.events(`action = "legal_basis.watch" AND outcome = "OK"`, 3); len(events) != 3 {
		t.Errorf("three watches left %d events", len(events))
	}
}

// TestPartnerKeepsAnswersHonestly lets the partners' package ask over REST: what is kept ends with the withdrawal.
func TestPartnerKeepsAnswersHonestly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	platform, p := w.as("platform"), sample.Pupil()
	platform.agreed(p, true)
	token := w.token("partner", "partner", sample.Controller)
	c, err := legalbasis.New(legalbasis.Config{Controller: sample.Controller,
		Service: &legalbasis.REST{Base: w.URL, Token: func(context.Context) (string, error) { return token, nil }}})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	await(t, "the client is up to date", c.Fresh)
	check := func() legalbasis.Answer {
		a, err := c.Check(ctx, &consentv1.CheckLegalBasisRequest{Subject: uniLogin(p), Activity: "photo-sharing"})
		must(t, err)
		return a
	}
	if first, second := check(), check(); !first.Allowed() || first.Kept || !second.Allowed() || !second.Kept || first.GetDecisionId() != second.GetDecisionId() {
		t.Errorf("%v, then %v", first, second)
	}
	platform.agreed(p, false)
	acknowledged := time.Now()
	await(t, "the answer is no", func() bool { return !check().Allowed() })
	if late := time.Since(acknowledged); late > 2*time.Second {
		t.Errorf("a kept yes was given for %v", late)
	}
	cancel()
	must(t, <-done)
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// TestCheckCommand asks with the program that people run.
func TestCheckCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := sample.Pupil()
	file := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(file, []byte(w.token("partner", "partner", sample.Controller)+"\n"), 0o600))
	run := func(token, activity string) (code int, out, words string) {
		var o, e strings.Builder
		cmd := exec.CommandContext(t.Context(), binary(t), "check", "--url", w.URL, "--token-file", token, "--controller", sample.Controller,
			"--activity", activity, "--subject-type", "UNILOGIN", "--language", "da")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(p.UniLogin+"\n"), &o, &e
		err := cmd.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), o.String(), e.String()
	}
	if code, out, words := run(file, "teaching"); code != 0 || !strings.HasPrefix(out, "ALLOW LEGAL_BASIS_HOLDS\n") || words != "" {
		t.Errorf("allowed: %d %q %q", code, out, words)
	}
	if code, out, words := run(file, "photo-sharing"); code != 3 || !strings.HasPrefix(out, "DENY NO_CONSENT\n") || strings.Count(out, "\n") < 3 || words != "" {
		t.Errorf("denied: %d %q %q", code, out, words)
	}
	if code, out, words := run(os.DevNull, "teaching"); code != 1 || out != "" || !strings.Contains(words, "TOKEN_INVALID") {
		t.Errorf("without a token: %d %q %q", code, out, words)
	}
}

// Many who watch keep nobody else waiting.
func TestManyWatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 150 {
		if c := follow(w.as("partner"), "").next(); c.GetKind() != consentv1.LegalBasisChange_KIND_UNSPECIFIED {
			t.Fatalf("a watch begins with %v", c)
		}
	}
	began := time.Now()
	w.as("dpo").get(school, &consentv1.Controller{})
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("with 150 watches a call took %s", took)
	}
}
