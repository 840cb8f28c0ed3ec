package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/privacyops/privacyops/services/audit/logcheck"
)

// verifyLogCommand verifies a whole audit log.
type verifyLogCommand struct {
	Log           string `arg:"" help:"Address of a suite or of a log (http, https), or the folder of a copy of a log."`
	LogKey        string `help:"Key of the log, which you have from somewhere else than the log: a verifier key (name+hash+base64) or a file with one." required:""`
	State         string `help:"File that remembers the checkpoint from one verification to the next: a log that was rolled back or forked since then does not pass."`
	WitnessPolicy string `help:"File that says which witnesses must have cosigned the checkpoint: witness, group and quorum lines."`
	Continued     bool   `help:"The log goes on from an earlier one: the controllers' numbers need not begin at 1."`
	JSON          bool   `help:"Report as JSON on standard output." name:"json"`
}

// Help says what a line of help has no room for.
func (c *verifyLogCommand) Help() string {
	return `Every tile of hashes is computed anew and compared, up to the root that the log's key has signed. Of a folder, the entries are read too: each must be the
one whose hash the log holds, and each controller's must be numbered without a gap. A log of several years is walked through all its shards; the keys of
the shards follow from the log's. Exit code 0: the log is sound, 1: it is not, and the index is named,
2: it cannot be told.

  privacyops verify log https://suite.example.org --log-key log.key.pub --state seen.checkpoint`
}

// doorWorkers is how many tiles are asked for at a time over a network.
const doorWorkers = 16

// Run verifies, reports, and ends with the exit code.
func (c *verifyLogCommand) Run(ctx context.Context) error {
	code := c.verify(ctx, os.Stdout, os.Stderr)
	if code != 0 {
		return exitError(code)
	}
	return nil
}

func (c *verifyLogCommand) verify(ctx context.Context, out, words io.Writer) int {
	source, o, err := c.prepare()
	if err == nil {
		o.Progress = progress(words)
		var report logcheck.Report
		began := time.Now()
		if report, err = logcheck.Verify(ctx, source, o); err == nil {
			clearLine(o.Progress, words)
			return c.tell(report, time.Since(began), out, words)
		}
		clearLine(o.Progress, words)
	}
	fmt.Fprintln(words, "privacyops:", err)
	return exitUnusable
}

// prepare reads what the flags name.
func (c *verifyLogCommand) prepare() (source logcheck.Source, o logcheck.Options, err error) {
	o = logcheck.Options{Continued: c.Continued, Workers: runtime.GOMAXPROCS(0)}
	all, err := keys([]string{c.LogKey})
	if err != nil {
		return nil, o, err
	}
	if o.Key, err = logcheck.Key(all[0]); err != nil {
		return nil, o, errors.New("--log-key is no verifier key of a log")
	}
	if c.State != "" {
		if o.Known, err = logcheck.ReadState(c.State); err != nil {
			return nil, o, err
		}
	}
	if c.WitnessPolicy != "" {
		text, err := os.ReadFile(c.WitnessPolicy)
		if err != nil {
			return nil, o, fmt.Errorf("the witness policy cannot be read: %w", err)
		}
		if o.Policy, err = logcheck.ParsePolicy(text); err != nil {
			return nil, o, err
		}
	}
	if strings.Contains(c.Log, "://") {
		o.Workers = doorWorkers
		source, err = logcheck.Door(c.Log, nil)
		return source, o, err
	}
	if info, err := os.Stat(c.Log); err != nil || !info.IsDir() {
		return nil, o, fmt.Errorf("%q is neither an http or https address nor a folder that can be read", c.Log)
	}
	return logcheck.Folder(os.DirFS(c.Log)), o, nil
}

// tell reports, and remembers the checkpoint of a sound log.
func (c *verifyLogCommand) tell(r logcheck.Report, took time.Duration, out, words io.Writer) int {
	if c.JSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(struct {
			Verified bool    `json:"verified"`
			Seconds  float64 `json:"seconds"`
			logcheck.Report
		}{r.Sound(), took.Seconds(), r}); err != nil {
			fmt.Fprintln(words, "privacyops:", err)
			return exitUnusable
		}
	} else {
		logWords(out, words, r, took)
	}
	if !r.Sound() {
		return exitNotVerified
	}
	if c.State != "" {
		if err := logcheck.KeepState(c.State, r.Note); err != nil {
			fmt.Fprintln(words, "privacyops:", err)
			return exitUnusable
		}
	}
	return 0
}

// logWords reports for people.
func logWords(out, words io.Writer, r logcheck.Report, took time.Duration) {
	if !r.Sound() {
		fmt.Fprintf(words, "NOT VERIFIED: %s\n", r.Findings[0])
		for _, f := range r.Findings[1:] {
			fmt.Fprintf(words, "              %s\n", f)
		}
		return
	}
	var b bytes.Buffer
	what := "their hashes (the entries are not public)"
	if r.Entries {
		what = "every entry and hash"
	}
	fmt.Fprintf(&b, "VERIFIED: %s, %d entries: %s, in %s\n", r.Origin, r.Size, what, took.Round(time.Millisecond))
	dropped := 0
	for _, s := range r.Shards {
		if s.Dropped {
			dropped++
		}
	}
	if len(r.Shards) > 0 {
		fmt.Fprintf(&b, "  %d shards, each of which begins with the final checkpoint of the one before it; %d of them were dropped and have a tombstone\n", len(r.Shards), dropped)
	}
	if r.Entries && r.Size > 0 {
		fmt.Fprintf(&b, "  %d controllers, numbered without a gap, received from %s to %s\n", r.Controllers, r.First.Format(time.RFC3339), r.Last.Format(time.RFC3339))
	}
	if r.KnownSize > 0 {
		fmt.Fprintf(&b, "  it begins with the %d entries that were seen earlier\n", r.KnownSize)
	}
	if r.Cosigned {
		fmt.Fprintln(&b, "  enough witnesses have cosigned the checkpoint")
	}
	fmt.Fprintf(&b, "  root %x\n", r.Root)
	b.WriteTo(out) //nolint:errcheck // nobody is left to tell
}

// progress shows how far it is, on a terminal; nil elsewhere.
func progress(words io.Writer) func(done, total uint64) {
	f, ok := words.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	var shown time.Time
	return func(done, total uint64) {
		if now := time.Now(); now.Sub(shown) > 200*time.Millisecond {
			shown = now
			fmt.Fprintf(f, "\r%d of %d entries", done, total)
		}
	}
}

// clearLine removes the progress from the terminal.
func clearLine(shown func(done, total uint64), words io.Writer) {
	if shown != nil {
		fmt.Fprint(words, "\r\x1b[K")
	}
}
