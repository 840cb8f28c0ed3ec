package keys

import (
	"context"
	"maps"
	"slices"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Open returns records as they were reported, as far as the keys of those whom they name still exist. What cannot be read any more
// is marked Erased: it has neither people nor details nor, unless that is an erasure, a resource, but all else of an entry. The leaves stay as they are.
func (k *Keys) Open(ctx context.Context, records []audit.Record) ([]audit.Record, error) {
	out := make([]audit.Record, len(records))
	wanted := map[audit.ControllerID][]audit.KeyID{}
	for i, r := range records {
		out[i] = r
		if len(r.People) > 0 {
			wanted[r.Controller] = append(wanted[r.Controller], r.People...)
		}
	}
	for c, ids := range wanted {
		if err := k.openAll(ctx, c, ids, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// openAll opens the records of one controller where they stand.
func (k *Keys) openAll(ctx context.Context, c audit.ControllerID, ids []audit.KeyID, records []audit.Record) error {
	k.rotation.RLock()
	defer k.rotation.RUnlock()
	return inHand(func(hand *hand) error { return k.openWith(ctx, c, ids, records, hand) })
}

// openWith opens with what it takes in hand.
func (k *Keys) openWith(ctx context.Context, c audit.ControllerID, ids []audit.KeyID, records []audit.Record, hand *hand) error {
	rows, err := k.Store.Get(ctx, c, ids) // what is stored decides, not what is remembered
	if err != nil {
		return err
	}
	defer wipeRows(rows)
	refs := make(map[audit.KeyID]audit.SubjectRef, len(rows))
	for _, row := range rows {
		refs[row.ID] = row.Ref
	}
	if err := k.unwrapFor(ctx, c, rows, records, hand); err != nil {
		return err
	}
	for i := range records {
		if r := &records[i]; r.Controller == c && len(r.People) > 0 {
			if err := k.openOne(r, refs, hand); err != nil {
				return err
			}
		}
	}
	return nil
}

// unwrapFor takes in hand those keys of rows that something is sealed under; decisions only name theirs.
func (k *Keys) unwrapFor(ctx context.Context, c audit.ControllerID, rows []Row, records []audit.Record, hand *hand) error {
	sealing := map[audit.KeyID]bool{}
	for i := range records {
		if len(records[i].Sealed) > 0 {
			for _, id := range records[i].People {
				sealing[id] = true
			}
		}
	}
	age, now := k.memory.now(), k.Clock.Now()
	var needed []Row
	for _, row := range rows {
		switch key := new(secret); {
		case !sealing[row.ID]:
		case k.memory.key(row.ID, now, key):
			hand.keys[row.ID] = key
		default:
			needed = append(needed, row)
		}
	}
	if err := k.unwrap(ctx, c, needed, hand); err != nil {
		return err
	}
	for _, row := range needed {
		k.memory.keepKey(age, c, row.ID, now, hand.keys[row.ID])
	}
	return nil
}

// openOne opens a record with the keys in hand.
func (k *Keys) openOne(r *audit.Record, refs map[audit.KeyID]audit.SubjectRef, hand *hand) error {
	people := make([]audit.SubjectRef, len(r.People))
	keys := make([]*secret, len(r.People))
	for i, id := range r.People {
		ref, lives := refs[id]
		if !lives {
			erase(r)
			return nil
		}
		people[i], keys[i] = ref, hand.keys[id]
	}
	if len(r.Sealed) == 0 {
		r.SubjectRefs, r.People = people, nil
		return nil
	}
	plain, err := k.vault.open(keys, r.Sealed, r.Binding())
	if err != nil {
		return err
	}
	r.Event, err = r.Opened(plain)
	return err
}

// erase leaves of a record what its keys do not protect. The id of a consent leads to the person elsewhere.
func erase(r *audit.Record) {
	r.Erased, r.People, r.Sealed = true, nil, nil
	if _, has := r.Detail["consent"]; has {
		r.Detail = maps.Clone(r.Detail)
		delete(r.Detail, "consent")
	}
}

// Page is a page of a search.
type Page struct {
	Records []audit.Record
	// People are those of the pseudonyms asked for whom the log knows: who have a key, or are named by what was found.
	People []audit.SubjectRef
	// Next goes on behind what was looked at; the zero cursor says that nothing is left.
	Next audit.Cursor
}

// What a search by resource reads at once, and the most that it opens in one call.
const (
	openedAtOnce = 256
	maxOpened    = 20_000
)

// Reader searches entries and opens what it finds.
type Reader struct {
	keys  *Keys
	index audit.Finder
}

// NewReader returns a reader of what an index finds.
func NewReader(keys *Keys, index audit.Finder) *Reader { return &Reader{keys, index} }

// Search finds entries of a controller, newest first, and opens them. With q.SubjectRefs it finds those that name one of these
// people, as long as the person has a key. A page may have less than q.Limit records, or none, while Next says that there is more.
func (r *Reader) Search(ctx context.Context, q audit.Query) (page Page, err error) {
	ids := map[audit.SubjectRef]audit.KeyID{}
	if len(q.SubjectRefs) > 0 {
		if ids, err = r.keys.Store.Find(ctx, q.Controller, q.SubjectRefs); err != nil {
			return Page{}, err
		}
		for _, id := range ids {
			q.People = append(q.People, id)
		}
	}
	if q.Filter.Resource != "" {
		page, err = r.byResource(ctx, q)
	} else {
		page, err = r.plainly(ctx, q)
	}
	for _, ref := range q.SubjectRefs {
		_, lives := ids[ref]
		if lives || slices.ContainsFunc(page.Records, func(r audit.Record) bool { return slices.Contains(r.SubjectRefs, ref) }) {
			page.People = append(page.People, ref)
		}
	}
	return page, err
}

// plainly finds by what stands in the open.
func (r *Reader) plainly(ctx context.Context, q audit.Query) (Page, error) {
	found, err := r.open(ctx, q)
	if err != nil || len(found) < q.Limit {
		return Page{Records: found}, err
	}
	return Page{Records: found, Next: audit.CursorOf(found[len(found)-1])}, nil
}

func (r *Reader) open(ctx context.Context, q audit.Query) ([]audit.Record, error) {
	found, err := r.index.Search(ctx, q)
	if err != nil {
		return nil, err
	}
	return r.keys.Open(ctx, found)
}

// byResource opens what may be about a resource, and keeps what is.
func (r *Reader) byResource(ctx context.Context, q audit.Query) (page Page, err error) {
	limit := q.Limit
	for opened := 0; opened < maxOpened; {
		q.Limit = openedAtOnce
		found, err := r.open(ctx, q)
		if err != nil {
			return Page{}, err
		}
		for _, one := range found {
			if one.Resource == q.Filter.Resource {
				page.Records = append(page.Records, one)
			}
			page.Next = audit.CursorOf(one)
			if len(page.Records) == limit {
				return page, nil
			}
		}
		if len(found) < q.Limit {
			page.Next = audit.Cursor{}
			return page, nil
		}
		q.After, opened = page.Next, opened+len(found)
	}
	return page, nil
}

// Get returns an entry of a controller, opened; audit.ErrNotFound where there is none.
func (r *Reader) Get(ctx context.Context, c audit.ControllerID, id audit.EventID) (audit.Record, error) {
	found, err := r.index.Get(ctx, c, id)
	if err != nil {
		return audit.Record{}, err
	}
	opened, err := r.keys.Open(ctx, []audit.Record{found})
	if err != nil {
		return audit.Record{}, err
	}
	return opened[0], nil
}
