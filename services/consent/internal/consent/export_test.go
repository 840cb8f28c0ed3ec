package consent

import (
	"maps"
	"slices"
)

// Bases are all legal bases that the code knows.
func Bases() []LegalBasis { return slices.Sorted(maps.Keys(letters)) }

// Reasons are all reasons that the code can give.
func Reasons() []Reason {
	reasons := []Reason{LegalBasisHolds, ConsentHolds}
	for _, d := range denials {
		reasons = append(reasons, d.reason)
	}
	return reasons
}
