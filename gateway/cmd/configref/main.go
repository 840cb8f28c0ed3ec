// Command configref writes the reference of all settings, deploy/CONFIGURATION.md, to standard output: every flag of every
// program with its environment variable, its default and its help, as the programs themselves have them. `make generate` runs it
// from the top of the tree.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/privacyops/privacyops/gateway"
	"github.com/privacyops/privacyops/services/audit"
	"github.com/privacyops/privacyops/services/consent"
	"github.com/privacyops/privacyops/services/erasure"
	"github.com/privacyops/privacyops/services/export"
	"github.com/privacyops/privacyops/services/participant"
)

const head = `# Settings

Made by ` + "`make generate`" + ` from the programs' own declarations; do not edit.

A setting is given as a flag or in the environment; the flag wins. Lists in the environment are separated by commas, maps
(` + "`NAME=HOST:PORT`" + `) by semicolons. Secrets are never settings themselves: a setting names their file, also the
URL of a PostgreSQL database (` + "`postgres://role@host/database?passfile=FILE`" + `).

Traces and metrics are sent where OpenTelemetry's own variables say, first of all ` + "`OTEL_EXPORTER_OTLP_ENDPOINT`" + `; without it
nothing is sent.
`

func main() {
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "configref:", err)
		os.Exit(1)
	}
}

// service is a program that serves one service.
type service struct {
	program string
	command any
}

func services() []service {
	return []service{{"consentd", &consent.Command{}}, {"exportd", &export.Command{}}, {"erasured", &erasure.Command{}},
		{"auditd", &audit.Command{}}, {"participantd", &participant.Command{}}, {"gatewayd", &gateway.Command{}}}
}

// write writes the whole reference.
func write(w io.Writer) error {
	var models []*kong.Application
	for _, s := range services() {
		k, err := kong.New(s.command, kong.Name(s.program))
		if err != nil {
			return fmt.Errorf("%s: %w", s.program, err)
		}
		models = append(models, k.Model)
	}
	suite, err := suiteModel("gateway/cmd/privacyops")
	if err != nil {
		return fmt.Errorf("privacyops: %w", err)
	}
	fmt.Fprint(w, head)
	shared := common(models)
	fmt.Fprint(w, "\n## Every service\n\n")
	table(w, models[0].Flags, func(f *kong.Flag) bool { return shared[*describe(f)] })
	for _, m := range models {
		fmt.Fprintf(w, "\n## %s\n\n`privacyops serve --target %s` is the same program.\n\n", m.Name, strings.TrimSuffix(m.Name, "d"))
		table(w, m.Flags, func(f *kong.Flag) bool { return !shared[*describe(f)] })
	}
	fmt.Fprint(w, "\n## privacyops\n")
	commands(w, suite.Node)
	return nil
}

// setting is what the reference says of a flag.
type setting struct{ flag, env, value, help string }

func describe(f *kong.Flag) *setting {
	s := &setting{flag: "--" + f.Name, help: f.Help, value: "required"}
	if f.IsBool() {
		s.value = "off"
	} else if f.PlaceHolder != "" {
		s.flag += " " + f.PlaceHolder
	}
	if len(f.Envs) > 0 {
		s.env = strings.Join(f.Envs, ", ")
	}
	switch {
	case f.HasDefault:
		s.value = f.Default
	case !f.Required && !f.IsBool():
		s.value = ""
	}
	if f.Enum != "" {
		s.help += " One of: " + strings.ReplaceAll(f.Enum, ",", ", ") + "."
	}
	return s
}

// common finds the settings that are the same in all programs.
func common(models []*kong.Application) map[setting]bool {
	count, out := map[setting]int{}, map[setting]bool{}
	for _, m := range models {
		for _, f := range m.Flags {
			s := *describe(f)
			count[s]++
			out[s] = count[s] == len(models)
		}
	}
	return out
}

// commands writes a section for each command below a node that can be run.
func commands(w io.Writer, n *kong.Node) {
	for _, c := range n.Children {
		if c.Hidden {
			continue
		}
		if c.Leaf() {
			fmt.Fprintf(w, "\n### %s\n\n%s\n\n", c.FullPath(), words(c.Help))
			for _, p := range c.Positional {
				fmt.Fprintf(w, "%s: %s\n\n", code(p.Summary()), words(p.Help))
			}
			table(w, c.Flags, func(*kong.Flag) bool { return true })
		}
		commands(w, c)
	}
}

// table writes the flags that are wanted.
func table(w io.Writer, flags []*kong.Flag, want func(*kong.Flag) bool) {
	fmt.Fprint(w, "| flag | environment | default | |\n|---|---|---|---|\n")
	for _, f := range flags {
		if f.Hidden || f.Name == "help" || !want(f) {
			continue
		}
		s := describe(f)
		fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", cell(s.flag), code(s.env), value(s.value), words(s.help))
	}
}

func value(text string) string {
	if text == "required" || text == "off" {
		return "*" + text + "*"
	}
	return code(text)
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + cell(text) + "`"
}

// words are text outside a code span, where Markdown takes <name> for a tag.
func words(text string) string {
	return strings.ReplaceAll(cell(text), "<", "&lt;")
}

// cell keeps text inside its cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}
