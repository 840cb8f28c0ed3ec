package consent_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

func TestCanResume(t *testing.T) {
	t.Parallel()
	kept := func(rev consent.Revision) *consent.Change { return &consent.Change{Revision: rev} }
	for name, tc := range map[string]struct {
		after, newest consent.Revision
		oldest        *consent.Change
		want          bool
	}{
		"the beginning, all kept":          {0, 9, kept(1), true},
		"in the middle":                    {5, 9, kept(3), true},
		"at the oldest":                    {3, 9, kept(3), true},
		"right before the oldest":          {2, 9, kept(3), true},
		"a revision may be missing":        {1, 9, kept(3), false},
		"up to date":                       {9, 9, kept(9), true},
		"up to date, nothing kept":         {9, 9, nil, true},
		"behind, nothing kept":             {8, 9, nil, false},
		"ahead of the database":            {10, 9, kept(1), false},
		"ahead of a database with no kept": {10, 9, nil, false},
	} {
		if got := consent.CanResume(tc.after, tc.newest, tc.oldest); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Whatever was forgotten from the front, resuming is only allowed where no change after the token is gone.
func TestResumingLosesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		made := rapid.SliceOfN(rapid.Bool(), 1, 20).Draw(rt, "which revisions made a change")
		var changes []consent.Change
		for i, yes := range made {
			if yes {
				changes = append(changes, consent.Change{Revision: consent.Revision(i + 1)})
			}
		}
		kept := changes
		if len(changes) > 0 {
			kept = changes[rapid.IntRange(0, len(changes)-1).Draw(rt, "forgotten"):]
		}
		var oldest *consent.Change
		if len(kept) > 0 {
			oldest = &kept[0]
		}
		after := consent.Revision(rapid.IntRange(0, len(made)+1).Draw(rt, "token"))
		if !consent.CanResume(after, consent.Revision(len(made)), oldest) {
			return
		}
		for _, c := range changes[:len(changes)-len(kept)] {
			if c.Revision > after {
				rt.Fatalf("resumed after %d, and the change at %d is gone", after, c.Revision)
			}
		}
	})
}
