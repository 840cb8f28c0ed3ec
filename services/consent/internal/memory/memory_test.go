package memory_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/memory"
	"github.com/privacyops/privacyops/services/consent/internal/store"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// installation is one database with any number of replicas that remember it.
type installation struct {
	t     testing.TB
	db    *sqldb.DB
	clock *clock.Fake

	mu      sync.Mutex
	history []moment // of school `a`, by revision from 1 on
}

// moment is what holds from one revision on.
type moment struct {
	at time.Time
	// standing is the consent that counts for the activity `photos`, by person.
	standing map[consent.SubjectRef]consent.ConsentID
	version  int64
	// restricted and objected hold the ids of those who have demanded so, persons whose identifiers are whose.
	restricted map[consent.SubjectRef]consent.RestrictionID
	objected   map[consent.SubjectRef]consent.ObjectionID
	persons    map[consent.SubjectRef]consent.SubjectRef
}

// all gives the refs and those that are linked to one of them.
func (m moment) all(refs []consent.SubjectRef) []consent.SubjectRef {
	out := slices.Clone(refs)
	for _, ref := range refs {
		for other, person := range m.persons {
			if person == m.persons[ref] && !slices.Contains(out, other) {
				out = append(out, other)
			}
		}
	}
	return out
}

// replica is one memory, and whether it hears of changes.
type replica struct {
	*memory.Memory
	revisions *redis.LocalRevisions
}

func install(t testing.TB) *installation {
	t.Helper()
	db, err := sqldb.Open(context.Background(), sqldb.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "c.db")})
	check(t, err)
	t.Cleanup(func() { _ = db.Close() })
	check(t, db.Migrate(context.Background(), store.Migrations()))
	in := &installation{t: t, db: db, clock: clock.NewFake(noon)}
	check(t, db.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) error {
		return store.Store{}.CreateController(ctx, tx, consent.Controller{ID: "a", Version: 1, CreateTime: noon, UpdateTime: noon})
	}))
	in.history = []moment{{at: noon, standing: map[consent.SubjectRef]consent.ConsentID{}, restricted: map[consent.SubjectRef]consent.RestrictionID{},
		objected: map[consent.SubjectRef]consent.ObjectionID{}, persons: map[consent.SubjectRef]consent.SubjectRef{}}}
	in.instruct()
	return in
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// blind is a store that does not tell what has changed.
type blind struct{ store.Store }

func (blind) ChangesAfter(context.Context, sqldb.Querier, consent.ControllerID, consent.Revision, int) ([]consent.Change, error) {
	return nil, nil
}

func (in *installation) replica(known memory.Store, db memory.Database, size int64) replica {
	in.t.Helper()
	r := replica{revisions: redis.NewLocalRevisions(func(ctx context.Context, id redis.Controller) (rev int64, err error) {
		err = db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
			newest, err := store.Store{}.Revision(ctx, q, consent.ControllerID(id))
			rev = int64(newest)
			return err
		})
		return rev, err
	}, in.clock)}
	var err error
	r.Memory, err = memory.New(memory.Config{DB: db, Store: known, Revisions: r.revisions, Clock: in.clock, Size: size})
	check(in.t, err)
	return r
}

// change commits something at the next revision, and gives the revision.
func (in *installation) change(c consent.Change, next func(*moment), fn func(ctx context.Context, tx sqldb.Tx, rev consent.Revision) error) consent.Revision {
	in.mu.Lock()
	defer in.mu.Unlock()
	c.Controller, c.Time = "a", in.clock.Now()
	check(in.t, in.db.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) (err error) {
		if c.Revision, err = (store.Store{}).Advance(ctx, tx, "a"); err != nil {
			return err
		}
		if _, err = (store.Store{}).AddChange(ctx, tx, c); err != nil {
			return err
		}
		return fn(ctx, tx, c.Revision)
	}))
	last := in.history[len(in.history)-1]
	m := moment{at: c.Time, version: last.version, standing: maps.Clone(last.standing), restricted: maps.Clone(last.restricted),
		objected: maps.Clone(last.objected), persons: maps.Clone(last.persons)}
	next(&m)
	in.history = append(in.history, m)
	if int(c.Revision) != len(in.history) {
		in.t.Fatalf("revision %d, want %d", c.Revision, len(in.history))
	}
	return c.Revision
}

