package server

import (
	"context"
	"fmt"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
)

// gatewayName is the service that tells by itself who logs in and who is turned away.
const gatewayName = "gateway"

// loggedIn notes that a token has come to this service for the first time, and not through the gateway: its holder logs in here, in the
// log of each of its controllers. The events wait in memory for the next writing (see [outbox.Outbox.Later]), so that no call waits for
// them; told again after a new start they have the same ids.
func (g *guard) loggedIn(ctx context.Context, c access.Caller, token string) {
	if g.outbox == nil || peerService(ctx) == gatewayName || !g.doors.First(token) {
		return
	}
	controllers := c.Controllers
	if c.AllControllers {
		controllers = []string{""}
	}
	for _, controller := range controllers {
		g.tell(ctx, actorOf(c), outbox.Event{ID: g.verifier.LoginID(token, g.service, controller), Controller: controller})
	}
}

// turnedAway notes a call without a good token that did not come through the gateway: one event a minute and reason, of the suite, with
// how many there were.
func (g *guard) turnedAway(ctx context.Context, err error) {
	f := fault.From(err)
	if g.outbox == nil || peerService(ctx) == gatewayName || f.Kind() != fault.Unauthenticated {
		return
	}
	if count, due := g.doors.Refusal(f.Reason(), g.clock.Now()); due {
		g.tell(ctx, outbox.Actor{Kind: "ANONYMOUS"}, outbox.Event{Action: access.RefuseAction, Outcome: outbox.Denied, Reason: f.Reason(),
			Detail: map[string]string{"count": fmt.Sprint(count)}})
	}
}

func (g *guard) tell(ctx context.Context, who outbox.Actor, e outbox.Event) {
	ctx = outbox.WithCall(ctx, &outbox.Call{Action: access.LoginAction, Kind: outbox.Login, Actor: who})
	if err := g.outbox.Later(ctx, e); err != nil {
		g.log.WarnContext(ctx, "a log-in left no audit event", "error_kind", kinds(err))
		return
	}
	g.outbox.Wake()
}
