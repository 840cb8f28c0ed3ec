package certificate

import (
	"fmt"
	"time"
)

// clockSkew is how far the clocks of two replicas of one service may differ: steps of one erasure can run on different machines.
const clockSkew = time.Minute

// Validate reports the first reason why the statement contradicts itself, or nil. It is what [Issue] and [Verify] demand:
//
//   - ids, hash, ground and channel are there; nobody approved twice; times follow each other
//   - every count is from 0 to 2^53-1; what is kept has a ground and an article
//   - COMPLETE, COMPLETE_WITH_KEPT: in each dataset erased + anonymised + kept + unchanged covers what was located, nothing
//     remains, and every residual expires by itself; COMPLETE needs at least one such record and nothing kept,
//     COMPLETE_WITH_KEPT something kept
//   - NOTHING_FOUND: all counts are zero and there is no residual
//   - PARTIAL: there is a residual, and every dataset with something unaccounted for is named by one
//
// Erased + anonymised + kept + unchanged may exceed located: a system can write more between locating and erasing.
func (s Statement) Validate() error {
	for _, check := range []func() error{s.checkIdentity, s.checkSystems, s.checkTimes, s.checkResiduals, s.checkVerdict, s.checkLimits} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (s Statement) checkIdentity() error {
	for _, f := range []struct{ name, value string }{
		{"controller", s.Controller},
		{"erasure", s.Erasure},
		{"subjectCommitment", s.SubjectCommitment},
		{"ground", s.Ground},
		{"channel", s.Channel},
		{"planHash", s.PlanHash},
	} {
		if f.value == "" {
			return fmt.Errorf("%s is missing", f.name)
		}
	}
	return nil
}

func (s Statement) checkTimes() error {
	if s.RequestedTime.IsZero() || s.VerifiedTime.IsZero() || s.IssuedTime.IsZero() {
		return fmt.Errorf("requestedTime, verifiedTime and issuedTime are required")
	}
	if t := s.total(); s.StartedTime.IsZero() && t.Erased+t.Anonymised > 0 {
		return fmt.Errorf("startedTime is missing though something was erased")
	}
	start := s.StartedTime
	if start.IsZero() {
		start = s.VerifiedTime
	}
	persons := map[string]bool{}
	for _, a := range s.Approvals {
		switch {
		case a.Person == "" || persons[a.Person]:
			return fmt.Errorf("an approval has no person or the same person as another")
		case before(a.Time, s.RequestedTime) || before(start, a.Time):
			return fmt.Errorf("an approval is not between request and start")
		}
		persons[a.Person] = true
	}
	if before(start, s.RequestedTime) || before(s.VerifiedTime, start) || before(s.IssuedTime, s.VerifiedTime) {
		return fmt.Errorf("requested, started, verified and issued times are not in this order")
	}
	return nil
}

// before reports whether a is earlier than b by more than clocks may differ.
func before(a, b Instant) bool { return a.Add(clockSkew).Before(b.Time) }

func (s Statement) checkSystems() error {
	systems := map[string]bool{}
	for _, system := range s.Systems {
		if system.System == "" || systems[system.System] {
			return fmt.Errorf("a system has no name or is listed twice")
		}
		systems[system.System] = true
		if err := system.checkDatasets(); err != nil {
			return fmt.Errorf("system %q: %w", system.System, err)
		}
	}
	return s.total().check()
}

func (s System) checkDatasets() error {
	type key struct{ dataset, activity string }
	seen := map[key]bool{}
	for _, d := range s.Datasets {
		k := key{d.Dataset, d.Activity}
		if d.Dataset == "" || seen[k] {
			return fmt.Errorf("a dataset has no name or is listed twice for one activity")
		}
		seen[k] = true
		if err := d.check(); err != nil {
			return fmt.Errorf("dataset %q: %w", d.Dataset, err)
		}
	}
	return nil
}

func (d Dataset) check() error {
	for _, n := range []int64{d.Located, d.Erased, d.Anonymised, d.Kept, d.Unchanged, d.Remaining} {
		if n < 0 || n > maxInteger {
			return fmt.Errorf("a count is not between 0 and 2^53-1")
		}
	}
	if d.Kept > 0 && (d.KeptGround == "" || d.KeptArticle == "") {
		return fmt.Errorf("records are kept without ground or article")
	}
	if d.handled() > maxInteger {
		return fmt.Errorf("the counts add up to more than 2^53-1")
	}
	return nil
}

// handled is the number of records that are accounted for. Four counts below 2^53 cannot overflow it.
func (d Dataset) handled() int64 { return d.Erased + d.Anonymised + d.Kept + d.Unchanged }

// total sums all datasets. Each of at most MaxSize/100 datasets adds less than 2^53, which could overflow; saturate instead.
func (s Statement) total() Dataset {
	var t Dataset
	for _, system := range s.Systems {
		for _, d := range system.Datasets {
			t.Located = saturate(t.Located, d.Located)
			t.Erased = saturate(t.Erased, d.Erased)
			t.Anonymised = saturate(t.Anonymised, d.Anonymised)
			t.Kept = saturate(t.Kept, d.Kept)
			t.Unchanged = saturate(t.Unchanged, d.Unchanged)
			t.Remaining = saturate(t.Remaining, d.Remaining)
		}
	}
	t.KeptGround, t.KeptArticle = "-", "-"
	return t
}

// saturate adds two counts and stops just above the largest one allowed, so that check refuses the sum.
func saturate(a, b int64) int64 { return min(a+min(b, maxInteger+1), maxInteger+1) }

func (s Statement) checkResiduals() error {
	for _, r := range s.Residuals {
		if r.System == "" || r.Reason == "" {
			return fmt.Errorf("a residual has no system or no reason")
		}
		if r.Count < 0 || r.Count > maxInteger {
			return fmt.Errorf("a residual's count is not between 0 and 2^53-1")
		}
	}
	return nil
}

func (s Statement) checkVerdict() error {
	t := s.total()
	switch s.Verdict {
	case Complete:
		if t.Kept > 0 || t.handled() == 0 {
			return fmt.Errorf("COMPLETE needs something dealt with and nothing kept")
		}
		return s.checkComplete()
	case CompleteWithKept:
		if t.Kept == 0 {
			return fmt.Errorf("COMPLETE_WITH_KEPT needs something kept")
		}
		return s.checkComplete()
	case NothingFound:
		if t.Located != 0 || t.handled() != 0 || t.Remaining != 0 || len(s.Residuals) != 0 {
			return fmt.Errorf("NOTHING_FOUND needs all counts zero and no residual")
		}
		return nil
	case Partial:
		return s.checkPartial()
	default:
		return fmt.Errorf("the verdict is unknown")
	}
}

func (s Statement) checkComplete() error {
	for _, system := range s.Systems {
		for _, d := range system.Datasets {
			if d.open() {
				return fmt.Errorf("system %q, dataset %q: %s though something remains or is unaccounted for", system.System, d.Dataset, s.Verdict)
			}
		}
	}
	for _, r := range s.Residuals {
		if r.ExpiresTime.IsZero() {
			return fmt.Errorf("system %q: %s though a residual does not expire", r.System, s.Verdict)
		}
	}
	return nil
}

// open reports whether some of the dataset's records are neither gone, kept on a ground, nor as they should be.
func (d Dataset) open() bool { return d.Remaining > 0 || d.handled() < d.Located }

func (s Statement) checkPartial() error {
	if len(s.Residuals) == 0 {
		return fmt.Errorf("PARTIAL names no residual")
	}
	type key struct{ system, dataset string }
	named := map[key]bool{}
	for _, r := range s.Residuals {
		named[key{r.System, r.Dataset}] = true
	}
	for _, system := range s.Systems {
		for _, d := range system.Datasets {
			// A residual without a dataset speaks for its whole system, such as one that could not be reached.
			if d.open() && !named[key{system.System, d.Dataset}] && !named[key{system.System, ""}] {
				return fmt.Errorf("system %q, dataset %q: PARTIAL without naming what is left", system.System, d.Dataset)
			}
		}
	}
	return nil
}

func (s Statement) checkLimits() error {
	if len(s.DoesNotProve) == 0 {
		return fmt.Errorf("doesNotProve is missing")
	}
	for _, t := range s.DoesNotProve {
		if t.En == "" || t.Da == "" {
			return fmt.Errorf("doesNotProve lacks one of its two languages")
		}
	}
	return nil
}
