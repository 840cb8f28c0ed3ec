package shards_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/shards"
	"github.com/privacyops/privacyops/services/audit/internal/storagetest"
)

// renamed is a log whose first shard has another name than the second one knows.
type renamed struct{ *shards.Log }

func (l renamed) Shards(ctx context.Context) ([]audit.Shard, error) {
	parts, err := l.Log.Shards(ctx)
	if err == nil {
		parts[0].Origin = "audit.test/other"
	}
	return parts, err
}

// TestVerifierChain: the hourly verification, too, follows the chain, and sees when a sealed shard goes on.
func TestVerifierChain(t *testing.T) {
	t.Parallel()
	dir, clock := storagetest.Folder(t), &wallClock{}
	d, err := openDesk(dir, clock, nil)
	must(t, err)
	ctx := context.Background()
	for n := range 6 {
		clock.set(time.Date(2026+n/2, 6, 1, 0, 0, n, 0, time.UTC))
		_, err := d.recorder.Accept(ctx, []audit.Event{event(n, "school-a", clock.Now())})
		must(t, err)
	}
	d.requireSound(t)
	r, err := audit.NewVerifier(d.store, d.log, renamed{d.log}).Verify(ctx)
	must(t, err)
	if r.Finding == nil || r.Finding.Index != 2 {
		t.Errorf("a shard that continues another: %+v", r)
	}
	extend(t, filepath.Join(dir, "log", "shards", "2027"), d.key, 2027)
	r, err = audit.NewVerifier(d.store, d.log, d.log).Verify(ctx)
	must(t, err)
	if r.Finding == nil || r.Finding.Index != 5 {
		t.Errorf("a sealed shard that goes on: %+v", r)
	}
	must(t, d.close())
}
