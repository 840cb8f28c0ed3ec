package storetest

import (
	"context"
	"errors"
	"sync"
	"testing" //nolint:depguard // a conformance kit: it is run by the tests of each store
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

func (b bench) advance(t *testing.T, id consent.ControllerID) (rev consent.Revision) {
	t.Helper()
	b.write(t, func(ctx context.Context, tx sqldb.Tx) (err error) {
		rev, err = b.Advance(ctx, tx, id)
		return err
	})
	return rev
}

func (b bench) revision(t *testing.T, id consent.ControllerID) consent.Revision {
	t.Helper()
	return see(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Revision, error) { return b.Revision(ctx, q, id) })
}

func revisionsCountUp(t *testing.T, b bench) {
	b.controller(t, "a")
	if rev := b.revision(t, "a"); rev != 1 {
		t.Errorf("a new controller is at revision %d, want 1", rev)
	}
	for want := consent.Revision(2); want < 5; want++ {
		if got := b.advance(t, "a"); got != want || b.revision(t, "a") != want {
			t.Errorf("advanced to %d, want %d", got, want)
		}
	}
	missing(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Revision, error) { return b.Revision(ctx, q, "b") })
	b.refuse(t, fault.NotFound, func(ctx context.Context, tx sqldb.Tx) error {
		_, err := b.Advance(ctx, tx, "b")
		return err
	})
}

func revisionsOfOneController(t *testing.T, b bench) {
	b.controller(t, "a")
	b.controller(t, "b")
	b.advance(t, "a")
	if rev := b.revision(t, "b"); rev != 1 {
		t.Errorf("the other controller is at revision %d, want 1", rev)
	}
}

func concurrentRevisions(t *testing.T, b bench) {
	b.controller(t, "a")
	var mu sync.Mutex
	seen := map[consent.Revision]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				rev := b.advance(t, "a")
				mu.Lock()
				if seen[rev] {
					t.Errorf("revision %d was given twice", rev)
				}
				seen[rev] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if rev := b.revision(t, "a"); rev != 41 {
		t.Errorf("40 changes after revision 1 lead to %d", rev)
	}
}

func rolledBackRevision(t *testing.T, b bench) {
	b.controller(t, "a")
	undo := errors.New("undo")
	err := b.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) error {
		if _, err := b.Advance(ctx, tx, "a"); err != nil {
			return err
		}
		return undo
	})
	if !errors.Is(err, undo) || b.revision(t, "a") != 1 {
		t.Errorf("%v, revision %d: a change that did not happen left a revision", err, b.revision(t, "a"))
	}
}

func controllers(t *testing.T, b bench) {
	c := consent.Controller{
		ID: "a", DisplayName: "Sønderskov Skole", Jurisdiction: "DK", TimeZone: "Europe/Copenhagen", Language: "da", Contact: "Vej 1",
		DPO: consent.ContactPerson{Name: "DPO", Email: "dpo@example.org"}, RequiredApprovals: 2, GracePeriod: 36*time.Hour + 5,
		PrimaryIdentifierType: "UNILOGIN", Version: 1, CreateTime: Base, UpdateTime: Base,
	}
	read := func() consent.Controller {
		return see(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Controller, error) {
			return b.Controller(ctx, q, "a")
		})
	}
	create := func(ctx context.Context, tx sqldb.Tx) error { return b.CreateController(ctx, tx, c) }
	b.write(t, create)
	if d := cmp.Diff(c, read()); d != "" {
		t.Errorf("as created: %s", d)
	}
	b.refuse(t, fault.Exists, create)
	c.DisplayName, c.DPO, c.GracePeriod, c.Version, c.UpdateTime = "Ny skole", consent.ContactPerson{}, 0, 2, Base.Add(time.Hour)
	b.write(t, func(ctx context.Context, tx sqldb.Tx) error { return b.UpdateController(ctx, tx, c) })
	if d := cmp.Diff(c, read()); d != "" {
		t.Errorf("as updated: %s", d)
	}
	c.ID = "b"
	b.refuse(t, fault.NotFound, func(ctx context.Context, tx sqldb.Tx) error { return b.UpdateController(ctx, tx, c) })
	missing(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Controller, error) {
		return b.Controller(ctx, q, "b")
	})
}