// instruct adds a version of the activity `photos`.
func (in *installation) instruct() consent.Revision {
	version := in.history[len(in.history)-1].version + 1
	return in.change(consent.Change{Kind: consent.OfActivity, Activity: "photos"}, func(m *moment) { m.version = version },
		func(ctx context.Context, tx sqldb.Tx, _ consent.Revision) error {
			return store.Store{}.AddActivityVersion(ctx, tx, consent.Activity{Controller: "a", ID: "photos", Version: version, Basis: consent.BasisConsent,
				CreateTime: noon, UpdateTime: noon})
		})
}

// give gives a consent under each of the pseudonyms.
func (in *installation) give(refs ...consent.SubjectRef) consent.Revision {
	id := consent.ConsentID(uuid.NewString())
	c := consent.Change{Kind: consent.Agreement, Activity: "photos", Consents: []consent.ConsentID{id}, Subjects: refs}
	return in.change(c, func(m *moment) {
		for _, ref := range refs {
			m.standing[ref] = id
		}
	}, func(ctx context.Context, tx sqldb.Tx, rev consent.Revision) error {
		return store.Store{}.AddConsent(ctx, tx, consent.Consent{Controller: "a", ID: id, Activity: "photos", ActivityVersion: 1, Subjects: refs,
			Capacity: consent.Self, Sufficient: true, GiveTime: in.clock.Now(), GiveRevision: rev})
	})
}

// wrong says what is wrong with an answer: it must be exactly what held at its revision, and the revision must be none that was
// outdated two seconds ago, nor older than the one that was seen.
func (in *installation) wrong(known memory.Known, rev consent.Revision, asked memory.Asked, seen consent.Revision, askedAt time.Time) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	if rev < 1 || int(rev) > len(in.history) {
		return fmt.Sprintf("revision %d was never there", rev)
	}
	m := in.history[rev-1]
	if known.Activity == nil || known.Activity.Version != m.version {
		return fmt.Sprintf("at revision %d version %d was valid, not %v", rev, m.version, known.Activity)
	}
	for i, ref := range asked.Subjects {
		got := consent.ConsentID("")
		if c := consent.StandingOf(known.People[i:i+1], "photos"); c != nil {
			got = c.ID
		}
		if got != m.standing[ref] {
			return fmt.Sprintf("at revision %d %q counted for %s, not %q", rev, m.standing[ref], ref, got)
		}
	}
	if problem := m.wrongPerson(known, asked.Subjects); problem != "" {
		return fmt.Sprintf("at revision %d %s", rev, problem)
	}
	if rev < seen {
		return fmt.Sprintf("revision %d is older than %d, which the asker has seen", rev, seen)
	}
	if int(rev) < len(in.history) && askedAt.Sub(in.history[rev].at) > redis.ProofAge {
		return fmt.Sprintf("revision %d was outdated %s before", rev, askedAt.Sub(in.history[rev].at))
	}
	return ""
}

