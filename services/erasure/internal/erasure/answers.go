package erasure

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/privacyops/privacyops/libs/fault"
)

// What an answer may hold at most. All are far above what is true of any system, and keep the sums and the size of a
// certificate within its format.
const (
	maxRows     = 1 << 40
	maxDatasets = 1000
	maxName     = 128
	maxText     = 512
)

var digestPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// nonsense is the fault of an answer that cannot be true.
func nonsense(what string) error {
	return fault.New(fault.Unavailable, "PARTICIPANT_NONSENSE", "The system's answer cannot be true: "+what+". Its operator must look at it; it is asked again.")
}

func (d Description) check() error {
	seen := map[string]bool{}
	for _, set := range d.Datasets {
		switch {
		case set.Name == "" || seen[set.Name]:
			return nonsense("a dataset without a name, or named twice")
		case max(len(set.Name), len(set.Activity), len(set.Article)) > maxName || len(set.Ground) > maxText:
			return nonsense("a dataset whose name, activity, ground or article is too long")
		case set.Action != Erase && set.Action != Anonymise && set.Action != Keep:
			return nonsense("a dataset without an action")
		case set.Action == Keep && (set.Ground == "" || set.Article == ""):
			return nonsense("a dataset is kept without ground or article")
		}
		seen[set.Name] = true
	}
	switch {
	case len(d.Datasets) > maxDatasets:
		return nonsense(fmt.Sprintf("more than %d datasets", maxDatasets))
	case !digestPattern.MatchString(d.DataMapDigest):
		return nonsense("no digest of its data map")
	}
	return nil
}

func (l Location) check(d Description) error {
	if l.DataMapDigest != "" && l.DataMapDigest != d.DataMapDigest {
		return nonsense("its data map changed between two answers")
	}
	names := map[string]bool{}
	for _, set := range d.Datasets {
		names[set.Name] = true
		if _, ok := l.Counts[set.Name]; !ok {
			return nonsense("a dataset was not counted")
		}
	}
	for name, n := range l.Counts {
		if n < 0 || n > maxRows || !names[name] {
			return nonsense("an impossible count, or one of an unknown dataset")
		}
	}
	for _, id := range l.Further {
		if id.Type == "" || id.Value == "" {
			return nonsense("an empty identifier")
		}
	}
	for _, s := range l.Shared {
		if s.People < 0 {
			return nonsense("an identifier of a negative number of people")
		}
	}
	return nil
}

// checkOutcome compares what a system says it has done with what it was told. Known are all datasets that it has; those that
// the order does not name are kept, and a system that has erased in one of them has done what nobody approved.
func checkOutcome(order EraseOrder, known []string, outcome []DatasetOutcome) error {
	seen := map[string]bool{}
	for _, o := range outcome {
		approved := slices.Contains(order.Datasets, o.Dataset)
		switch {
		case seen[o.Dataset] || !slices.Contains(known, o.Dataset):
			return nonsense("a dataset counted twice, or an unknown one")
		case min(o.Located, o.Erased, o.Anonymised, o.Kept, o.Unchanged) < 0,
			max(o.Located, o.Erased, o.Anonymised, o.Kept, o.Unchanged) > maxRows:
			return nonsense("an impossible count")
		case approved && o.Kept > 0:
			return nonsense("rows were kept whose erasure was approved")
		case approved && o.Erased+o.Anonymised+o.Unchanged < o.Located:
			return nonsense("fewer rows were dealt with than were found")
		case !approved && o.Erased+o.Anonymised > 0:
			return nonsense("rows were erased whose erasure was not approved")
		}
		seen[o.Dataset] = true
	}
	for _, d := range order.Datasets {
		if !seen[d] {
			return nonsense("an approved dataset is missing")
		}
	}
	return nil
}

// checkRemainders looks at what a system says is left. A remainder in no dataset is one that the data map does not cover.
func checkRemainders(known []string, remaining []Remainder) error {
	for _, r := range remaining {
		switch {
		case r.Count <= 0 || r.Count > maxRows:
			return nonsense("an impossible number of rows remains")
		case r.Dataset != "" && !slices.Contains(known, r.Dataset):
			return nonsense("rows remain in an unknown dataset")
		}
	}
	return nil
}
