package consent

import (
	"context"
	"time"
)

// scrubEvery is how soon after an erasure what the database keeps beside its tables is cleaned.
const scrubEvery = time.Minute

// scrub removes what an erased person has said from the database's log, where the earlier version of a row stands until then. An
// open snapshot may stand in the way; a minute later it is tried again. It begins with what an interrupted run may have left.
func (s *Service) scrub(ctx context.Context) {
	s.unscrubbed.Store(true)
	tick := time.NewTicker(scrubEvery)
	defer tick.Stop()
	for {
		if s.unscrubbed.Swap(false) && s.db.Scrub(ctx) != nil {
			s.unscrubbed.Store(true)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
