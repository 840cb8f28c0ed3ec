// Package storetest is the suite that every store of the consent service must pass, whatever the engine.
package storetest

import (
	"context"
	"errors"
	"testing" //nolint:depguard // a conformance kit: it is run by the tests of each store
	"time"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// Base is the time at which everything in the suite happens.
var Base = time.Date(2026, 3, 2, 12, 0, 0, 123456000, time.UTC)

// Open gives an empty database with the store's schema, for one test.
type Open func(t *testing.T) (*sqldb.DB, consent.Store)

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, bench){
		"revisions count up":               revisionsCountUp,
		"revisions of one controller":      revisionsOfOneController,
		"concurrent revisions":             concurrentRevisions,
		"a rolled-back revision":           rolledBackRevision,
		"controllers":                      controllers,
		"activities":                       activities,
		"activity versions follow":         activityVersionsFollow,
		"activities by id":                 activitiesByID,
		"systems":                          systems,
		"systems by id":                    systemsByID,
		"consents":                         consents,
		"the latest act stands":            latestActStands,
		"insufficient consents stand last": insufficientStandsLast,
		"standing by any identifier":       standingByAnyIdentifier,
		"consents to an activity":          consentsToActivity,
		"consents of a person in pages":    consentsInPages,
		"withdrawn stays withdrawn":        withdrawnStays,
		"erased subjects":                  erasedSubjects,
		"controllers never meet":           controllersNeverMeet,
		"people":                           people,
		"objections":                       objections,
		"objections in pages":              objectionsInPages,
		"words are forgotten":              wordsAreForgotten,
		"restrictions":                     restrictions,
		"restrictions in pages":            restrictionsInPages,
		"demands are known of people":      demandsAreKnown,
		"links":                            links,
		"namings":                          namings,
		"rights of other controllers":      rightsNeverMeet,
		"changes in order":                 changesInOrder,
		"changes are forgotten":            changesAreForgotten,
		"and leave no holes":               changesAreForgottenWithoutHoles,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, store := open(t)
			test(t, bench{DB: db, Store: store})
		})
	}
}

// bench is a store under test with its database.
type bench struct {
	*sqldb.DB
	consent.Store
}

// write runs fn in a transaction that must succeed.
func (b bench) write(t *testing.T, fn func(ctx context.Context, tx sqldb.Tx) error) {
	t.Helper()
	if err := b.Write(context.Background(), fn); err != nil {
		t.Fatalf("write: %v", err)
	}
}

// refuse runs fn in a transaction that must fail with a fault of the kind.
func (b bench) refuse(t *testing.T, kind fault.Kind, fn func(ctx context.Context, tx sqldb.Tx) error) {
	t.Helper()
	if err := b.Write(context.Background(), fn); err == nil || fault.From(err).Kind() != kind {
		t.Errorf("got %v, want a fault of kind %d", err, kind)
	}
}

// see reads one thing on a snapshot, which must succeed.
func see[T any](t *testing.T, b bench, fn func(ctx context.Context, q sqldb.Querier) (T, error)) (out T) {
	t.Helper()
	err := b.Read(context.Background(), func(ctx context.Context, q sqldb.Querier) (err error) {
		out, err = fn(ctx, q)
		return err
	})
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return out
}

// missing reads one thing on a snapshot, which must not be there.
func missing[T any](t *testing.T, b bench, fn func(ctx context.Context, q sqldb.Querier) (T, error)) {
	t.Helper()
	err := b.Read(context.Background(), func(ctx context.Context, q sqldb.Querier) error {
		_, err := fn(ctx, q)
		return err
	})
	var f *fault.Error
	if !errors.As(err, &f) || f.Error() != fault.Missing().Error() {
		t.Errorf("got %v, want the fault for what is missing", err)
	}
}

// controller adds a controller.
func (b bench) controller(t *testing.T, id consent.ControllerID) {
	t.Helper()
	b.write(t, func(ctx context.Context, tx sqldb.Tx) error {
		return b.CreateController(ctx, tx, consent.Controller{ID: id, Version: 1, DisplayName: "School", Jurisdiction: "DK", CreateTime: Base, UpdateTime: Base})
	})
}

// give adds a consent at the next revision and returns it as it must be read again.
func (b bench) give(t *testing.T, c consent.Consent) consent.Consent {
	t.Helper()
	c.Capacity, c.GiveTime = consent.Self, Base
	b.write(t, func(ctx context.Context, tx sqldb.Tx) (err error) {
		if c.GiveRevision, err = b.Advance(ctx, tx, c.Controller); err != nil {
			return err
		}
		return b.AddConsent(ctx, tx, c)
	})
	return c
}

// withdraw withdraws consents at the next revision.
func (b bench) withdraw(t *testing.T, controller consent.ControllerID, ids ...consent.ConsentID) (rev consent.Revision) {
	t.Helper()
	b.write(t, func(ctx context.Context, tx sqldb.Tx) (err error) {
		if rev, err = b.Advance(ctx, tx, controller); err != nil {
			return err
		}
		return b.Withdraw(ctx, tx, controller, ids, Base.Add(time.Hour), rev)
	})
	return rev
}
