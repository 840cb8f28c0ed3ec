package audit

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/services/audit/internal/shards"
	"github.com/privacyops/privacyops/services/audit/internal/tlog"
)

// openLog opens the log, whose checkpoints are cosigned where there is a policy. It goes for each shard by itself.
func (s *Service) openLog(ctx context.Context, key tlog.Key) (err error) {
	o := tlog.CosignerOptions{Interval: s.cfg.CheckpointInterval, Clock: s.cfg.Clock, Report: s.witnessAnswers}
	if s.cfg.WitnessPolicy != "" {
		if o.Policy, err = os.ReadFile(s.cfg.WitnessPolicy); err != nil {
			return fmt.Errorf("audit: reading the witness policy: %w", err)
		}
	}
	storage := shards.Whole(s.cfg.logOptions())
	if s.cfg.LogServers == nil {
		if storage, err = shards.Folders(s.cfg.logOptions()); err != nil {
			return err
		}
	}
	s.log, err = shards.Open(ctx, shards.Options{Storage: storage, Key: key, Cosigner: o})
	return err
}

// witnessAnswers is told when a witness begins to answer in another way. What it refuses is itself an event, on which an alert is raised;
// that it is away is no fault of the log's and stays a line.
func (s *Service) witnessAnswers(ctx context.Context, v tlog.Verdict) {
	log := s.cfg.Telemetry.Log
	switch {
	case v.Problem == "":
		log.InfoContext(ctx, "the witness cosigns", "witness", v.Witness, "size", v.Size)
	case v.Problem == tlog.Away:
		log.WarnContext(ctx, "the witness does not answer as it should; events are published and not witnessed", "witness", v.Witness, "status", v.Status)
		return
	default:
		log.ErrorContext(ctx, "the witness does not cosign the log", "witness", v.Witness, "reason", string(v.Problem), "status", v.Status, "size", v.Size)
	}
	if err := s.outbox.RecordAlone(ctx, witnessing(v)); err != nil {
		log.ErrorContext(ctx, "a witness' answer left no audit event", "error_kind", fmt.Sprintf("%T", err))
	}
}

// witnessing is the event of a witness's answer.
func witnessing(v tlog.Verdict) outbox.Event {
	e := outbox.Event{Action: "audit.witness", Kind: outbox.AuditRead, Detail: map[string]string{"size": strconv.FormatUint(v.Size, 10)}}
	if v.Witness != "" {
		e.Detail["witness"] = v.Witness
	}
	if v.Status != 0 {
		e.Detail["status"] = strconv.Itoa(v.Status)
	}
	if v.Problem != "" {
		e.Outcome, e.Reason = outbox.Failed, string(v.Problem)
	}
	return e
}
