package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Filter narrows a search. An empty field lets everything pass; several fields must all fit.
type Filter struct {
	// Service that reported.
	Service string
	// Action, either whole ("erasure.approve") or, ending in ".*", all verbs of a noun ("erasure.*").
	Action   string
	Kind     Kind
	Outcome  Outcome
	ActorRef string
	Resource string
	TraceID  string
}

// maxFilterLength bounds the text of a filter.
const maxFilterLength = 2000

// ErrFilter reports a filter that cannot be read. Its text says what is expected and repeats nothing of the input.
var ErrFilter = errors.New(`the filter must be comparisons joined by AND, for example: action = "erasure.*" AND outcome = "DENIED"`)

// ParseFilter reads a filter in a small part of the AIP-160 language: comparisons `field = value` joined by AND. The
// fields are service, action, kind, outcome, actor, resource and trace_id, each at most once. A value is a
// word or stands in double quotes; there are no escapes, as no value that an event may hold needs one.
func ParseFilter(text string) (Filter, error) {
	if len(text) > maxFilterLength {
		return Filter{}, fmt.Errorf("%w (at most %d characters)", ErrFilter, maxFilterLength)
	}
	tokens, ok := filterTokens(text)
	if !ok {
		return Filter{}, ErrFilter
	}
	var f Filter
	for i := 0; i < len(tokens); i += 4 {
		if i > 0 && tokens[i-1] != "AND" {
			return Filter{}, ErrFilter
		}
		if len(tokens)-i < 3 || len(tokens)-i == 4 || tokens[i+1] != "=" || tokens[i+2] == "=" {
			return Filter{}, ErrFilter
		}
		if err := f.set(tokens[i], strings.Trim(tokens[i+2], `"`)); err != nil {
			return Filter{}, err
		}
	}
	return f, nil
}

func (f *Filter) set(field, value string) error {
	fields := map[string]struct {
		target *string
		valid  func(string) bool
	}{
		"service":  {&f.Service, validService},
		"action":   {&f.Action, validActionFilter},
		"kind":     {(*string)(&f.Kind), func(s string) bool { return Kind(s).Valid() }},
		"outcome":  {(*string)(&f.Outcome), func(s string) bool { return Outcome(s).Valid() }},
		"actor":    {&f.ActorRef, validRef},
		"resource": {&f.Resource, validResource},
		"trace_id": {&f.TraceID, validTraceID},
	}
	t, known := fields[field]
	switch {
	case !known:
		return fmt.Errorf("%w (the fields are service, action, kind, outcome, actor, resource and trace_id)", ErrFilter)
	case *t.target != "":
		return fmt.Errorf("%w (a field may be compared once)", ErrFilter)
	case value == "" || !t.valid(value):
		return fmt.Errorf("%w (a value of %s has another form)", ErrFilter, field)
	}
	*t.target = value
	return nil
}

// ActionMatch returns the action to compare with, and whether only its beginning is compared.
func (f Filter) ActionMatch() (action string, prefix bool) { return strings.CutSuffix(f.Action, "*") }

// Fits reports whether an event passes the filter.
func (f Filter) Fits(e Event) bool {
	action, prefix := f.ActionMatch()
	return fits(f.Service, e.Service) && fits(f.Kind, e.Kind) && fits(f.Outcome, e.Outcome) && fits(f.ActorRef, e.Actor.Ref) &&
		fits(f.Resource, e.Resource) && fits(f.TraceID, e.TraceID()) &&
		(fits(action, e.Action) || prefix && strings.HasPrefix(e.Action, action))
}

// MayFit reports whether some decision in the leaf of a batch may pass the filter. It looks at the bytes only, which takes a small
// part of the time of reading them: a search may have to pass by many batches of which nothing fits.
func (f Filter) MayFit(leaf []byte) bool {
	if f.ActorRef != "" && !quotes(leaf, f.ActorRef) {
		return false
	}
	if f.Resource != "" {
		_, activity, _ := strings.Cut(f.Resource, "/activities/")
		if !quotes(leaf, activity) {
			return false
		}
	}
	return f.TraceID == "" || packsTrace(leaf, f.TraceID)
}

// quotes reports whether a leaf holds a string. None of its strings has escapes.
func quotes(leaf []byte, s string) bool { return bytes.Contains(leaf, []byte(`"`+s+`"`)) }

// packsTrace reports whether the packed decisions of a leaf hold the bytes of a trace id.
func packsTrace(leaf []byte, trace string) bool {
	_, rest, _ := bytes.Cut(leaf, []byte(`"packed":"`))
	text, _, _ := bytes.Cut(rest, []byte(`"`))
	raw := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(raw, text)
	id, invalid := hex.DecodeString(trace)
	return err != nil || invalid != nil || bytes.Contains(raw[:n], id)
}

// fits reports whether a value is the one that is wanted; "" wants any.
func fits[T ~string](want, is T) bool { return want == "" || want == is }

func validActionFilter(s string) bool {
	if noun, ok := strings.CutSuffix(s, ".*"); ok {
		return validAction(noun + ".x")
	}
	return validAction(s)
}

func validTraceID(s string) bool { return validTrace("00-" + s + "-0000000000000000-00") }

// filterTokens splits a filter into words, quoted values (with their quotes) and equal signs. A quoted value never
// counts as a word, so `"AND"` does not join.
func filterTokens(text string) ([]string, bool) {
	var tokens []string
	for text = strings.TrimLeft(text, " "); text != ""; text = strings.TrimLeft(text, " ") {
		n := 0
		switch {
		case text[0] == '=':
			n = 1
		case text[0] == '"':
			end := strings.IndexByte(text[1:], '"')
			if end < 0 {
				return nil, false
			}
			n = end + 2
		default:
			if n = strings.IndexAny(text, ` ="`); n < 0 {
				n = len(text)
			}
		}
		tokens, text = append(tokens, text[:n]), text[n:]
	}
	return tokens, true
}
