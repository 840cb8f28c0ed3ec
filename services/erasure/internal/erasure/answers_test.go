package erasure

import (
	"strings"
	"testing"

	"github.com/privacyops/privacyops/libs/fault"
)

func wantNonsense(t *testing.T, err error, want bool) {
	t.Helper()
	if fault.Is(err, "PARTICIPANT_NONSENSE") != want || (err != nil) != want {
		t.Errorf("judged %v, nonsense wanted: %v", err, want)
	}
}

func TestDescriptions(t *testing.T) {
	t.Parallel()
	good := Dataset{Name: "a", Action: Erase}
	digest := strings.Repeat("0a", 32)
	for name, test := range map[string]struct {
		d        Description
		nonsense bool
	}{
		"good":                  {Description{digest, []Dataset{good, {Name: "æ b", Action: Keep, Ground: "g", Article: "a"}}}, false},
		"nothing":               {Description{digest, nil}, false},
		"twice":                 {Description{digest, []Dataset{good, good}}, true},
		"no name":               {Description{digest, []Dataset{{Action: Erase}}}, true},
		"a long name":           {Description{digest, []Dataset{{Name: strings.Repeat("x", 129), Action: Erase}}}, true},
		"a long activity":       {Description{digest, []Dataset{{Name: "a", Activity: strings.Repeat("x", 129), Action: Erase}}}, true},
		"a long ground":         {Description{digest, []Dataset{{Name: "a", Action: Keep, Ground: strings.Repeat("x", 513), Article: "a"}}}, true},
		"no action":             {Description{digest, []Dataset{{Name: "a"}}}, true},
		"an unknown action":     {Description{digest, []Dataset{{Name: "a", Action: "BURN"}}}, true},
		"kept without ground":   {Description{digest, []Dataset{{Name: "a", Action: Keep, Article: "a"}}}, true},
		"kept without article":  {Description{digest, []Dataset{{Name: "a", Action: Keep, Ground: "g"}}}, true},
		"no digest":             {Description{"", []Dataset{good}}, true},
		"a digest in capitals":  {Description{strings.ToUpper(digest), []Dataset{good}}, true},
		"more than can be true": {Description{digest, make([]Dataset, maxDatasets+1)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantNonsense(t, test.d.check(), test.nonsense)
		})
	}
}

func TestLocations(t *testing.T) {
	t.Parallel()
	d := Description{DataMapDigest: "d", Datasets: []Dataset{{Name: "a"}, {Name: "b"}}}
	counts := func(a, b int64) map[string]int64 { return map[string]int64{"a": a, "b": b} }
	for name, test := range map[string]struct {
		l        Location
		nonsense bool
	}{
		"good":                     {Location{Counts: counts(0, 3), DataMapDigest: "d", Further: []Identifier{{"EMAIL", "x"}}}, false},
		"no digest":                {Location{Counts: counts(0, 3)}, false},
		"another data map":         {Location{Counts: counts(0, 3), DataMapDigest: "e"}, true},
		"negative":                 {Location{Counts: counts(-1, 3)}, true},
		"too many":                 {Location{Counts: counts(maxRows+1, 3)}, true},
		"missing":                  {Location{Counts: map[string]int64{"a": 1}}, true},
		"unknown":                  {Location{Counts: map[string]int64{"a": 1, "b": 1, "c": 0}}, true},
		"an empty identifier":      {Location{Counts: counts(0, 0), Further: []Identifier{{"EMAIL", ""}}}, true},
		"shared by fewer than one": {Location{Counts: counts(0, 0), Shared: []SharedIdentifier{{"EMAIL", -1}}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantNonsense(t, test.l.check(d), test.nonsense)
		})
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	order := EraseOrder{Datasets: []string{"a", "b"}}
	b := DatasetOutcome{Dataset: "b"}
	for name, test := range map[string]struct {
		outcome  []DatasetOutcome
		nonsense bool
	}{
		"good":                    {[]DatasetOutcome{{Dataset: "a", Located: 6, Erased: 1, Anonymised: 2, Unchanged: 3}, b}, false},
		"with what is kept":       {[]DatasetOutcome{{Dataset: "a"}, b, {Dataset: "kept", Located: 2, Kept: 2}}, false},
		"more than was there":     {[]DatasetOutcome{{Dataset: "a", Located: 1, Erased: 2}, b}, false},
		"less than was there":     {[]DatasetOutcome{{Dataset: "a", Located: 2, Erased: 1}, b}, true},
		"negative":                {[]DatasetOutcome{{Dataset: "a", Located: 0, Erased: 2, Unchanged: -2}, b}, true},
		"too many":                {[]DatasetOutcome{{Dataset: "a", Erased: maxRows + 1}, b}, true},
		"twice":                   {[]DatasetOutcome{{Dataset: "a"}, {Dataset: "a"}, b}, true},
		"missing":                 {[]DatasetOutcome{{Dataset: "a"}}, true},
		"nothing":                 {nil, true},
		"unknown":                 {[]DatasetOutcome{{Dataset: "a"}, b, {Dataset: "c"}}, true},
		"kept against the order":  {[]DatasetOutcome{{Dataset: "a", Located: 1, Kept: 1}, b}, true},
		"erased without an order": {[]DatasetOutcome{{Dataset: "a"}, b, {Dataset: "kept", Located: 2, Erased: 2}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantNonsense(t, checkOutcome(order, []string{"a", "b", "kept"}, test.outcome), test.nonsense)
		})
	}
}

func TestRemainders(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		r        Remainder
		nonsense bool
	}{
		"good":                 {Remainder{Dataset: "a", Count: 1}, false},
		"outside the data map": {Remainder{Table: "t", Count: 1}, false},
		"no rows":              {Remainder{Dataset: "a"}, true},
		"negative":             {Remainder{Dataset: "a", Count: -1}, true},
		"too many":             {Remainder{Dataset: "a", Count: maxRows + 1}, true},
		"unknown":              {Remainder{Dataset: "x", Count: 1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantNonsense(t, checkRemainders([]string{"a"}, []Remainder{test.r}), test.nonsense)
		})
	}
}
