package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/restclient"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

// checkCommand asks a running suite whether data about a person may be processed.
type checkCommand struct {
	URL          string    `help:"Address of the suite." default:"http://127.0.0.1:8080" env:"PRIVACYOPS_URL" name:"url"`
	TokenFile    string    `help:"File with the access token, of the role partner or platform." required:"" env:"PRIVACYOPS_TOKEN_FILE"`
	Controller   string    `help:"Id of the controller." required:""`
	Activity     string    `help:"Id of the processing activity." required:""`
	SubjectType  string    `help:"Type of the person's identifier, for example UNILOGIN." required:""`
	SubjectFile  string    `help:"File with the person's identifier; - for standard input." default:"-"`
	Recipient    string    `help:"Who would receive the data."`
	DataCategory []string  `help:"Category of data; may be repeated."`
	Location     string    `help:"Where it would be processed, a country's two letters."`
	AsOf         time.Time `help:"Answer for this moment in the past, as 2026-03-02T12:00:00Z." format:"2006-01-02T15:04:05Z07:00"`
	Signed       bool      `help:"Ask for a signed answer, which verifies offline."`
	Language     string    `help:"Language of the explanation." enum:"da,en" default:"en"`
	JSON         bool      `help:"The whole answer as JSON on standard output." name:"json"`
}

// Help says what a line of help has no room for.
func (c *checkCommand) Help() string {
	return `The person's identifier is read from standard input, or from --subject-file, and never from an argument: arguments are seen by everybody on
the machine in the list of processes, and stay in the shell's history.

  printf %s u000007 | privacyops check --token-file token --controller skole-1 --activity class-photos --subject-type UNILOGIN

The suite records the decision before it gives it. Exit code 0: ALLOW, 3: DENY, anything else: there is no answer, so the processing may not happen.`
}

// exitDenied is the exit code of a check that was answered with no.
const exitDenied = 3

// maxIdentifier is more than any identifier has bytes.
const maxIdentifier = 1024

// Run asks, and ends with the answer's exit code.
func (c *checkCommand) Run(ctx context.Context) error {
	d, err := c.ask(ctx, os.Stdin, os.Stdout)
	switch {
	case err != nil:
		return err
	case d.GetDecision() != consentv1.Decision_ALLOW:
		return exitError(exitDenied)
	}
	return nil
}

// ask asks and writes the answer.
func (c *checkCommand) ask(ctx context.Context, in io.Reader, out io.Writer) (*consentv1.Decision, error) {
	if !idForm.MatchString(c.Controller) {
		return nil, errors.New("--controller is no id: lower-case letters, digits and hyphens, at most 63")
	}
	token, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("the token cannot be read: %w", err)
	}
	question, err := c.question(in)
	if err != nil {
		return nil, err
	}
	body, err := protojson.Marshal(question)
	if err != nil {
		return nil, errors.New("the question is no valid UTF-8")
	}
	suite := restclient.Client{Base: strings.TrimSuffix(c.URL, "/"), Token: strings.TrimSpace(string(token)), HTTP: &http.Client{Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}} // the identifier goes where it was sent to
	text, err := suite.Raw(ctx, http.MethodPost, "/v1/controllers/"+c.Controller+"/legalBasis:check", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	d := &consentv1.Decision{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, d); err != nil || d.GetDecision() == consentv1.Decision_OUTCOME_UNSPECIFIED {
		return nil, fmt.Errorf("what answers at %s is not the suite", c.URL)
	}
	return d, c.write(out, d, text)
}

var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// question is what is asked, with the person's identifier read from where it is.
func (c *checkCommand) question(in io.Reader) (*consentv1.CheckLegalBasisRequest, error) {
	kind, ok := typev1.Subject_Type_value[c.SubjectType]
	if !ok || kind == 0 {
		return nil, fmt.Errorf("--subject-type is none of %s", strings.Join(subjectTypes(), ", "))
	}
	value, err := c.identifier(in)
	if err != nil {
		return nil, err
	}
	q := &consentv1.CheckLegalBasisRequest{Subject: &typev1.Subject{Type: typev1.Subject_Type(kind), Value: value}, Activity: c.Activity,
		Recipient: c.Recipient, DataCategories: c.DataCategory, Location: c.Location, Signed: c.Signed}
	if !c.AsOf.IsZero() {
		q.AsOf = timestamppb.New(c.AsOf)
	}
	return q, nil
}

func subjectTypes() (names []string) {
	values := typev1.Subject_TYPE_UNSPECIFIED.Descriptor().Values()
	for i := 1; i < values.Len(); i++ {
		names = append(names, string(values.Get(i).Name()))
	}
	return names
}

// identifier reads one line. The errors do not repeat what was read.
func (c *checkCommand) identifier(in io.Reader) (string, error) {
	if c.SubjectFile != "-" {
		f, err := os.Open(c.SubjectFile)
		if err != nil {
			return "", fmt.Errorf("the identifier cannot be read: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxIdentifier+1))
	if err != nil {
		return "", fmt.Errorf("the identifier cannot be read: %w", err)
	}
	value := strings.TrimRight(string(text), "\r\n")
	switch {
	case value == "":
		return "", errors.New("there is no identifier: write it to standard input, or name a file with --subject-file")
	case len(text) > maxIdentifier, strings.ContainsAny(value, "\r\n"):
		return "", errors.New("one identifier is read, on one line")
	}
	return value, nil
}

// write writes the answer: as it came, or for people.
func (c *checkCommand) write(out io.Writer, d *consentv1.Decision, text []byte) error {
	var b bytes.Buffer
	if c.JSON {
		if err := json.Indent(&b, text, "", "  "); err != nil {
			return err
		}
		b.WriteByte('\n')
	} else {
		explanation := d.GetExplanation().GetEn()
		if c.Language == "da" {
			explanation = d.GetExplanation().GetDa()
		}
		fmt.Fprintf(&b, "%s %s\n", d.GetDecision(), d.GetReason())
		for _, line := range []struct{ name, value string }{
			{"", explanation}, {"consent ", d.GetConsent()}, {"decision ", d.GetDecisionId()}, {"signature ", d.GetSignature()},
		} {
			if line.value != "" {
				fmt.Fprintf(&b, "%s%s\n", line.name, line.value)
			}
		}
	}
	_, err := out.Write(b.Bytes())
	return err
}
