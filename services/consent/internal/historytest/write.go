package historytest

import (
	"context"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// School adds the controller of histories.
func School(ctx context.Context, tx sqldb.Tx, store consent.Store, id consent.ControllerID, from time.Time) error {
	return store.CreateController(ctx, tx, consent.Controller{ID: id, Version: 1, DisplayName: "School", Jurisdiction: "DK",
		TimeZone: consent.DefaultTimeZone, CreateTime: from, UpdateTime: from})
}

// elsewhere is the activity of what is about another one.
const elsewhere = "-elsewhere"

// writing is a history on its way into a store.
type writing struct {
	*Record
	store   consent.Store
	tx      sqldb.Tx
	created time.Time // of the activity
	version int64
}

// Write puts a history into a store, act by act, as the handlers would.
func (h *Record) Write(ctx context.Context, tx sqldb.Tx, store consent.Store) error {
	w := &writing{Record: h, store: store, tx: tx}
	for i, a := range h.Acts {
		if err := w.act(ctx, a, h.First+consent.Revision(i)); err != nil {
			return err
		}
	}
	return nil
}

func (w *writing) act(ctx context.Context, a Act, rev consent.Revision) error {
	activity := w.Activity
	if a.Elsewhere {
		activity += elsewhere
	}
	switch a.Kind {
	case Instruct:
		return w.instruct(ctx, a)
	case Give:
		return w.store.AddConsent(ctx, w.tx, consent.Consent{Controller: w.Controller, ID: consent.ConsentID(a.ID), Activity: activity, ActivityVersion: 1,
			Subjects: w.Refs(a.Who), Capacity: consent.Self, Sufficient: !a.Alone, GiveTime: a.At, ExpireTime: a.Ends, GiveRevision: rev})
	case Withdraw:
		return w.store.Withdraw(ctx, w.tx, w.Controller, []consent.ConsentID{consent.ConsentID(a.ID)}, a.At, rev)
	case Object:
		return w.store.AddObjection(ctx, w.tx, consent.Objection{Controller: w.Controller, ID: consent.ObjectionID(a.ID), Activity: activity,
			Subjects: w.Refs(a.Who), State: consent.ObjectionOpen, CreateTime: a.At, CreateRevision: rev})
	case Resolve:
		o := consent.Objection{Controller: w.Controller, ID: consent.ObjectionID(a.ID), State: consent.ObjectionRejected, ResolveTime: a.At, ResolveRevision: rev}
		if a.Upheld {
			o.State = consent.ObjectionUpheld
		}
		return w.store.ResolveObjection(ctx, w.tx, o)
	case Restrict:
		if a.Everywhere {
			activity = ""
		}
		return w.store.AddRestriction(ctx, w.tx, consent.Restriction{Controller: w.Controller, ID: consent.RestrictionID(a.ID), Activity: activity,
			Subjects: w.Refs(a.Who), Ground: "ACCURACY_CONTESTED", CreateTime: a.At, CreateRevision: rev})
	case Lift:
		return w.store.LiftRestriction(ctx, w.tx, consent.Restriction{Controller: w.Controller, ID: consent.RestrictionID(a.ID), LiftTime: a.At, LiftRevision: rev})
	case Erase:
		return w.store.AddErased(ctx, w.tx, consent.Erasure{Controller: w.Controller, Subjects: w.Refs(a.Who), Resource: "erasure", Time: a.Done, RecordTime: a.At})
	case Link:
		link := consent.Link{Subject: w.People[a.Who[0]], Person: w.People[a.Person], Shared: a.Shared}
		return w.store.AddUnion(ctx, w.tx, w.Controller, consent.Union{Revision: rev, Time: a.At, Changed: consent.Links{link}})
	}
	panic("historytest: no such kind of act")
}

// instruct adds a version. A narrow one allows others than who is asked about.
func (w *writing) instruct(ctx context.Context, a Act) error {
	w.version++
	if w.version == 1 {
		w.created = a.At
	}
	v := consent.Activity{Controller: w.Controller, ID: w.Activity, Purpose: "Something", Basis: a.Basis, Version: w.version, Archived: a.Archived,
		Recipients: []string{"others"}, Locations: []string{"SE"}, DataCategories: []string{"usage"}, CreateTime: w.created, UpdateTime: a.At}
	if a.Wide {
		v.Recipients, v.Locations, v.DataCategories = []string{Recipient}, []string{Location}, []string{Category}
	}
	return w.store.AddActivityVersion(ctx, w.tx, v)
}
