package keys

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Config says what keys are made with. Every field but the last one is required.
type Config struct {
	Store Store
	// Keyring wraps the controllers' keys and makes the marks of erased people.
	Keyring *keyring.Keyring
	Clock   audit.Clock
	// NewID gives the ids of the entries that record destructions (UUIDv7).
	NewID func() string
	// KeyTime is how long an unwrapped key is kept, at least ten seconds; 0: [KeyTime].
	KeyTime time.Duration
}

// Keys seals and opens events, and destroys keys. It is safe for concurrent use.
type Keys struct {
	Config
	memory *memory
	// rotation is held by who works with wrapped keys, and alone by who wraps them anew.
	rotation sync.RWMutex
	vault    vault
}

var _ audit.Sealer = (*Keys)(nil)

// New returns keys in a store.
func New(cfg Config) *Keys {
	return &Keys{Config: cfg, memory: newMemory(cmp.Or(cfg.KeyTime, KeyTime))}
}

// Seal implements audit.Sealer. The keys of the people of a whole report are looked for at once, and those that are missing are stored at once.
func (k *Keys) Seal(ctx context.Context, events []audit.Event) ([]audit.Event, error) {
	reports := newReports(events)
	if len(reports) == 0 {
		return events, nil
	}
	out := slices.Clone(events)
	for c, r := range reports {
		if err := k.sealReport(ctx, c, r, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// report is what the events of one controller in a report need.
type report struct {
	// people are all whom the events name, with the time of the last event that does.
	people map[audit.SubjectRef]time.Time
	// places of the events, and refs of those that are not batches: their keys themselves are needed.
	places []int
	single []audit.SubjectRef
}

func newReports(events []audit.Event) map[audit.ControllerID]*report {
	out := map[audit.ControllerID]*report{}
	for place, e := range events {
		if len(e.SubjectRefs) == 0 && e.Batch == nil {
			continue
		}
		r := out[e.Controller]
		if r == nil {
			r = &report{people: map[audit.SubjectRef]time.Time{}}
			out[e.Controller] = r
		}
		r.places = append(r.places, place)
		r.name(e.OccurredTime, e.SubjectRefs)
		r.single = append(r.single, e.SubjectRefs...)
		if e.Batch != nil {
			for i := range e.Batch.Decisions {
				d := &e.Batch.Decisions[i]
				r.name(e.OccurredTime.Add(time.Duration(d.Offset)*time.Microsecond), d.SubjectRefs)
			}
		}
	}
	return out
}

func (r *report) name(at time.Time, refs []audit.SubjectRef) {
	for _, ref := range refs {
		if last, known := r.people[ref]; !known || last.Before(at) {
			r.people[ref] = at
		}
	}
}

// sealReport seals the events of one controller where they stand.
func (k *Keys) sealReport(ctx context.Context, c audit.ControllerID, r *report, events []audit.Event) error {
	if len(r.people) == 0 { // decisions about nobody
		return nil
	}
	k.rotation.RLock()
	defer k.rotation.RUnlock()
	return inHand(func(hand *hand) error { return k.sealWith(ctx, c, r, events, hand) })
}

// sealWith seals with what it takes in hand.
func (k *Keys) sealWith(ctx context.Context, c audit.ControllerID, r *report, events []audit.Event, hand *hand) error {
	ids, err := k.ids(ctx, c, r.people, hand)
	if err != nil {
		return err
	}
	wanted := make([]audit.KeyID, 0, len(r.single))
	for _, ref := range r.single {
		wanted = append(wanted, ids[ref])
	}
	if _, err := k.take(ctx, c, wanted, hand); err != nil {
		return err
	}
	var messages []message
	for _, place := range r.places {
		switch e := events[place]; e.Batch {
		case nil:
			events[place].People = idsFor(e.SubjectRefs, ids)
			messages = append(messages, message{hand.keysOf(events[place].People), e.Secret(), events[place].Binding()})
		default:
			events[place] = naming(e, ids)
		}
	}
	sealed := k.vault.seal(messages)
	for _, place := range r.places {
		if e := events[place]; e.Batch == nil {
			events[place], sealed = e.Sealing(e.People, sealed[0]), sealed[1:]
		}
	}
	return nil
}

// naming returns a batch with keys in the place of pseudonyms.
func naming(e audit.Event, ids map[audit.SubjectRef]audit.KeyID) audit.Event {
	batch := *e.Batch
	batch.Decisions = slices.Clone(batch.Decisions)
	for i := range batch.Decisions {
		if d := &batch.Decisions[i]; len(d.SubjectRefs) > 0 {
			d.People, d.SubjectRefs = idsFor(d.SubjectRefs, ids), nil
		}
	}
	e.Batch = &batch
	return e
}

// idsFor returns the ids of people in ascending order, each once.
func idsFor(refs []audit.SubjectRef, ids map[audit.SubjectRef]audit.KeyID) []audit.KeyID {
	out := make([]audit.KeyID, len(refs))
	for i, ref := range refs {
		out[i] = ids[ref]
	}
	slices.SortFunc(out, compareIDs)
	return slices.Compact(out)
}

func compareIDs(a, b audit.KeyID) int { return bytes.Compare(a[:], b[:]) }

// ids returns the id of each person's key: one that there is, or one of a key that is made now. Who is named by what happened
// before their key was destroyed gets a key that is only in the hand, and lasts as long as that.
func (k *Keys) ids(ctx context.Context, c audit.ControllerID, people map[audit.SubjectRef]time.Time, hand *hand) (map[audit.SubjectRef]audit.KeyID, error) {
	age := k.memory.now()
	ids, missing := k.memory.idsOf(c, people)
	if len(missing) == 0 {
		return ids, nil
	}
	found, err := k.Store.Find(ctx, c, missing)
	if err != nil {
		return nil, err
	}
	missing = slices.DeleteFunc(missing, func(ref audit.SubjectRef) bool { _, ok := found[ref]; return ok })
	if len(missing) > 0 {
		made, err := k.create(ctx, c, missing, people, hand)
		if err != nil {
			return nil, err
		}
		for ref, id := range made {
			found[ref] = id
		}
	}
	k.memory.keepIDs(age, c, found)
	for ref, id := range found {
		ids[ref] = id
	}
	for _, ref := range missing {
		if _, has := ids[ref]; !has {
			ids[ref] = hand.make()
		}
	}
	return ids, nil
}

// create stores new keys for people and returns the ids that they have then; who is marked has none.
func (k *Keys) create(ctx context.Context, c audit.ControllerID, refs []audit.SubjectRef, at map[audit.SubjectRef]time.Time, hand *hand) (map[audit.SubjectRef]audit.KeyID, error) {
	for range 3 {
		key, err := k.controllerKey(ctx, c)
		if err != nil {
			return nil, err
		}
		fresh := make([]Fresh, len(refs))
		for i, ref := range refs {
			id := hand.make()
			wrapped, err := wrap(key, id, hand.keys[id])
			if err != nil {
				return nil, err
			}
			fresh[i] = Fresh{Row{id, ref, wrapped}, k.mark(c, ref), at[ref].Add(-skew)}
		}
		ids, err := k.Store.Create(ctx, c, key.wrapped, k.mark(c, ""), fresh)
		for _, f := range fresh {
			clear(f.Wrapped)
		}
		if !errors.Is(err, ErrGone) {
			return ids, err
		}
		k.memory.forget(c, nil, nil)
	}
	return nil, ErrGone
}

// mark is what is kept of a pseudonym, or with "" of a controller, after the destruction of its key.
func (k *Keys) mark(c audit.ControllerID, ref audit.SubjectRef) string {
	return k.Keyring.Digest("audit/erased", string(c), string(ref))
}

// envelopeOf is what a controller's key is bound to.
func envelopeOf(c audit.ControllerID) string { return "controllers/" + string(c) + "/auditKeys" }

// controllerKey returns the key over a controller's keys, and makes it where there is none.
func (k *Keys) controllerKey(ctx context.Context, c audit.ControllerID) (*controllerKey, error) {
	now := k.Clock.Now()
	if key := k.memory.controller(c, now); key != nil {
		return key, nil
	}
	age := k.memory.now()
	resource := envelopeOf(c)
	_, fresh, err := k.Keyring.NewEnvelope(resource)
	if err != nil {
		return nil, err
	}
	wrapped, err := k.Store.ControllerKey(ctx, c, fresh, now)
	if err != nil {
		return nil, err
	}
	envelope, err := k.Keyring.OpenEnvelope(resource, wrapped)
	if err != nil {
		return nil, err
	}
	key := &controllerKey{envelope, wrapped, now}
	k.memory.keepController(age, c, key)
	return key, nil
}

// take takes the keys with these ids in hand, as far as they exist, and returns their rows: of those that were remembered, none.
func (k *Keys) take(ctx context.Context, c audit.ControllerID, ids []audit.KeyID, hand *hand) ([]Row, error) {
	age, now := k.memory.now(), k.Clock.Now()
	var missing []audit.KeyID
	for _, id := range ids {
		if hand.keys[id] != nil {
			continue
		}
		if key := new(secret); k.memory.key(id, now, key) {
			hand.keys[id] = key
		} else {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return nil, nil
	}
	rows, err := k.Store.Get(ctx, c, missing)
	if err != nil {
		return nil, err
	}
	defer wipeRows(rows)
	if err := k.unwrap(ctx, c, rows, hand); err != nil {
		return nil, err
	}
	for _, row := range rows {
		k.memory.keepKey(age, c, row.ID, now, hand.keys[row.ID])
	}
	return rows, nil
}

// unwrap takes the keys of rows in hand.
func (k *Keys) unwrap(ctx context.Context, c audit.ControllerID, rows []Row, hand *hand) error {
	if len(rows) == 0 {
		return nil
	}
	over, err := k.controllerKey(ctx, c)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if hand.keys[row.ID] != nil {
			continue
		}
		plain, err := over.Open(row.Wrapped)
		if err != nil {
			return fmt.Errorf("keys: unwrapping: %w", err)
		}
		id, key := audit.KeyID{}, new(secret)
		if copy(id[:], plain) < len(id) || copy(key[:], plain[len(id):]) < len(key) || id != row.ID {
			return errors.New("keys: a key stands in the place of another")
		}
		clear(plain)
		hand.keys[id] = key
	}
	return nil
}

// wipeRows overwrites wrapped keys: whoever has one and the master key has the key.
func wipeRows(rows []Row) {
	for _, row := range rows {
		clear(row.Wrapped)
	}
}

// wrap encrypts a key, together with its id, under the controller's.
func wrap(over *controllerKey, id audit.KeyID, key *secret) ([]byte, error) {
	var plain [len(id) + secretSize]byte
	copy(plain[:], id[:])
	copy(plain[len(id):], key[:])
	wrapped, err := over.Seal(plain[:])
	clear(plain[:])
	return wrapped, err
}

// hand holds keys during one call.
type hand struct{ keys map[audit.KeyID]*secret }

// inHand calls fn with an empty hand, and leaves nothing of what it held. The runtime may not move the stack meanwhile, as it would leave the old one as it was: it has
// grown before, and does not shrink as long as more than a quarter of it is in use.
func inHand(fn func(*hand) error) error {
	var quarter [16 << 10]byte
	h := &hand{map[audit.KeyID]*secret{}}
	burn()
	defer h.release()
	err := fn(h)
	runtime.KeepAlive(&quarter)
	return err
}

// make makes a random key and returns its id, which is random too.
func (h *hand) make() (id audit.KeyID) {
	key := new(secret)
	_, _ = rand.Read(id[:]) // crypto/rand.Read never fails
	_, _ = rand.Read(key[:])
	h.keys[id] = key
	return id
}

// keysOf returns keys in the order of their ids. One that was destroyed a moment ago is replaced by one that nobody keeps.
func (h *hand) keysOf(ids []audit.KeyID) []*secret {
	out := make([]*secret, len(ids))
	for i, id := range ids {
		if out[i] = h.keys[id]; out[i] == nil {
			out[i] = h.keys[h.make()]
		}
	}
	return out
}

// release overwrites the keys.
func (h *hand) release() {
	for _, key := range h.keys {
		clear(key[:])
	}
	burn()
}
