package outbox

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/sqldb"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

// A commit takes the decisions of a moment, ten or thirty under load, and each entry of the log costs the audit service about as
// much as hundreds of decisions in it. So before decisions are handed over, those of several commits are packed again, into as few
// events as they fit into.
//
// An event counts once by its id. Therefore what may have been handed over must never be packed again: decisions are written open,
// an open event is never handed over, and a transaction that packs open events replaces them by closed ones. Of two replicas that
// want to pack the same, the second finds them gone and looks again.

// errTaken says that another replica has packed the same decisions.
var errTaken = errors.New("outbox: another replica has packed these decisions")

// stored is an event as it is in the table.
type stored struct {
	id   string
	open bool
	*auditv1.ReportedEvent
}

// close packs the open events among rows and returns what may be handed over now. Nothing may be where another replica was faster.
func (o *Outbox) close(ctx context.Context, rows []stored) ([]*auditv1.ReportedEvent, error) {
	var ready []*auditv1.ReportedEvent
	open := map[string][]stored{}
	for _, r := range rows {
		if r.open {
			open[r.GetController()] = append(open[r.GetController()], r)
		} else {
			ready = append(ready, r.ReportedEvent)
		}
	}
	if len(open) == 0 {
		return ready, nil
	}
	// Packing takes the decisions over as they are, so it happens once, however often the transaction is tried.
	packed := map[string][]*auditv1.ReportedEvent{}
	for controller, rows := range open {
		packed[controller] = pack(rows)
	}
	err := o.cfg.DB.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		for controller, rows := range open {
			if err := replace(ctx, tx, rows, packed[controller]); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, errTaken) {
		return ready, nil
	}
	for _, events := range packed {
		ready = append(ready, events...)
	}
	return ready, err
}

// replace puts closed events in the place of open ones, all of which must still be there.
func replace(ctx context.Context, tx sqldb.Tx, rows []stored, by []*auditv1.ReportedEvent) error {
	ids := make([]any, len(rows))
	for i, r := range rows {
		ids[i] = r.id
	}
	for ; len(ids) >= deleted; ids = ids[deleted:] {
		if err := remove(ctx, tx, deleteMany, ids[:deleted]...); err != nil {
			return err
		}
	}
	for _, id := range ids {
		if err := remove(ctx, tx, `DELETE FROM audit_outbox WHERE id = $1`, id); err != nil {
			return err
		}
	}
	for _, e := range by {
		raw, err := proto.Marshal(e)
		if err != nil {
			return fmt.Errorf("outbox: encode decisions: %w", err)
		}
		text := closedMark + base64.StdEncoding.EncodeToString(raw)
		if _, err := tx.Exec(ctx, `INSERT INTO audit_outbox (id, event) VALUES ($1, $2)`, e.GetId(), text); err != nil {
			return fmt.Errorf("outbox: pack decisions: %w", err)
		}
	}
	return nil
}

// deleted is how many rows are deleted at once: one by one, those of a second took as long as fifty commits.
const deleted = 100

var deleteMany = `DELETE FROM audit_outbox WHERE id IN (` + places(deleted) + `)`

func places(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = "$" + strconv.Itoa(i+1)
	}
	return strings.Join(list, ", ")
}

// remove deletes rows, all of which must still be there.
func remove(ctx context.Context, tx sqldb.Tx, query string, ids ...any) error {
	n, err := tx.Exec(ctx, query, ids...)
	if err == nil && n != int64(len(ids)) {
		return errTaken
	}
	return err
}

// pack puts the decisions of events of one controller, which are in the order of their ids, into as few events as they fit into.
// Each keeps the id and the time of the first that it is made of. The rows' decisions become the events': they are changed.
func pack(rows []stored) []*auditv1.ReportedEvent {
	var out []*auditv1.ReportedEvent
	var into *packing
	for _, r := range rows {
		size := proto.Size(r.ReportedEvent)
		if into == nil || into.size+size > maxBatchBytes || len(into.list.Decisions)+len(r.GetDecisions().GetDecisions()) > maxBatch ||
			r.GetOccurTime().AsTime().Sub(into.event.GetOccurTime().AsTime()).Abs() > packWithin {
			into = newPacking(r.ReportedEvent)
			out = append(out, into.event)
		}
		into.add(r.GetDecisions(), r.GetOccurTime().AsTime().Sub(into.event.GetOccurTime().AsTime()).Microseconds())
		into.size += size
	}
	for _, e := range out {
		slices.SortStableFunc(e.GetDecisions().GetDecisions(), byTime)
	}
	return out
}

// packing is an event in the making, of others.
type packing struct {
	event  *auditv1.ReportedEvent
	list   *auditv1.DecisionBatch
	actors map[string]uint32
	texts  map[string]uint32
	size   int
}

func newPacking(first *auditv1.ReportedEvent) *packing {
	list := &auditv1.DecisionBatch{}
	return &packing{event: &auditv1.ReportedEvent{Id: first.GetId(), Controller: first.GetController(), Service: first.GetService(), Actor: first.GetActor(),
		Action: first.GetAction(), Kind: first.GetKind(), Outcome: first.GetOutcome(), OccurTime: first.GetOccurTime(), Decisions: list},
		list: list, actors: map[string]uint32{}, texts: map[string]uint32{}}
}

// add takes over the decisions of another event, whose time is so many microseconds after this one's.
func (p *packing) add(from *auditv1.DecisionBatch, later int64) {
	actors, texts := make([]uint32, len(from.GetActors())), make([]uint32, len(from.GetTexts()))
	for i, a := range from.GetActors() {
		key := a.GetKind().String() + " " + a.GetRef() + fmt.Sprint(a.GetRoles())
		at, ok := p.actors[key]
		if !ok {
			at = uint32(len(p.list.GetActors()))
			p.actors[key], p.list.Actors = at, append(p.list.Actors, a)
		}
		actors[i] = at
	}
	for i, s := range from.GetTexts() {
		at, ok := p.texts[s]
		if !ok {
			at = uint32(len(p.list.GetTexts()))
			p.texts[s], p.list.Texts = at, append(p.list.Texts, s)
		}
		texts[i] = at
	}
	for _, d := range from.GetDecisions() {
		d.Actor, d.Activity, d.Reason, d.OffsetMicros = actors[d.GetActor()], texts[d.GetActivity()], texts[d.GetReason()], d.GetOffsetMicros()+later
		if d.GetRecipient() > 0 {
			d.Recipient = texts[d.GetRecipient()-1] + 1
		}
		p.list.Decisions = append(p.list.Decisions, d)
	}
}

// decodeRow reads a row of the table.
func decodeRow(id, text string) (stored, error) {
	e, err := Decode(text)
	return stored{id, strings.HasPrefix(text, openMark), e}, err
}
