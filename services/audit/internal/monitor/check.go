package monitor

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

var (
	ruleName   = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	actionName = regexp.MustCompile(`^[a-z_]+\.([a-z_]+|\*)$`)
)

// CheckRules says what is wrong with rules, all of it, each with the rule's name: a rule that contradicts itself would be silent.
func CheckRules(rules []Rule) error {
	if len(rules) == 0 {
		return errors.New("monitor: there are no rules")
	}
	var all []error
	named := map[string]bool{}
	for i, r := range rules {
		name := r.Name
		if name == "" {
			name = fmt.Sprintf("number %d", i+1)
		}
		problems := r.problems()
		if named[r.Name] {
			problems = append(problems, "another rule has the same name")
		}
		named[r.Name] = true
		for _, p := range problems {
			all = append(all, fmt.Errorf("monitor: rule %s: %s", name, p))
		}
	}
	return errors.Join(all...)
}

func (r Rule) problems() (out []string) {
	say := func(wrong bool, format string, args ...any) {
		if wrong {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	say(!ruleName.MatchString(r.Name), "a name is words of small letters with - between them, not %q", r.Name)
	say(r.Severity.String() == "", "there is no severity %d", r.Severity)
	say(r.By < ByController || r.By > Together, "there is no grouping %d", r.By)
	say(r.Quiet <= 0, "the quiet time is %v; without one every event would raise an alert", r.Quiet)
	say(len(r.When) == 0, "it does not say when")
	say(r.Over < 0 || (r.Over > 0) != (r.Within > 0), "more than %d within %v: both or neither", r.Over, r.Within)
	say(r.Over > maxOver, "more than %d: so many are not remembered, %d are", r.Over, maxOver)
	if s := r.Statistic; s != nil {
		say(r.Over > 0, "it counts within a time and by days; only one of them")
		say(s.Days < 1 || s.Sigmas <= 0 || s.Floor < 0, "days, sigmas and floor are %d, %v and %d", s.Days, s.Sigmas, s.Floor)
	}
	who := r.By == ByActor || r.By == ByService
	for language, text := range map[string]string{"Danish": r.Summary.Danish, "English": r.Summary.English} {
		say(strings.TrimSpace(text) == "", "the summary is not there in %s", language)
		say(strings.Contains(text, "{who}") && !who, "the summary in %s names somebody, and the rule is about nobody in particular", language)
	}
	for i, m := range r.When {
		for _, p := range m.problems() {
			say(true, "when[%d]: %s", i, p)
		}
	}
	return out
}

// maxOver bounds what is remembered of each group.
const maxOver = 1000

func (m Match) problems() (out []string) {
	if len(m.Actions)+len(m.Kinds)+len(m.Outcomes)+len(m.Reasons)+len(m.Detail) == 0 {
		out = append(out, "it holds for everything")
	}
	for _, a := range m.Actions {
		if !actionName.MatchString(a) {
			out = append(out, fmt.Sprintf("an action is noun.verb or noun.*, not %q", a))
		}
	}
	for _, k := range m.Kinds {
		if !k.Valid() {
			out = append(out, fmt.Sprintf("there is no kind %q", k))
		}
	}
	for _, o := range m.Outcomes {
		if !slices.Contains([]audit.Outcome{audit.OutcomeOK, audit.OutcomeDenied, audit.OutcomeFailed, audit.OutcomeInvalid}, o) {
			out = append(out, fmt.Sprintf("there is no outcome %q", o))
		}
	}
	return out
}