func activity(controller consent.ControllerID, id consent.ActivityID) consent.Activity {
	return consent.Activity{Controller: controller, ID: id, Purpose: "Learning", Basis: consent.BasisPublicTask, Version: 1,
		Author: "usr_1", CreateTime: Base, UpdateTime: Base}
}

func (b bench) addVersion(t *testing.T, a consent.Activity) {
	t.Helper()
	b.write(t, func(ctx context.Context, tx sqldb.Tx) error { return b.AddActivityVersion(ctx, tx, a) })
}

func (b bench) newest(t *testing.T, controller consent.ControllerID, id consent.ActivityID) consent.Activity {
	t.Helper()
	return see(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Activity, error) {
		return b.Activity(ctx, q, controller, id)
	})
}

func activities(t *testing.T, b bench) {
	b.controller(t, "a")
	a := activity("a", "learning")
	a.SpecialCondition, a.DataCategories, a.SubjectCategories = "g", []string{"identity", "health"}, []string{"pupils"}
	a.Recipients, a.Systems, a.Locations = []string{"publisher"}, []consent.SystemID{"lms", "desk"}, []string{"DK", "SE"}
	a.Retention = consent.Retention{Period: "P6M", Event: "LEFT_ROSTER", Protected: true, Ground: "Arkivloven"}
	a.Source, a.AutomatedDecisions = "Roster", true
	b.addVersion(t, a)
	if d := cmp.Diff(a, b.newest(t, "a", "learning")); d != "" {
		t.Errorf("as created: %s", d)
	}
	b.refuse(t, fault.Exists, func(ctx context.Context, tx sqldb.Tx) error { return b.AddActivityVersion(ctx, tx, a) })
	missing(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Activity, error) {
		return b.Activity(ctx, q, "a", "other")
	})
	plain := activity("a", "plain")
	b.addVersion(t, plain)
	if d := cmp.Diff(plain, b.newest(t, "a", "plain")); d != "" {
		t.Errorf("with nothing in it: %s", d)
	}
}

// readVersions reads the two versions of an activity, of which the second is given, and those that there are not.
func (b bench) readVersions(t *testing.T, second consent.Activity) {
	t.Helper()
	read := func(controller consent.ControllerID, version int64) func(ctx context.Context, q sqldb.Querier) (consent.Activity, error) {
		return func(ctx context.Context, q sqldb.Querier) (consent.Activity, error) {
			return b.ActivityVersion(ctx, q, controller, second.ID, version)
		}
	}
	if d := cmp.Diff([]consent.Activity{activity("a", "learning"), second}, []consent.Activity{see(t, b, read("a", 1)), see(t, b, read("a", 2))}); d != "" {
		t.Errorf("versions by number: %s", d)
	}
	missing(t, b, read("a", 3))
	missing(t, b, read("b", 1))
}

func activityVersionsFollow(t *testing.T, b bench) {
	b.controller(t, "a")
	a := activity("a", "learning")
	b.addVersion(t, a)
	a.Version, a.Purpose, a.Archived, a.Author, a.UpdateTime = 2, "Ended", true, "usr_2", Base.Add(time.Hour)
	b.addVersion(t, a)
	if d := cmp.Diff(a, b.newest(t, "a", "learning")); d != "" {
		t.Errorf("the newest version: %s", d)
	}
	b.readVersions(t, a)
	for _, version := range []int64{2, 4} {
		a.Version = version
		b.refuse(t, fault.NotFound, func(ctx context.Context, tx sqldb.Tx) error { return b.AddActivityVersion(ctx, tx, a) })
	}
	var kept int64
	see(t, b, func(ctx context.Context, q sqldb.Querier) (int64, error) {
		return kept, q.QueryRow(ctx, `SELECT COUNT(*) FROM activity_version WHERE controller = $1`, "a").Scan(&kept)
	})
	if kept != 2 {
		t.Errorf("%d versions are kept, want 2", kept)
	}
	for _, statement := range []string{`UPDATE activity_version SET body = '{}'`, `DELETE FROM activity_version`} {
		err := b.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) error {
			_, err := tx.Exec(ctx, statement)
			return err
		})
		if err == nil {
			t.Errorf("%s was carried out", statement)
		}
	}
}