// Random changes, some of them announced, some not, against random questions to several replicas: every answer is what held at
// its revision, and fresh enough. A replica that is not told what has changed is found out.
func TestAnswersAreWhatHeld(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	r, in := rand.New(rand.NewPCG(seed, 0)), install(t)
	replicas := []replica{in.replica(store.Store{}, in.db, 0), in.replica(store.Store{}, in.db, 600), in.replica(blind{}, in.db, 0)}
	refs := []consent.SubjectRef{"sub_1", "sub_2", "sub_3", "sub_4"}
	newest, answers, found := consent.Revision(len(in.history)), 0, 0
	waits := []time.Duration{100 * time.Millisecond, 900 * time.Millisecond, 2100 * time.Millisecond, 2 * time.Hour}
	for range 3000 {
		r.Shuffle(len(refs), func(i, j int) { refs[i], refs[j] = refs[j], refs[i] })
		switch act := r.IntN(10); {
		case act < 3:
			newest = in.something(r, refs)
			for _, one := range replicas {
				if r.IntN(3) > 0 { // every third notice is lost
					check(t, one.revisions.Publish(t.Context(), "a", int64(newest)))
				}
			}
		case act == 3:
			in.clock.Advance(waits[min(r.IntN(40), r.IntN(3)+r.IntN(20)/19)])
		default:
			n, f := r.IntN(len(replicas)), memory.Freshness{Full: r.IntN(10) == 0}
			if r.IntN(2) == 0 {
				f.Seen = newest
			}
			asked := memory.Asked{Activity: "photos", Subjects: slices.Clone(refs[:1+r.IntN(3)])}
			known, rev, err := replicas[n].Snapshot(t.Context(), "a", []memory.Asked{asked}, f)
			check(t, err)
			problem := in.wrong(known[0], rev, asked, f.Seen, in.clock.Now())
			switch {
			case n == 2 && problem != "":
				found++
			case problem != "":
				t.Fatalf("seed %d: %v %v: %s", seed, asked, f, problem)
			}
			answers++
		}
	}
	t.Logf("seed %d: %d answers; %d wrong ones of the replica that is not told", seed, answers, found)
	if found == 0 {
		t.Error("a memory that never forgets was not found out")
	}
}

// something changes, for the first of the refs.
func (in *installation) something(r *rand.Rand, refs []consent.SubjectRef) consent.Revision {
	switch r.IntN(6) {
	case 0:
		return in.instruct()
	case 1:
		return in.restrict(refs[0])
	case 2:
		return in.object(refs[0])
	case 3:
		return in.link(refs[0], refs[r.IntN(2)])
	}
	return in.give(refs[:1+r.IntN(2)]...)
}

// Many ask while many change: no answer mixes two states.
func TestAnswersWhileThingsChange(t *testing.T) {
	t.Parallel()
	in := install(t)
	one := in.replica(store.Store{}, in.db, 0)
	stop := make(chan struct{})
	var work sync.WaitGroup
	for n := range 3 {
		work.Go(func() {
			for i := range 150 {
				var rev consent.Revision
				if n == 0 && i%10 == 0 {
					rev = in.instruct()
				} else {
					rev = in.give("sub_1", consent.SubjectRef("sub_"+strconv.Itoa(2+i%5)))
				}
				check(t, one.revisions.Publish(t.Context(), "a", int64(rev)))
			}
		})
	}
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				a := memory.Asked{Activity: "photos", Subjects: []consent.SubjectRef{"sub_1", consent.SubjectRef("sub_" + strconv.Itoa(2+n%5))}}
				known, rev, err := one.Snapshot(t.Context(), "a", []memory.Asked{a, {Activity: "photos", Subjects: a.Subjects[1:]}}, memory.Freshness{})
				check(t, err)
				if problem := in.wrong(known[0], rev, a, 0, in.clock.Now()); problem != "" {
					t.Error(problem)
				}
			}
		})
	}
	work.Wait()
	close(stop)
	asking.Wait()
}

// broken is a database that can be taken away.
type broken struct {
	*sqldb.DB
	away  bool
	reads int
}

func (b *broken) Read(ctx context.Context, fn func(ctx context.Context, q sqldb.Querier) error) error {
	b.reads++
	if b.away {
		return fmt.Errorf("connect: %w", sqldb.ErrUnavailable)
	}
	return b.DB.Read(ctx, fn)
}

var anna = memory.Asked{Activity: "photos", Subjects: []consent.SubjectRef{"sub_1"}}

func (r replica) ask(t *testing.T, f memory.Freshness) (memory.Known, consent.Revision, error) {
	t.Helper()
	known, rev, err := r.Snapshot(t.Context(), "a", []memory.Asked{anna}, f)
	if err != nil {
		return memory.Known{}, rev, err
	}
	return known[0], rev, nil
}

