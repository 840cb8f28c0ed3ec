package outbox

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/sqldb"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
)

const (
	// relayBatch is about how many events are handed over at once. Decisions that are still open count once for each controller: what
	// they become are few events, however many commits they were written in.
	relayBatch = 200
	// relayRows bounds the rows that are read at once. The audit service may take a second for a report of large events that is not
	// full, and a single caller makes some two thousand decisions in that time, each in a row of its own.
	relayRows = 5000
	// relayBytes are many, because the log writes its last 256 entries anew with each batch, and those of decisions are large. The
	// audit service takes messages up to 1 MiB, and no event has more than some 60 KiB.
	relayBytes = 896 << 10
	relayIdle  = time.Second
	// relayPause is the least time between two rounds that had something to hand over: under load each then carries many events, and
	// costs hardly more than one with a single event.
	relayPause   = 25 * time.Millisecond
	relayTimeout = 15 * time.Second
	relayWait    = 200 * time.Millisecond
	// relaySign is how often a relay that has nothing to hand over says that it is there.
	relaySign    = 30 * time.Second
	relayMaxWait = 5 * time.Second
)

// SentHeader is the header of a report that says when it was sent by the service's own clock, in microseconds since 1970: what is
// behind it in events is how long they waited, and what is between it and the audit service's clock is how wrong this one is.
const SentHeader = "privacyops-sent-time"

// Relay hands events to the audit service until ctx ends, and gives a sign of life where there are none. It goes on by itself after
// every failure: events wait, none is lost, and one that was accepted without our learning of it is sent again and counted once.
func (o *Outbox) Relay(ctx context.Context, client auditv1.AuditIngestClient, log *slog.Logger) {
	ctx = sqldb.WithAllControllers(ctx)
	wait, signed := relayWait, o.cfg.Clock.Now()
	for ctx.Err() == nil {
		n, more, err := o.relayOnce(ctx, client)
		if now := o.cfg.Clock.Now(); n > 0 {
			signed = now
		} else if err == nil && now.Sub(signed) >= relaySign {
			signed, err = now, o.report(ctx, client, nil)
		}
		switch {
		case err != nil && ctx.Err() == nil:
			log.WarnContext(ctx, "audit events wait: they cannot be handed to the audit service", "code", status.Code(err).String())
			o.sleep(ctx, wait, false)
			wait = min(2*wait, relayMaxWait)
		case n > 0:
			wait = relayWait
			if !more {
				o.sleep(ctx, relayPause, false)
			}
		default:
			wait = relayWait
			o.sleep(ctx, relayIdle, true)
		}
	}
}

// Flush relays until nothing is left or ctx ends. For a graceful stop.
func (o *Outbox) Flush(ctx context.Context, client auditv1.AuditIngestClient) error {
	ctx = sqldb.WithAllControllers(ctx)
	for {
		n, _, err := o.relayOnce(ctx, client)
		if err != nil || n == 0 {
			return err
		}
	}
}

func (o *Outbox) sleep(ctx context.Context, d time.Duration, wakeable bool) {
	wake := o.wake
	if !wakeable {
		wake = nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-wake:
	}
}

// relayOnce hands over what is oldest: so many rows. There may be more.
func (o *Outbox) relayOnce(ctx context.Context, client auditv1.AuditIngestClient) (n int, more bool, err error) {
	if err := o.settle(ctx); err != nil {
		return 0, false, err
	}
	rows, more, err := o.oldest(ctx)
	if err != nil || len(rows) == 0 {
		return 0, false, err
	}
	events, err := o.close(ctx, rows)
	if err != nil || len(events) == 0 {
		return len(rows), more, err
	}
	if err := o.report(ctx, client, events); err != nil {
		if told := toldBefore(err, events); told != nil {
			return 1, true, o.forget(ctx, told)
		}
		return 0, false, err
	}
	return len(rows), more, o.forget(ctx, events)
}

// toldBefore gives the log-in among events that the audit service refuses because it has one of that id: this service has told of it
// before it was started anew, at another time. Any other event of which that is said is a mistake, and stays.
func toldBefore(err error, events []*auditv1.ReportedEvent) []*auditv1.ReportedEvent {
	if status.Code(err) != codes.AlreadyExists {
		return nil
	}
	for _, d := range status.Convert(err).Details() {
		info, ok := d.(*errdetails.ErrorInfo)
		if !ok {
			continue
		}
		for _, e := range events {
			if e.GetId() == info.GetMetadata()["event"] && e.GetKind() == authv1.Rule_LOGIN {
				return []*auditv1.ReportedEvent{e}
			}
		}
	}
	return nil
}

// report hands events over; none is a sign of life.
func (o *Outbox) report(ctx context.Context, client auditv1.AuditIngestClient, events []*auditv1.ReportedEvent) error {
	ctx, cancel := context.WithTimeout(ctx, relayTimeout)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, SentHeader, strconv.FormatInt(o.cfg.Clock.Now().UnixMicro(), 10))
	if _, err := client.AppendAuditEvents(ctx, &auditv1.AppendAuditEventsRequest{Events: events}); err != nil {
		return fmt.Errorf("outbox: relay: %w", err)
	}
	return nil
}

// oldest reads what is handed over next, in the order of the ids, and tells whether there may be more.
func (o *Outbox) oldest(ctx context.Context) (out []stored, more bool, err error) {
	err = o.cfg.DB.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		out, more = nil, true
		rows, err := q.Query(ctx, `SELECT id, event FROM audit_outbox ORDER BY id LIMIT $1`, relayRows)
		if err != nil {
			return err
		}
		defer rows.Close()
		open := map[string]bool{}
		for events, size := 0, 0; events < relayBatch && size < relayBytes; {
			if !rows.Next() {
				more = len(out) == relayRows
				break
			}
			var id, text string
			if err := rows.Scan(&id, &text); err != nil {
				return err
			}
			row, err := decodeRow(id, text)
			if err != nil {
				return err
			}
			out, size = append(out, row), size+len(text)
			if !row.open || !open[row.GetController()] {
				events++
			}
			open[row.GetController()] = open[row.GetController()] || row.open
		}
		return rows.Err()
	})
	return out, more, err
}

// Decode reads an event as the table audit_outbox holds it.
func Decode(text string) (*auditv1.ReportedEvent, error) {
	e := &auditv1.ReportedEvent{}
	packed, isOpen := strings.CutPrefix(text, openMark)
	packed, isClosed := strings.CutPrefix(packed, closedMark)
	if !isOpen && !isClosed {
		if err := protojson.Unmarshal([]byte(text), e); err != nil {
			return nil, fmt.Errorf("outbox: a stored event does not parse: %w", err)
		}
		return e, nil
	}
	raw, err := base64.StdEncoding.DecodeString(packed)
	if err == nil {
		err = proto.Unmarshal(raw, e)
	}
	if err != nil {
		return nil, fmt.Errorf("outbox: stored decisions do not parse: %w", err)
	}
	return e, nil
}

func (o *Outbox) forget(ctx context.Context, events []*auditv1.ReportedEvent) error {
	return o.cfg.DB.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		for _, e := range events {
			if _, err := tx.Exec(ctx, `DELETE FROM audit_outbox WHERE id = $1`, e.GetId()); err != nil {
				return err
			}
		}
		return nil
	})
}
