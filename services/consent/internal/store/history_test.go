package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/historytest"
)

const (
	histories = 10_000
	batchSize = 500
	// atOnce is how many batches are on their way.
	atOnce = 4
)

var start = time.Date(2026, 3, 2, 12, 0, 0, 123456000, time.UTC)

// seed is new in each run, or that of an earlier one.
func seed(t *testing.T) uint64 {
	t.Helper()
	if text := os.Getenv("PRIVACYOPS_TEST_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return rand.Uint64()
}

// asked is a history as it was read from the store for the people of one question.
type asked struct {
	*historytest.Record
	historytest.Asked
	read    consent.History
	moments []consent.Moment
}

// makeBatch makes a controller with histories. Its people have the same pseudonyms as every other controller's, so that what
// reaches across controllers shows.
func makeBatch(r *rand.Rand, number int) []asked {
	controller := consent.ControllerID("school-" + strconv.Itoa(number))
	batch := make([]asked, batchSize)
	for i := range batch {
		var people []consent.SubjectRef
		for p := range 4 {
			people = append(people, consent.SubjectRef(fmt.Sprintf("%d-%d", i, p)))
		}
		rec := historytest.Random(r, controller, consent.ActivityID("activity-"+strconv.Itoa(i)), people, start)
		batch[i] = asked{Record: &rec, Asked: rec.Asking(r), moments: rec.Moments(r)}
	}
	return batch
}

// through puts a batch into a database and reads it back.
func through(ctx context.Context, db *sqldb.DB, batch []asked) error {
	err := db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		if err := historytest.School(ctx, tx, Store{}, batch[0].Controller, start); err != nil {
			return err
		}
		for _, a := range batch {
			if err := a.Write(ctx, tx, Store{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return db.Read(ctx, func(ctx context.Context, q sqldb.Querier) (err error) {
		for i := range batch {
			a := &batch[i]
			if a.read, err = (Store{}).History(ctx, q, a.Controller, a.Activity, a.Refs(a.Who)); err != nil {
				return err
			}
		}
		return nil
	})
}

// compared is how often the domain and the model were asked, how often they differed, and the first time they did.
type compared struct {
	questions, different int
	first                string
}

// compare asks the domain, on what was read, and the model, on what happened, at every moment.
func compare(batch []asked, model historytest.Model) (out compared) {
	for _, a := range batch {
		question, refs := a.Question(a.Asked), a.Refs(a.Who)
		for _, a.Moment = range a.moments {
			d := consent.Decide(question, consent.SnapshotAt(a.read, refs, a.Moment))
			got, want := historytest.Said{Reason: string(d.Reason), Version: d.Version, Consent: string(d.Consent)}, model.Says(a.Record, a.Asked)
			out.questions++
			if got == want {
				continue
			}
			if out.different++; out.first == "" {
				out.first = fmt.Sprintf("%v asked of %v as of %s known at %s: %+v, want %+v", a.Record, refs, a.Moment.AsOf, a.Moment.KnownAt, got, want)
			}
		}
	}
	return out
}

// The answer about every moment of a random history is the model's, whatever the engine.
func TestThePastFollowsTheModel(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := enginetest.Open(t, enginetest.URL(t, engine), Migrations())
		seed, results, errs := seed(t), make([]compared, histories/batchSize), make([]error, histories/batchSize)
		var workers sync.WaitGroup
		for w := range atOnce {
			workers.Go(func() {
				for n := w; n < len(results); n += atOnce {
					batch := makeBatch(rand.New(rand.NewPCG(seed, uint64(n))), n)
					if errs[n] = through(t.Context(), db, batch); errs[n] == nil {
						results[n] = compare(batch, historytest.Model{})
					}
				}
			})
		}
		workers.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		var all compared
		for _, c := range results {
			all = compared{all.questions + c.questions, all.different + c.different, cmp.Or(all.first, c.first)}
		}
		t.Logf("%s: seed %d, %d histories, %d questions, %d differences", engine, seed, histories, all.questions, all.different)
		if all.different > 0 {
			t.Errorf("%d of %d answers differ (PRIVACYOPS_TEST_SEED=%d). The first:\n%s", all.different, all.questions, seed, all.first)
		}
	})
}

// The comparison notices a model that is wrong in one thing, and a store that loses one kind of act.
func TestTheModelWouldNotice(t *testing.T) {
	t.Parallel()
	db := enginetest.Open(t, enginetest.URL(t, sqldb.SQLite), Migrations())
	// Always the same histories: a single batch of others may happen to hold none in which a rare loss shows.
	batch := makeBatch(rand.New(rand.NewPCG(2, 0)), 0)
	if err := through(t.Context(), db, batch); err != nil {
		t.Fatal(err)
	}
	if right := compare(batch, historytest.Model{}); right.different > 0 {
		t.Fatalf("%d of %d answers differ already", right.different, right.questions)
	}
	models := map[string]historytest.Model{"leaves out the moment itself": {Early: true}, "knows everything at all times": {AllKnowing: true}}
	for _, kind := range []historytest.Kind{historytest.Instruct, historytest.Give, historytest.Withdraw, historytest.Object, historytest.Resolve,
		historytest.Restrict, historytest.Lift, historytest.Erase, historytest.Link} {
		models["forgets "+string(kind)] = historytest.Model{Forgets: kind}
	}
	for name, model := range models {
		if c := compare(batch, model); c.different == 0 {
			t.Errorf("a model that %s agrees in all %d answers", name, c.questions)
		}
	}
	for name, lose := range losses {
		lossy := make([]asked, len(batch))
		for i, a := range batch {
			lossy[i] = a
			lossy[i].read = lose(a.read)
		}
		if c := compare(lossy, historytest.Model{}); c.different == 0 {
			t.Errorf("a store that loses %s agrees in all %d answers", name, c.questions)
		}
	}
}

// losses are what a store could lose between what happened and what is read.
var losses = map[string]func(consent.History) consent.History{
	"withdrawals": func(h consent.History) consent.History {
		h.Consents = each(h.Consents, func(c *consent.Consent) { c.WithdrawTime, c.WithdrawRevision = time.Time{}, 0 })
		return h
	},
	"the newest version": func(h consent.History) consent.History {
		h.Versions = h.Versions[:max(0, len(h.Versions)-1)]
		return h
	},
	"objections": func(h consent.History) consent.History { h.Objections = nil; return h },
	"decisions of objections": func(h consent.History) consent.History {
		h.Objections = each(h.Objections, func(o *consent.Objection) {
			o.State, o.ResolveTime, o.ResolveRevision = consent.ObjectionOpen, time.Time{}, 0
		})
		return h
	},
	"when objections were decided": func(h consent.History) consent.History {
		h.Objections = each(h.Objections, func(o *consent.Objection) { o.ResolveTime = o.CreateTime })
		return h
	},
	"restrictions": func(h consent.History) consent.History { h.Restrictions = nil; return h },
	"the lifting of restrictions": func(h consent.History) consent.History {
		h.Restrictions = each(h.Restrictions, func(r *consent.Restriction) { r.LiftTime, r.LiftRevision = time.Time{}, 0 })
		return h
	},
	"erasures": func(h consent.History) consent.History { h.Erasures = nil; return h },
	"when erasures were noted": func(h consent.History) consent.History {
		h.Erasures = each(h.Erasures, func(e *consent.Erasure) { e.RecordTime = e.Time })
		return h
	},
	"links": func(h consent.History) consent.History { h.Links = nil; return h },
	"who shares an identifier": func(h consent.History) consent.History {
		h.Links = each(h.Links, func(l *consent.LinkVersion) { l.Shared = false })
		return h
	},
	"further subjects of consents": func(h consent.History) consent.History {
		h.Consents = each(h.Consents, func(c *consent.Consent) { c.Subjects = c.Subjects[:1] })
		return h
	},
}

func each[T any](list []T, change func(*T)) []T {
	out := append([]T(nil), list...)
	for i := range out {
		change(&out[i])
	}
	return out
}

// explaining runs queries, and keeps how SQLite goes about them.
type explaining struct {
	sqldb.Querier
	plans []string
}

func (e *explaining) Query(ctx context.Context, query string, args ...any) (sqldb.Rows, error) {
	plan, err := collect(ctx, e.Querier, func(r sqldb.Row) (detail string, err error) {
		var id, parent, unused int64
		err = r.Scan(&id, &parent, &unused, &detail)
		return detail, err
	}, "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		return nil, err
	}
	e.plans = append(e.plans, strings.Join(plan, "\n")+"\nof "+query)
	return e.Querier.Query(ctx, query, args...)
}

// A history is found by indexes, however many people and acts there are.
func TestHistoryIsFoundByIndexes(t *testing.T) {
	t.Parallel()
	db := enginetest.Open(t, enginetest.URL(t, sqldb.SQLite), Migrations())
	e := &explaining{}
	err := db.Read(t.Context(), func(ctx context.Context, q sqldb.Querier) error {
		e.Querier = q
		_, err := (Store{}).History(ctx, e, "a", "photos", []consent.SubjectRef{"u1", "u2"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(e.plans) < 6 {
		t.Errorf("%d queries were explained", len(e.plans))
	}
	for _, plan := range e.plans {
		for line := range strings.Lines(plan) {
			if strings.HasPrefix(line, "SCAN ") || strings.HasPrefix(line, "SEARCH ") && !strings.Contains(line, "(controller=? AND ") {
				t.Errorf("goes through a table: %s\n%s", line, plan)
			}
		}
	}
}
