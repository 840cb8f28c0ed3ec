package redis

import (
	"context"
	"encoding/json"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/privacyops/privacyops/libs/clock"
)

// revisionChannel carries notices. Channels know no databases and no slots: there is one for the installation.
const revisionChannel = "v1:{" + suiteTag + "}:revisions"

// batch is how many controllers are observed at once.
const batch = 128

// SharedRevisions is [Revisions] of several replicas. Without Redis each replica proves for itself.
type SharedRevisions struct {
	*LocalRevisions
	client *Client
}

// NewSharedRevisions makes one that asks source where no other replica has lately.
func NewSharedRevisions(client *Client, source Source, c clock.Clock) *SharedRevisions {
	return &SharedRevisions{LocalRevisions: NewLocalRevisions(source, c), client: client}
}

// notice is what replicas tell each other: a revision and, where it was just read from the database, the ticket of that read.
type notice struct {
	Controller Controller `json:"controller"`
	Revision   int64      `json:"revision"`
	Era        string     `json:"era,omitempty"`
	Ticket     int64      `json:"ticket,omitempty"`
}

func (n notice) encode() string {
	b, _ := json.Marshal(n) //nolint:errchkjson // strings and numbers
	return string(b)
}

// Publish fulfils [Revisions].
func (r *SharedRevisions) Publish(ctx context.Context, controller Controller, revision int64) error {
	if err := r.LocalRevisions.Publish(ctx, controller, revision); err != nil {
		return err
	}
	n := notice{Controller: controller, Revision: revision}
	_, err := r.client.call(ctx, publishScript, keyOf(controller, kindRevision), revision, revisionChannel, n.encode())
	return err
}

// Prove fulfils [Revisions].
func (r *SharedRevisions) Prove(ctx context.Context, controller Controller) (int64, time.Time, error) {
	return r.join(ctx, controller, r.proveForAll)
}

// proveForAll draws a ticket, reads the database and reports. Without Redis the read alone is this replica's proof.
func (r *SharedRevisions) proveForAll(ctx context.Context, controller Controller) error {
	key, ticket := keyOf(controller, kindRevision), random()
	drawn, away := r.client.call(ctx, drawScript, key, ticket)
	if err := r.prove(ctx, controller); err != nil || away != nil {
		return err
	}
	revision, _ := r.known.read(controller)
	n := notice{Controller: controller, Revision: revision, Era: text(drawn, 0), Ticket: number(drawn, 1)}
	// What is not reported is not shared; the proof is this replica's all the same.
	_, _ = r.client.call(ctx, reportScript, key, ticket, n.Ticket, revision, revisionChannel, n.encode())
	return nil
}

// Run fulfils [Revisions].
func (r *SharedRevisions) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		r.listen(ctx)
		return nil
	})
	group.Go(func() error {
		// Replicas are early by different amounts, so that mostly one reads and the others learn of it.
		r.renew(ctx, renewAge+spread(renewAge/4), r.observeAll, r.Prove)
		return nil
	})
	return group.Wait()
}

// observeAll looks at what Redis knows of the controllers.
func (r *SharedRevisions) observeAll(ctx context.Context, controllers []Controller) {
	for len(controllers) > 0 {
		now := controllers[:min(batch, len(controllers))]
		controllers = controllers[len(now):]
		requests := make([]request, len(now))
		for i, controller := range now {
			requests[i] = request{key: keyOf(controller, kindRevision)}
		}
		at := r.known.clock.Now() // before they are sent: what is seen is seen now or later
		for i, reply := range r.client.callEach(ctx, observeScript, requests) {
			if reply == nil {
				continue
			}
			n := notice{Controller: now[i], Era: text(reply, 0), Ticket: number(reply, 2), Revision: number(reply, 3)}
			r.take(n)
			r.known.observe(now[i], observation{at: at, era: n.Era, drawn: number(reply, 1)})
		}
	}
}

// take learns from a notice, late or forged or repeated as it may be: a revision only goes forward, and a ticket counts only by
// what this replica has seen itself.
func (r *SharedRevisions) take(n notice) {
	if n.Revision < 0 || n.Revision > maxRevision {
		return
	}
	at, proven := r.known.provenBy(n.Controller, n.Era, n.Ticket)
	if n.Era == "" || !proven {
		at = time.Time{}
	}
	r.known.prove(n.Controller, n.Revision, at)
}
