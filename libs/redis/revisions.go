package redis

import (
	"context"
	"time"
)

// ProofAge is how long a proof of freshness holds: no decision without a consistency token is older.
const ProofAge = 2 * time.Second

// renewAge is when a proof is renewed in the background, while somebody asks: early enough for a slow database.
const renewAge = ProofAge / 2

// Source reads the newest committed revision of a controller: from the primary, never from a replica of the database, which may lag.
type Source func(ctx context.Context, controller Controller) (revision int64, err error)

// Revisions knows, in every replica of a service, the newest revision of each controller's register and consents, and since when
// that is proven. A withdrawal, an objection, an erasure and a change of the register each take the next revision; a decision in
// a cache holds as long as the revision at which it was made is the newest (GDPR Art. 7(3): withdrawing is as easy as giving).
//
// # What a proof is
//
// That Redis knows revision 7 proves nothing: the notice of 8 may have been lost, or Redis restarted from an old snapshot. A proof
// therefore always goes back to a read of the database: "when I asked, at provenAt, nothing newer than this revision was committed".
// One replica's read serves all of them; no clock of another machine has a part in it. A notice that gets through only makes the
// news arrive sooner than the proof ends.
//
// The rule for a decision without a token:
//
//	revision, _, ok := revisions.Fresh(controller)
//	if !ok {
//		revision, _, err = revisions.Prove(ctx, controller) // asks the database
//	}
//	// A cached decision made at this revision, or at a later one, may be used.
type Revisions interface {
	// Publish tells all replicas of a revision, after its transaction has committed and before the call is answered. A lower
	// revision than the newest known changes nothing. An error needs no reaction: the replicas learn it within ProofAge anyway.
	// This replica knows it at once, also when there is an error.
	Publish(ctx context.Context, controller Controller, revision int64) error
	// Fresh gives the newest known revision, which never goes back, and the moment for which it is proven. It does not wait. ok
	// means that the proof is not older than ProofAge; without it, nothing may be answered from a cache. Who computes long after
	// it compares provenAt again before answering.
	Fresh(controller Controller) (revision int64, provenAt time.Time, ok bool)
	// Prove reads the database and gives what Fresh then gives. Calls at the same time share one read. The error is the database's.
	Prove(ctx context.Context, controller Controller) (revision int64, provenAt time.Time, err error)
	// Watch calls fn with each newer revision of any controller that becomes known here, until stop is called. fn must not wait.
	Watch(fn func(controller Controller, revision int64)) (stop func())
	// Run renews the proofs of controllers that are asked for, and listens for notices. It returns nil after ctx has ended. Without
	// it everything works, with more reads of the database.
	Run(ctx context.Context) error
}

var (
	_ Revisions = (*LocalRevisions)(nil)
	_ Revisions = (*SharedRevisions)(nil)
)
