package legalbasis

import (
	"container/list"
	"crypto/sha256"
	"slices"
	"time"

	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// key is a keyed digest of a question.
type key [sha256.Size]byte

// answer is a decision that is kept.
type answer struct {
	key      key
	activity string
	decision *consentv1.Decision
	asked    time.Time
}

// endedBy reports whether the answer has ended by itself. How long it lasts is between two times of the service's clock, so it does
// not matter how wrong this one is; it counts from before the question was sent.
func (a *answer) endedBy(now time.Time) bool {
	if a.decision.GetExpireTime() == nil {
		return false
	}
	lasts := a.decision.GetExpireTime().AsTime().Sub(a.decision.GetDecidedAt().AsTime())
	return now.Sub(a.asked) >= lasts || now.Round(0).Sub(a.asked.Round(0)) >= lasts
}

// touchedBy reports whether the answer may be another one after a change. A change that names no activity is about all of them, one that
// names no person about everybody.
func (a *answer) touchedBy(c *consentv1.LegalBasisChange) bool {
	if c.GetActivity() != "" && c.GetActivity() != a.activity {
		return false
	}
	return len(c.GetSubjectRefs()) == 0 || slices.ContainsFunc(c.GetSubjectRefs(), func(ref string) bool {
		return slices.Contains(a.decision.GetSubjectRefs(), ref)
	})
}

// answers are what is kept, the last used first. Its users take turns.
type answers struct {
	most  int
	order *list.List // of *answer
	byKey map[key]*list.Element
	// byRef finds the answers about a person.
	byRef map[string]map[*list.Element]struct{}
}

func newAnswers(most int) *answers {
	return &answers{most: most, order: list.New(), byKey: map[key]*list.Element{}, byRef: map[string]map[*list.Element]struct{}{}}
}

// get gives the answer to a question, nil where none is kept.
func (s *answers) get(k key) *answer {
	at := s.byKey[k]
	if at == nil {
		return nil
	}
	s.order.MoveToFront(at)
	return at.Value.(*answer)
}

func (s *answers) put(a *answer) {
	if at := s.byKey[a.key]; at != nil {
		s.remove(at)
	}
	at := s.order.PushFront(a)
	s.byKey[a.key] = at
	for _, ref := range a.decision.GetSubjectRefs() {
		if s.byRef[ref] == nil {
			s.byRef[ref] = map[*list.Element]struct{}{}
		}
		s.byRef[ref][at] = struct{}{}
	}
	for s.order.Len() > s.most {
		s.remove(s.order.Back())
	}
}

// drop forgets what a change touches. A change of a person is looked up; one of the register, which is rare, looks at all.
func (s *answers) drop(c *consentv1.LegalBasisChange) {
	var touched []*list.Element
	if refs := c.GetSubjectRefs(); len(refs) > 0 {
		for _, ref := range refs {
			for at := range s.byRef[ref] {
				touched = append(touched, at)
			}
		}
	} else {
		for at := s.order.Front(); at != nil; at = at.Next() {
			touched = append(touched, at)
		}
	}
	for _, at := range touched {
		if a := at.Value.(*answer); s.byKey[a.key] == at && a.touchedBy(c) {
			s.remove(at)
		}
	}
}

func (s *answers) remove(at *list.Element) {
	a := s.order.Remove(at).(*answer)
	delete(s.byKey, a.key)
	for _, ref := range a.decision.GetSubjectRefs() {
		delete(s.byRef[ref], at)
		if len(s.byRef[ref]) == 0 {
			delete(s.byRef, ref)
		}
	}
}
