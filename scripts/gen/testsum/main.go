// Command testsum reads the event stream of `go test -json` and says what a
// person wants to know: go test's own line for every package ("ok  pkg 0.1s"),
// the whole output of every test that failed, the name and the reason of every
// test that was skipped, and at the end, on a line of its own, "N passed, M failed".
//
// It exits 1 when anything failed and also when no test ran at all: a run that
// checked nothing is not a success.
//
// Usage: go test -json ./... | testsum
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	ok, err := summarise(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// event is one line of the stream; see `go doc test2json` and `go help buildjson`.
type event struct {
	Action     string
	Package    string
	ImportPath string // of build events, in place of Package
	Test       string // empty: the event is about the package
	Output     string
}

// test names one test or subtest; the empty Name stands for its package.
type test struct{ Package, Name string }

// report is what is known while the stream is read.
type report struct {
	out     io.Writer
	output  map[test][]string // of tests that have not ended
	running map[test]bool
	blamed  map[string]bool // packages in which a test failed
	skips   []string

	passed, failed int
}

// summarise copies the gist of a stream to out and tells whether all was well:
// at least one test, and none failed.
func summarise(in io.Reader, out io.Writer) (bool, error) {
	r := &report{
		out:     out,
		output:  map[test][]string{},
		running: map[test]bool{},
		blamed:  map[string]bool{},
	}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			r.line(line)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return false, fmt.Errorf("read the event stream: %w", err)
		}
	}
	return r.close(), nil
}

// line takes one line; what is no event (the go command speaking) is passed on.
func (r *report) line(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil || e.Action == "" {
		fmt.Fprintf(r.out, "%s", line)
		return
	}
	if e.Test == "" {
		r.packageEvent(e)
		return
	}
	r.testEvent(e)
}

func (r *report) packageEvent(e event) {
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		// The bare verdict is repeated by the "ok" or "FAIL" line that follows.
		if e.Output != "PASS\n" && e.Output != "FAIL\n" {
			fmt.Fprint(r.out, e.Output)
		}
	case "fail":
		r.packageFailed(e.Package)
	}
}

// packageFailed accounts for a package that failed: tests that were still running
// when it ended (a panic, a time-out) failed; and if no test is to blame (it did
// not build, TestMain gave up), the package itself counts as one failure.
func (r *report) packageFailed(pkg string) {
	var unended []test
	for t := range r.running {
		if t.Package == pkg {
			unended = append(unended, t)
		}
	}
	slices.SortFunc(unended, func(a, b test) int { return strings.Compare(a.Name, b.Name) })
	for _, t := range unended {
		r.fail(t)
		fmt.Fprintf(r.out, "--- DID NOT END: %s\n", t.Name)
	}
	if !r.blamed[pkg] {
		r.failed++
	}
}

func (r *report) testEvent(e event) {
	t := test{e.Package, e.Test}
	switch e.Action {
	case "run":
		r.running[t] = true
	case "output":
		r.output[t] = append(r.output[t], e.Output)
	case "pass":
		r.passed++
		r.end(t)
	case "fail":
		r.fail(t)
	case "skip":
		r.skips = append(r.skips, fmt.Sprintf("%s %s: %s", t.Package, t.Name, reason(r.output[t])))
		r.end(t)
	}
}

func (r *report) fail(t test) {
	for _, line := range r.output[t] {
		if !strings.HasPrefix(line, "=== ") { // RUN, PAUSE, CONT: order of events, no news
			fmt.Fprint(r.out, line)
		}
	}
	r.failed++
	r.blamed[t.Package] = true
	r.end(t)
}

func (r *report) end(t test) {
	delete(r.output, t)
	delete(r.running, t)
}

// reason finds what a skipped test said for itself in its output: what stands
// between the "=== RUN" and the "--- SKIP" line, without "file.go:12: ".
func reason(output []string) string {
	var words []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		if _, said, found := strings.Cut(line, ".go:"); found {
			if _, text, found := strings.Cut(said, ": "); found {
				line = text
			}
		}
		words = append(words, line)
	}
	if len(words) == 0 {
		return "no reason given"
	}
	return strings.Join(words, " ")
}

// close prints the end of the report.
func (r *report) close() bool {
	for _, skip := range r.skips {
		fmt.Fprintln(r.out, "skipped", skip)
	}
	if r.failed > 0 {
		fmt.Fprintln(r.out, "FAIL")
	}
	if len(r.skips) > 0 {
		fmt.Fprintf(r.out, "%d skipped, named above\n", len(r.skips))
	}
	fmt.Fprintf(r.out, "%d passed, %d failed\n", r.passed, r.failed)
	return r.failed == 0 && r.passed > 0
}
