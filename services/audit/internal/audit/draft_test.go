package audit_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/store/storetest" //nolint:depguard // its events serve these tests too
)

// sealer seals under keys of its own; those of school-b are out of order, and what it seals of "long" is too long for a leaf.
type sealer struct {
	mu    sync.Mutex
	calls []int
}

var errKeys = errors.New("a key stands in the place of another")

func (s *sealer) Seal(_ context.Context, events []audit.Event) ([]audit.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, len(events))
	out := slices.Clone(events)
	for i, e := range events {
		if e.Controller == "school-b" {
			return nil, errKeys
		}
		size := 64
		if e.Service == "long" {
			size = audit.MaxBatchLeafBytes
		}
		out[i] = e.Sealing([]audit.KeyID{{1}}, make([]byte, size))
	}
	return out, nil
}

// TestReportsThatStopNobodyElse: reports that share a batch are sealed at once, and one that cannot be sealed or written is refused
// whole and alone: the others are recorded, without a gap.
func TestReportsThatStopNobodyElse(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	seals := &sealer{}
	d := newDesk(t, s, &memoryLog{}, func(r *audit.RecorderOptions, _ *audit.FollowerOptions) { r.Sealer = seals })
	began, finish := make(chan struct{}), make(chan struct{})
	d.log.appendFault = func(n int) (int, error) {
		if d.log.appends == 1 {
			close(began)
			<-finish
		}
		return n, nil
	}
	long := storetest.Event("school-a", 30)
	long.Service = "long"
	reports := [][]audit.Event{
		storetest.Events("school-a", 10, 2), storetest.Events("school-b", 20, 1), {storetest.Event("school-a", 29), long}, storetest.Events("school-a", 40, 3),
	}
	first := make(chan error, 1)
	go func() { _, err := d.Accept(context.Background(), storetest.Events("school-a", 0, 1)); first <- err }()
	<-began
	errs := make([]error, len(reports))
	var group sync.WaitGroup
	for i, report := range reports {
		group.Go(func() { _, errs[i] = d.Accept(context.Background(), report) })
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond) // time for all to wait
	defer cancel()
	<-ctx.Done()
	close(finish)
	group.Wait()
	if err := <-first; err != nil || errs[0] != nil || errs[3] != nil {
		t.Errorf("reports that are all right: %v, %v, %v", err, errs[0], errs[3])
	}
	if !errors.Is(errs[1], errKeys) {
		t.Errorf("one without keys: %v", errs[1])
	}
	var invalid *audit.InvalidEventError
	if !errors.As(errs[2], &invalid) || invalid.Position != 1 || invalid.Err.Field != "event" {
		t.Errorf("one that is too long: %v", errs[2])
	}
	if want := []int{1, 8, 2, 1, 2, 3}; !equalSets(seals.calls, want) {
		t.Errorf("sealed in steps of %v, want %v: all at once, and each alone where that fails", seals.calls, want)
	}
	d.follow(t)
	d.settle(t)
	if ids := d.log.ids(t); d.log.appends != 2 || len(ids) != 6 {
		t.Errorf("%d batches with %d entries, want 2 with 6", d.log.appends, len(ids))
	}
	requireSound(t, d.index, d.log, d.log.ids(t))
}

func equalSets(got, want []int) bool {
	return slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want)))
}

// TestBatchesWaitForCompany: callers who come again as soon as they are answered share batches. Did each batch begin with the first who comes, there would be two for each round: that one, and all others.
func TestBatchesWaitForCompany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const callers, each = 20, 40
		d := openDesk(t)
		d.log.appendFault = func(n int) (int, error) {
			time.Sleep(20 * time.Millisecond)
			return n, nil
		}
		var group sync.WaitGroup
		for caller := range callers {
			group.Go(func() {
				for n := range each {
					if _, err := d.Accept(t.Context(), storetest.Events("school-a", caller*each+n, 1)); err != nil {
						t.Errorf("Accept: %v", err)
					}
					time.Sleep(time.Duration(caller) * 100 * time.Microsecond) // they are not all as fast
				}
			})
		}
		group.Wait()
		if d.log.appends > each*7/4 || len(d.log.leaves) != callers*each {
			t.Errorf("%d batches with %d entries, want at most %d with %d", d.log.appends, len(d.log.leaves), each*7/4, callers*each)
		}
	})
}
