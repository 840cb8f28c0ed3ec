package memory

import (
	"fmt"
	"slices"
	"unique"

	"github.com/google/uuid"
	"github.com/maypok86/otter/v2"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// people remembers what decides about persons, of all controllers, up to a size. Those that are asked for seldom make room.
type people struct {
	cache *otter.Cache[personKey, person]
}

type personKey struct {
	school uint32
	ref    consent.SubjectRef
}

// person is a consent.Person in a small form: there may be a million.
type person struct {
	erased   bool
	consents []agreed
	more     *demanded // of the few who have anything of it
}

// demanded is what somebody has demanded beyond consents, and under what else they are known.
type demanded struct {
	objected   []unique.Handle[consent.ActivityID]
	restricted []unique.Handle[consent.ActivityID]
	linked     []consent.SubjectRef
}

// agreed is what a decision needs of a consent.
type agreed struct {
	activity   unique.Handle[consent.ActivityID] // a million people consent to the same few activities
	id         uuid.UUID
	given      consent.Revision
	withdrawn  consent.Revision
	expires    int64 // microseconds since 1970, 0: it does not
	sufficient bool
}

// Weights in bytes: what an entry takes besides its consents and the text of its key, what each consent takes, and of what was
// demanded, the whole and each of its ids besides their text. Measured, and rounded up.
const (
	entryWeight    = 208
	consentWeight  = 64
	demandedWeight = 96
	idWeight       = 16
)

func (p person) weight() int {
	w := entryWeight + consentWeight*len(p.consents)
	if p.more != nil {
		w += demandedWeight + idWeight*(len(p.more.objected)+len(p.more.restricted)+len(p.more.linked))
		for _, ref := range p.more.linked {
			w += len(ref)
		}
	}
	return w
}

func newPeople(size int64) (*people, error) {
	cache, err := otter.New(&otter.Options[personKey, person]{
		MaximumWeight: uint64(size),
		Weigher: func(k personKey, p person) uint32 {
			return uint32(len(k.ref) + p.weight())
		},
	})
	if err != nil {
		return nil, fmt.Errorf("memory: cache: %w", err)
	}
	return &people{cache}, nil
}

// get gives what decides about a person's part in one activity.
func (p *people) get(school uint32, ref consent.SubjectRef, activity consent.ActivityID) (consent.Person, bool) {
	found, ok := p.cache.GetIfPresent(personKey{school, ref})
	if !ok {
		return consent.Person{}, false
	}
	out := consent.Person{Erased: found.erased}
	for _, a := range found.consents {
		if a.activity.Value() == activity {
			out.Consents = []consent.Consent{{Activity: activity, ID: consent.ConsentID(a.id.String()), GiveRevision: a.given,
				WithdrawRevision: a.withdrawn, ExpireTime: sqldb.Time(a.expires), Sufficient: a.sufficient}}
			break
		}
	}
	if found.more != nil {
		out.Objected, out.Restricted, out.Linked = ids(found.more.objected), ids(found.more.restricted), found.more.linked
	}
	return out, true
}

func ids(handles []unique.Handle[consent.ActivityID]) []consent.ActivityID {
	out := make([]consent.ActivityID, len(handles))
	for i, h := range handles {
		out[i] = h.Value()
	}
	return out
}

func handles(ids []consent.ActivityID) []unique.Handle[consent.ActivityID] {
	out := make([]unique.Handle[consent.ActivityID], len(ids))
	for i, id := range ids {
		out[i] = unique.Make(id)
	}
	return out
}

// set remembers a person. One whose consents cannot be held in the small form is not remembered, and is read each time.
func (p *people) set(school uint32, ref consent.SubjectRef, known consent.Person) {
	small := person{erased: known.Erased}
	if len(known.Consents) > 0 {
		small.consents = make([]agreed, 0, len(known.Consents))
	}
	for _, c := range known.Consents {
		id, err := uuid.Parse(string(c.ID))
		if err != nil || id.String() != string(c.ID) {
			return
		}
		small.consents = append(small.consents, agreed{unique.Make(c.Activity), id, c.GiveRevision, c.WithdrawRevision, sqldb.Micros(c.ExpireTime), c.Sufficient})
	}
	if len(known.Objected)+len(known.Restricted)+len(known.Linked) > 0 {
		small.more = &demanded{handles(known.Objected), handles(known.Restricted), slices.Clone(known.Linked)}
	}
	p.cache.Set(personKey{school, ref}, small)
}

func (p *people) drop(school uint32, ref consent.SubjectRef) {
	p.cache.Invalidate(personKey{school, ref})
}
