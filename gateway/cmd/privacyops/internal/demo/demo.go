// Package demo plays the suite's main job against a fresh installation, and checks every step from outside: through REST, in the
// learning platform's own database, and offline.
//
// It believes nothing that the suite says of itself. That a person is gone is looked up in the platform's database by a search
// that knows no data map; that nobody else was touched, by comparing every row of every table; the certificate is verified with
// keys from files, without the suite.
package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/restclient"
	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/seed"
	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/suite"
	"github.com/privacyops/privacyops/services/participant"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// Options say how to play.
type Options struct {
	// Out is where the story is told.
	Out io.Writer
	// Keep is a new folder in which the data stays; empty: it is removed.
	Keep string
	// Sabotage breaks something on purpose: SkipRow, or nothing.
	Sabotage string
}

// grace is how long the erasure of the story can be called back.
const grace = time.Second

// story is one performance.
type story struct {
	out      io.Writer
	suite    *suite.Suite
	database string
	spans    *recorder
	pupil    sample.Person
	platform restclient.Client
	partner  restclient.Client
	dpo      restclient.Client
	auditor  restclient.Client
	began    time.Time
	erasure  string
	traceID  string
	before   sample.Prints
	own      map[string]bool
	// what was found, for the closing line
	records, erased, kept, others int64
	withdrawn                     time.Duration
}

// Run plays the story. The error says what could not be proved.
func Run(ctx context.Context, o Options) (err error) {
	dir, clean, err := folder(o.Keep)
	if err != nil {
		return err
	}
	defer clean()
	s := &story{out: o.Out, spans: newRecorder(), pupil: sample.Pupil(), began: time.Now()}
	if err := s.start(ctx, dir, o.Sabotage); err != nil {
		return err
	}
	defer func() {
		if stop := s.suite.Stop(); err == nil && stop != nil {
			err = fmt.Errorf("the suite did not stop cleanly: %w", stop)
		}
	}()
	for _, step := range []func(context.Context) error{
		s.register, s.roster, s.consent, s.export, s.preview, s.erase, s.certificate, s.search, s.compare, s.afterwards, s.trace,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	fmt.Fprintf(s.out, "\nPROVED in %.1f s: a withdrawal was obeyed in %d ms; %d records of one pupil were handed over; %d rows of hers were erased or anonymised, "+
		"%d were kept on a stated ground, nothing else of her is left; all %d other rows are byte for byte as before; the certificate verifies offline.\n",
		time.Since(s.began).Seconds(), s.withdrawn.Milliseconds(), s.records, s.erased, s.kept, s.others)
	return nil
}

func folder(keep string) (dir string, clean func(), err error) {
	if keep == "" {
		dir, err = os.MkdirTemp("", "privacyops-demo-")
		return dir, func() { _ = os.RemoveAll(dir) }, err
	}
	if err := os.Mkdir(keep, 0o700); err != nil {
		return "", nil, fmt.Errorf("keep the data: %w", err)
	}
	return keep, func() {}, nil
}

func (s *story) start(ctx context.Context, dir, sabotage string) error {
	s.chapter("A fresh suite")
	sampleDir := filepath.Join(dir, "platform")
	if err := os.Mkdir(sampleDir, 0o700); err != nil {
		return err
	}
	system, database, err := seed.Platform(ctx, sampleDir)
	if err != nil {
		return err
	}
	s.database = database
	o := suite.Options{DataDir: filepath.Join(dir, "suite"), Systems: []participant.SystemConfig{system}, Spans: []trace.SpanProcessor{s.spans}, LogLevel: "error"}
	if sabotage != "" {
		if o.Wrap, err = saboteur(sabotage, database, s.pupil); err != nil {
			return err
		}
		s.say("SABOTAGE %q is on: the platform's participant will not do what it says.", sabotage)
	}
	begin := time.Now()
	if s.suite, err = suite.Start(ctx, o); err != nil {
		return err
	}
	s.say("consent, export, erasure, audit, a participant and the gateway are ready at %s (%d ms).", s.suite.URL, time.Since(begin).Milliseconds())
	for role, client := range map[string]*restclient.Client{"platform": &s.platform, "partner": &s.partner, "dpo": &s.dpo, "auditor": &s.auditor} {
		token, err := seed.Token(s.suite.Issuer, role, sample.Controller, role+"@"+sample.Controller+".example")
		if err != nil {
			return err
		}
		*client = restclient.Client{Base: s.suite.URL, Token: token}
	}
	return nil
}

func (s *story) chapter(title string) { fmt.Fprintf(s.out, "\n%s\n", title) }

// say tells one line of the story with the time since its beginning.
func (s *story) say(format string, args ...any) {
	fmt.Fprintf(s.out, "  %6.2f s  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// path is a path below the sample's school.
func path(rest string) string { return "/v1/controllers/" + sample.Controller + "/" + rest }
