package historytest

import (
	"context"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// Case is one question with everything that is on record about it.
type Case struct {
	Question consent.Question
	Refs     []consent.SubjectRef
	History  consent.History
	// Stale: it cannot be shown that the record is complete.
	Stale bool
}

// Situation is one thing that is so: a row of the decision table.
type Situation struct {
	Name string
	// Says it for a reader of the table.
	Says string
	set  func(*Case)
}

// Noon is when the questions of the decision table are asked. What is on record happened in the days before.
var Noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func daysAgo(n int) time.Time { return Noon.AddDate(0, 0, -n) }

// Situations are the rows of the decision table. Where nothing else is said, a guardian has consented if the activity rests on
// consent, the activity goes on, and the question is within what was instructed.
var Situations = []Situation{
	{"no consent", "Nobody has consented.", func(c *Case) { c.History.Consents = nil }},
	{"consent given", "A guardian has consented.", func(*Case) {}},
	{"consent withdrawn", "The consent was withdrawn.", onConsents(func(c *consent.Consent) { c.WithdrawTime, c.WithdrawRevision = daysAgo(1), 9 })},
	{"consent expired", "The consent has come to its end.", onConsents(func(c *consent.Consent) { c.ExpireTime = Noon })},
	{"guardian missing", "A child below the age of consent consented alone.",
		onConsents(func(c *consent.Consent) { c.Capacity, c.Sufficient = consent.Self, false })},
	{"objected", "The person has objected; it is being weighed.", objected(consent.ObjectionOpen)},
	{"objection upheld", "The person has objected, rightly.", objected(consent.ObjectionUpheld)},
	{"objection rejected", "The person has objected; compelling grounds override it.", objected(consent.ObjectionRejected)},
	{"marketing objected", "The purpose is direct marketing, and the person has objected.", func(c *Case) {
		c.History.Versions[0].DirectMarketing = true
		objected(consent.ObjectionUpheld)(c)
	}},
	{"restricted", "Processing of the person's data is restricted.", restricted(func(*consent.Restriction) {})},
	{"restricted here", "Processing for this activity is restricted.", func(c *Case) {
		restricted(func(r *consent.Restriction) { r.Activity = c.Question.Activity })(c)
	}},
	{"restricted elsewhere", "Processing for another activity is restricted.",
		restricted(func(r *consent.Restriction) { r.Activity = "another" })},
	{"restriction lifted", "Processing was restricted and is not any more.",
		restricted(func(r *consent.Restriction) { r.LiftTime, r.LiftRevision = daysAgo(1), 9 })},
	{"archived", "The activity has ended.", func(c *Case) {
		last := c.History.Versions[0]
		last.Version, last.Archived, last.UpdateTime = last.Version+1, true, daysAgo(1)
		c.History.Versions = append(c.History.Versions, last)
	}},
	{"activity unknown", "The controller has registered no such activity.", func(c *Case) { c.History.Versions = nil }},
	{"recipient unknown", "The recipient is not among those instructed.", func(c *Case) { c.Question.Recipient = "stranger" }},
	{"location unknown", "The place is not among those approved.", func(c *Case) { c.Question.Location = "US" }},
	{"category not covered", "One of the categories of data is not the activity's.",
		func(c *Case) { c.Question.DataCategories = []string{Category, "grades"} }},
	{"erased", "The person's data was erased.", func(c *Case) {
		c.History.Erasures = []consent.Erasure{{Subjects: c.Refs, Resource: "erasure", Time: daysAgo(2), RecordTime: daysAgo(1)}}
	}},
	{"not provably fresh", "It cannot be shown that nothing has changed.", func(c *Case) { c.Stale = true }},
}

func onConsents(change func(*consent.Consent)) func(*Case) {
	return func(c *Case) {
		for i := range c.History.Consents {
			change(&c.History.Consents[i])
		}
	}
}

func objected(state consent.ObjectionState) func(*Case) {
	return func(c *Case) {
		o := consent.Objection{ID: consent.ObjectionID(c.id("1")), Activity: c.Question.Activity, Subjects: c.Refs, State: state, CreateTime: daysAgo(2), CreateRevision: 8}
		if state != consent.ObjectionOpen {
			o.ResolveTime, o.ResolveRevision = daysAgo(1), 9
		}
		c.History.Objections = []consent.Objection{o}
	}
}

func restricted(change func(*consent.Restriction)) func(*Case) {
	return func(c *Case) {
		r := consent.Restriction{ID: consent.RestrictionID(c.id("2")), Subjects: c.Refs, Ground: "UNLAWFUL_NOT_ERASED", CreateTime: daysAgo(2), CreateRevision: 8}
		change(&r)
		c.History.Restrictions = []consent.Restriction{r}
	}
}

// id is a UUID of the case's own.
func (c *Case) id(kind string) string {
	h := Record{Activity: c.Question.Activity + consent.ActivityID(kind)}
	return h.id()
}

// Case is the situation under a basis, for an activity and a person of its own.
func (s Situation) Case(basis consent.LegalBasis, activity consent.ActivityID, ref consent.SubjectRef) Case {
	c := Case{
		Question: consent.Question{Activity: activity, Recipient: Recipient, Location: Location, DataCategories: []string{Category}},
		Refs:     []consent.SubjectRef{ref},
	}
	c.History.Versions = []consent.Activity{{ID: activity, Purpose: "Something", Basis: basis, Version: 1, Recipients: []string{Recipient},
		Locations: []string{Location}, DataCategories: []string{Category, "usage"}, CreateTime: daysAgo(9), UpdateTime: daysAgo(9)}}
	if basis == consent.BasisConsent {
		c.History.Consents = []consent.Consent{{ID: consent.ConsentID(c.id("0")), Activity: activity, ActivityVersion: 1, Subjects: c.Refs,
			Capacity: consent.Guardian, Sufficient: true, GiveTime: daysAgo(3), GiveRevision: 7}}
	}
	s.set(&c)
	return c
}

// Write puts what is on record into a store, under a controller.
func (c *Case) Write(ctx context.Context, tx sqldb.Tx, store consent.Store, controller consent.ControllerID) error {
	for _, v := range c.History.Versions {
		v.Controller = controller
		if err := store.AddActivityVersion(ctx, tx, v); err != nil {
			return err
		}
	}
	for _, given := range c.History.Consents {
		given.Controller = controller
		if err := store.AddConsent(ctx, tx, given); err != nil {
			return err
		}
	}
	for _, o := range c.History.Objections {
		o.Controller = controller
		if err := store.AddObjection(ctx, tx, o); err != nil {
			return err
		}
	}
	for _, r := range c.History.Restrictions {
		r.Controller = controller
		if err := store.AddRestriction(ctx, tx, r); err != nil {
			return err
		}
	}
	for _, e := range c.History.Erasures {
		e.Controller = controller
		if err := store.AddErased(ctx, tx, e); err != nil {
			return err
		}
	}
	return nil
}