// While the database is away a memory answers for as long as it is proven, and then not at all.
func TestTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	in := install(t)
	db := &broken{DB: in.db}
	one := in.replica(store.Store{}, db, 0)
	seen := in.give("sub_1")
	if _, _, err := one.ask(t, memory.Freshness{}); err != nil {
		t.Fatal(err)
	}
	db.away = true
	if _, rev, err := one.ask(t, memory.Freshness{}); err != nil || rev != seen {
		t.Errorf("%d, %v: it was proven just now", rev, err)
	}
	for name, f := range map[string]memory.Freshness{"newer": {Seen: seen + 1}, "full": {Full: true}} {
		if _, _, err := one.ask(t, f); !errors.Is(err, memory.ErrUnproven) {
			t.Errorf("%s: %v", name, err)
		}
	}
	in.clock.Advance(redis.ProofAge + time.Millisecond)
	if _, _, err := one.ask(t, memory.Freshness{}); !errors.Is(err, memory.ErrUnproven) {
		t.Errorf("%v: nothing is proven any more", err)
	}
	db.away = false
	if _, rev, err := one.ask(t, memory.Freshness{}); err != nil || rev != seen {
		t.Errorf("%d, %v: the database is back", rev, err)
	}
}

// What is asked again is not read again.
func TestMemoryIsUsed(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.give("sub_1")
	db := &broken{DB: in.db}
	one := in.replica(store.Store{}, db, 0)
	for range 100 {
		if _, _, err := one.ask(t, memory.Freshness{}); err != nil {
			t.Fatal(err)
		}
	}
	if db.reads > 3 {
		t.Errorf("the database was read %d times for one question", db.reads)
	}
	in.give("sub_2") // somebody else's
	in.clock.Advance(redis.ProofAge + time.Millisecond)
	db.reads = 0
	if _, _, err := one.ask(t, memory.Freshness{}); err != nil || db.reads != 2 {
		t.Errorf("%d reads, %v; want one for the proof and one for the changes", db.reads, err)
	}
}

// A database that has gone back, as after a restored backup, proves nothing.
func TestTheDatabaseGoesBack(t *testing.T) {
	t.Parallel()
	in := install(t)
	one := in.replica(store.Store{}, in.db, 0)
	check(t, one.revisions.Publish(t.Context(), "a", 50))
	if _, _, err := one.ask(t, memory.Freshness{}); !errors.Is(err, memory.ErrUnproven) {
		t.Errorf("%v", err)
	}
}

// A memory that is far behind, or has rested for long, is emptied: it does not ask for changes that may be gone.
func TestAMemoryFarBehind(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]time.Duration{"many changes": redis.ProofAge + 1, "long rest": 2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := install(t)
			one := in.replica(store.Store{}, in.db, 0)
			in.give("sub_1")
			if _, _, err := one.ask(t, memory.Freshness{}); err != nil {
				t.Fatal(err)
			}
			in.give("sub_1")
			if name == "many changes" {
				for range 1000 {
					in.give("sub_2")
				}
			} else {
				check(t, in.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
					_, err := tx.Exec(ctx, `DELETE FROM change`)
					return err
				}))
			}
			in.clock.Advance(wait)
			known, rev, err := one.ask(t, memory.Freshness{})
			check(t, err)
			if problem := in.wrong(known, rev, anna, consent.Revision(len(in.history)), in.clock.Now()); problem != "" {
				t.Error(problem)
			}
		})
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	in := install(t)
	one := in.replica(store.Store{}, in.db, 0)
	_, _, err := one.Snapshot(t.Context(), "b", []memory.Asked{anna}, memory.Freshness{})
	if fault.From(err).Kind() != fault.NotFound {
		t.Errorf("an unknown controller: %v", err)
	}
	known, _, err := one.Snapshot(t.Context(), "a", []memory.Asked{{Activity: "trips", Subjects: []consent.SubjectRef{"x"}}}, memory.Freshness{})
	if err != nil || known[0].Activity != nil || len(known[0].People) != 1 {
		t.Errorf("an unknown activity: %v, %v", known, err)
	}
}
