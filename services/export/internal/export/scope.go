package export

import (
	"maps"
	"slices"
)

// articlePortability is what keeps a dataset out of a portability export.
const articlePortability = "GDPR art. 20(1)"

// portable tells which of a system's datasets the right to data portability covers: what the person provided, processed on
// consent or contract (GDPR art. 20(1)). The others are omissions, with the number of rows that were located, also where
// that is zero: a reader learns that the dataset exists.
func portable(s SystemID, d Description, activities []Activity, located map[string]int64) (datasets []string, omitted []Omission) {
	basis := make(map[ActivityID]LegalBasis, len(activities))
	for _, a := range activities {
		basis[a.ID] = a.LegalBasis
	}
	described := map[string]bool{}
	for _, ds := range d.Datasets {
		described[ds.Name] = true
		ground := ""
		switch b, known := basis[ds.Activity]; {
		case !ds.SubjectProvided:
			ground = GroundNotProvided
		case !known:
			ground = GroundUnknownActivity
		case b != Consent && b != Contract:
			ground = GroundOtherBasis
		default:
			datasets = append(datasets, ds.Name)
			continue
		}
		omitted = append(omitted, Omission{System: s, Dataset: ds.Name, Count: located[ds.Name], Ground: ground, Article: articlePortability})
	}
	// A dataset that was counted but not described has no basis that anybody could name.
	for _, name := range slices.Sorted(maps.Keys(located)) {
		if !described[name] {
			omitted = append(omitted, Omission{System: s, Dataset: name, Count: located[name],
				Ground: GroundUnknownActivity, Article: articlePortability})
		}
	}
	return datasets, omitted
}