func activitiesByID(t *testing.T, b bench) {
	b.controller(t, "a")
	b.controller(t, "b")
	for _, id := range []consent.ActivityID{"c3", "a1", "b2"} {
		b.addVersion(t, activity("a", id))
	}
	b.addVersion(t, activity("b", "a0"))
	list := func(after consent.ActivityID, limit int) (ids []consent.ActivityID) {
		for _, a := range see(t, b, func(ctx context.Context, q sqldb.Querier) ([]consent.Activity, error) {
			return b.Activities(ctx, q, "a", after, limit)
		}) {
			ids = append(ids, a.ID)
		}
		return ids
	}
	if d := cmp.Diff([]consent.ActivityID{"a1", "b2", "c3"}, list("", 10)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]consent.ActivityID{"b2"}, list("a1", 1)); d != "" {
		t.Error(d)
	}
	if got := list("c3", 10); got != nil {
		t.Errorf("after the last: %v", got)
	}
}

func systems(t *testing.T, b bench) {
	b.controller(t, "a")
	s := consent.System{Controller: "a", ID: "lms", DisplayName: "Platform", Participant: "lms", Location: "DK", OperatedBy: "Us",
		Mandatory: true, Order: 7, Version: 1, CreateTime: Base, UpdateTime: Base}
	read := func() consent.System {
		return see(t, b, func(ctx context.Context, q sqldb.Querier) (consent.System, error) {
			return b.System(ctx, q, "a", "lms")
		})
	}
	create := func(ctx context.Context, tx sqldb.Tx) error { return b.CreateSystem(ctx, tx, s) }
	b.write(t, create)
	if d := cmp.Diff(s, read()); d != "" {
		t.Errorf("as created: %s", d)
	}
	b.refuse(t, fault.Exists, create)
	s.Mandatory, s.Order, s.OperatedBy, s.Version, s.UpdateTime = false, 0, "", 2, Base.Add(time.Hour)
	b.write(t, func(ctx context.Context, tx sqldb.Tx) error { return b.UpdateSystem(ctx, tx, s) })
	if d := cmp.Diff(s, read()); d != "" {
		t.Errorf("as updated: %s", d)
	}
	s.ID = "other"
	b.refuse(t, fault.NotFound, func(ctx context.Context, tx sqldb.Tx) error { return b.UpdateSystem(ctx, tx, s) })
	missing(t, b, func(ctx context.Context, q sqldb.Querier) (consent.System, error) {
		return b.System(ctx, q, "a", "other")
	})
}

func systemsByID(t *testing.T, b bench) {
	b.controller(t, "a")
	for _, id := range []consent.SystemID{"z", "m", "a"} {
		b.write(t, func(ctx context.Context, tx sqldb.Tx) error {
			return b.CreateSystem(ctx, tx, consent.System{Controller: "a", ID: id, Version: 1, CreateTime: Base, UpdateTime: Base})
		})
	}
	var ids []consent.SystemID
	for _, s := range see(t, b, func(ctx context.Context, q sqldb.Querier) ([]consent.System, error) {
		return b.Systems(ctx, q, "a", "a", 10)
	}) {
		ids = append(ids, s.ID)
	}
	if d := cmp.Diff([]consent.SystemID{"m", "z"}, ids); d != "" {
		t.Error(d)
	}
}
