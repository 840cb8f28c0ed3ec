package consent

import "slices"

// Recorded gives the links of every identifier that a naming concerns, in order: as they were before it, of those that were known then,
// and as they are now. An identifier that is linked to nothing stands for itself. Digests of the two tell, in the log, what the naming
// has changed.
func (u Union) Recorded(named []SubjectRef, known Links) (before, after Links) {
	refs := slices.Concat(named, u.Touched)
	for _, l := range u.Changed {
		refs = append(refs, l.Subject)
	}
	slices.Sort(refs)
	for _, ref := range slices.Compact(refs) {
		was, ok := known.of(ref)
		if !ok {
			was = Link{Subject: ref, Person: ref}
		}
		now, changed := u.Changed.of(ref)
		if !changed {
			now = was
		}
		before, after = append(before, was), append(after, now)
	}
	return before, after
}
