package monitor

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

func TestCheckRules(t *testing.T) {
	t.Parallel()
	if err := CheckRules(Rules()); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(r *Rule){
		`a name is words of small letters`:           func(r *Rule) { r.Name = "Foreign_Denials" },
		`number 1: a name is`:                        func(r *Rule) { r.Name = "" },
		`another rule has the same name`:             func(r *Rule) { r.Name = MassExport },
		`there is no severity 4`:                     func(r *Rule) { r.Severity = 4 },
		`there is no grouping 0`:                     func(r *Rule) { r.By = 0 },
		`the quiet time is 0s`:                       func(r *Rule) { r.Quiet = 0 },
		`it does not say when`:                       func(r *Rule) { r.When = nil },
		`more than 5 within 0s: both or neither`:     func(r *Rule) { r.Within = 0 },
		`more than 0 within 1m0s: both or neither`:   func(r *Rule) { r.Over = 0 },
		`more than -1 within 1m0s`:                   func(r *Rule) { r.Over = -1 },
		`more than 1001: so many are not remembered`: func(r *Rule) { r.Over = 1001 },
		`within a time and by days`:                  func(r *Rule) { r.Statistic = exported },
		`days, sigmas and floor are 0, 0 and 0`:      func(r *Rule) { r.Over, r.Within, r.Statistic = 0, 0, &Statistic{} },
		`the summary is not there in Danish`:         func(r *Rule) { r.Summary.Danish = " " },
		`about nobody in particular`:                 func(r *Rule) { r.By = Together },
		`when[0]: it holds for everything`:           func(r *Rule) { r.When = []Match{{}} },
		`when[1]: an action is noun.verb`:            func(r *Rule) { r.When = append(r.When, Match{Actions: []string{"export"}}) },
		`there is no kind "READ"`:                    func(r *Rule) { r.When = []Match{{Kinds: []audit.Kind{"READ"}}} },
		`there is no outcome "REFUSED"`:              func(r *Rule) { r.When = []Match{{Outcomes: []audit.Outcome{"REFUSED"}}} },
	} {
		rules := Rules()
		rules[0].When = slices.Clone(rules[0].When)
		spoil(&rules[0])
		if err := CheckRules(rules); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "monitor: rule ") {
			t.Errorf("%v, want one that says %q", err, want)
		}
	}
	if CheckRules(nil) == nil {
		t.Error("no rules are fine")
	}
	f := newFixture()
	cfg := f.config()
	cfg.Rules = []Rule{{Name: "silent", Quiet: time.Hour}}
	if _, err := New(t.Context(), cfg); err == nil {
		t.Error("a monitor takes a rule that is wrong")
	}
}

var eventRow = regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| ([A-Z_]+) \\|")

// TestRulesAreAboutEvents: each action that a rule names is a signal, or one of an event that the suite reports, and of a kind that
// the rule looks at. A rule about others would never be broken.
func TestRulesAreAboutEvents(t *testing.T) {
	t.Parallel()
	list, err := os.ReadFile("../../../../deploy/EVENTS.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string][]audit.Kind{}
	for _, row := range eventRow.FindAllStringSubmatch(string(list), -1) {
		kinds[row[1]] = append(kinds[row[1]], audit.Kind(row[2]))
	}
	for _, signal := range []string{SignalGap, SignalLag, SignalLate, SignalSilent, SignalSkew} {
		kinds[signal] = nil
	}
	if len(kinds) < 80 {
		t.Fatalf("only %d events are described", len(kinds))
	}
	for _, r := range Rules() {
		for _, m := range r.When {
			for _, action := range m.Actions {
				of, known := kinds[action]
				if !known {
					t.Errorf("%s is about %s, which nobody reports", r.Name, action)
				}
				if len(m.Kinds) > 0 && !slices.ContainsFunc(of, func(k audit.Kind) bool { return slices.Contains(m.Kinds, k) }) {
					t.Errorf("%s is about %s, of a kind that it is not: %v, want %v", r.Name, action, m.Kinds, of)
				}
			}
		}
	}
}

// TestRunbook: each rule has its row in the runbook, with its severity, and a section that says what it means, where to look and what
// to do, in the order of Rules.
func TestRunbook(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../../../deploy/runbooks/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	text, at := string(raw), 0
	for _, r := range Rules() {
		if row := "| [" + r.Name + "](#" + r.Name + ") | " + strings.ToLower(r.Severity.String()) + " |"; !strings.Contains(text, row) {
			t.Errorf("there is no row %q", row)
		}
		begin := strings.Index(text, "\n## "+r.Name+"\n")
		if begin < at {
			t.Errorf("%s has no section, or not after the rule before it", r.Name)
			continue
		}
		at = begin
		section, _, _ := strings.Cut(text[begin+4:], "\n## ")
		for _, part := range []string{"**Means:**", "**Look:**", "**Do:**"} {
			if strings.Count(section, part) != 1 {
				t.Errorf("%s: %s is not there once", r.Name, part)
			}
		}
	}
}
