package erasure

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/erasure/internal/store"
)

// overdueEvery is how often erasures are looked for whose time to answer is over, and overdueAgain how often one of them is told of.
const (
	overdueEvery = 30 * time.Second
	overdueAgain = 24 * time.Hour
)

// watchTimes tells the audit log of erasures that have not ended within their time (GDPR art. 12(3)), so that it raises an alert.
// What was told is remembered as long as the process lives: another one tells again, and the alert is counted on.
func (s *Service) watchTimes(ctx context.Context) {
	tick := time.NewTicker(overdueEvery)
	defer tick.Stop()
	told := map[store.AdvanceArgs]time.Time{}
	for {
		if err := s.tellOverdue(ctx, told); err != nil && ctx.Err() == nil {
			s.cfg.Telemetry.Log.WarnContext(ctx, "overdue erasures could not be looked for", "error_kind", fmt.Sprintf("%T", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Service) tellOverdue(ctx context.Context, told map[store.AdvanceArgs]time.Time) error {
	now := s.cfg.Clock.Now()
	late, err := s.store.Overdue(ctx, now)
	if err != nil {
		return err
	}
	for _, a := range late {
		if last, before := told[a]; before && now.Sub(last) < overdueAgain {
			continue
		}
		if err := s.store.TellOverdue(sqldb.WithController(ctx, a.Controller), a); err != nil {
			return err
		}
		told[a] = now
	}
	maps.DeleteFunc(told, func(_ store.AdvanceArgs, last time.Time) bool { return now.Sub(last) >= overdueAgain })
	return nil
}
