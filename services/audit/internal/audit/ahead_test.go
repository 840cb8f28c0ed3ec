package audit_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/store/storetest" //nolint:depguard // its events serve these tests too
)

// sizes seals nothing and tells how many events it is given at once.
type sizes chan int

func (s sizes) Seal(_ context.Context, events []audit.Event) ([]audit.Event, error) {
	s <- len(events)
	return events, nil
}

// TestAFullBatchIsDraftedAhead: what makes a full batch is sealed while another one is on its way to the log, and what does not waits
// for company; however the one before ends, the numbers of both follow the log.
func TestAFullBatchIsDraftedAhead(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{"the first is added": nil, "the first is not": errInjected} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sealed := make(sizes, 9)
			s, _ := openStore(t)
			d := newDesk(t, s, &memoryLog{}, func(r *audit.RecorderOptions, _ *audit.FollowerOptions) { r.Batch, r.Sealer = 3, sealed })
			began, finish := make(chan struct{}), make(chan struct{})
			d.log.appendFault = func(n int) (int, error) {
				if d.log.appends > 1 {
					return n, nil
				}
				close(began)
				<-finish
				if failure != nil {
					return 0, failure
				}
				return n, nil
			}
			var group sync.WaitGroup
			report := func(n, events int, want error) {
				group.Go(func() {
					if _, err := d.Accept(context.Background(), storetest.Events("school-a", n, events)); !errors.Is(err, want) {
						t.Errorf("Accept = %v, want %v", err, want)
					}
				})
			}
			report(0, 2, failure)
			<-began
			report(10, 1, nil)
			time.Sleep(20 * time.Millisecond) // time enough to go alone
			report(20, 2, nil)
			got := []int{<-sealed, <-sealed} // the log has not answered yet
			close(finish)
			group.Wait()
			if diff := cmp.Diff([]int{2, 3}, got); diff != "" {
				t.Errorf("sealed at once (-want +got):\n%s", diff)
			}
			requireSound(t, d.index, d.log, d.log.ids(t))
			if want := map[error]int{nil: 5, errInjected: 3}[failure]; len(d.log.leaves) != want {
				t.Errorf("the log has %d entries, want %d", len(d.log.leaves), want)
			}
		})
	}
}

// TestTheIndexIsNotHurriedForNothing: what follows an addition to the index waits for company, unless somebody waits for it; and what
// comes while the index is too far behind waits until it is not.
func TestTheIndexIsNotHurriedForNothing(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	added := make(chan int, 9)
	d := newDesk(t, s, &memoryLog{}, func(_ *audit.RecorderOptions, f *audit.FollowerOptions) {
		f.Batch, f.Pace, f.MaxLag, f.Patience = 100, time.Hour, 4, time.Minute
		f.Added = func(entries []audit.Placed) { added <- len(entries) }
	})
	d.follow(t)
	d.accept(t, storetest.Event("school-a", 1))
	got := []int{<-added} // the first one at once
	d.accept(t, storetest.Event("school-a", 2))
	time.Sleep(20 * time.Millisecond) // time enough to go alone
	d.accept(t, storetest.Event("school-a", 3))
	d.settle(t)
	got = append(got, <-added)
	d.accept(t, storetest.Events("school-a", 10, 4)...) // now it is too far behind
	d.accept(t, storetest.Event("school-a", 4))
	if diff := cmp.Diff([]int{1, 2, 4}, append(got, <-added)); diff != "" {
		t.Errorf("added at once (-want +got):\n%s", diff)
	}
	d.settle(t)
	requireSound(t, d.index, d.log, d.log.ids(t))
}

var errLost = errors.New("another process writes the log")

// TestAnIndexOfAnother: a process that was halted finds that another one has added to the index what it had in hand. Where the log is the
// other's by now, that is what it says; where it is not, the two contradict each other.
func TestAnIndexOfAnother(t *testing.T) {
	t.Parallel()
	for _, want := range []error{errLost, audit.ErrDiverged} {
		t.Run(want.Error(), func(t *testing.T) {
			t.Parallel()
			s, _ := openStore(t)
			d := newDesk(t, s, &memoryLog{}, func(_ *audit.RecorderOptions, f *audit.FollowerOptions) {
				f.Lost = func(context.Context) error {
					if errors.Is(want, errLost) {
						return errLost
					}
					return nil
				}
			})
			d.accept(t, storetest.Events("school-a", 1, 2)...)
			other := newDesk(t, s, d.log) // brings the index to the log's end
			other.accept(t, storetest.Event("school-a", 9))
			requireSound(t, s, d.log, d.log.ids(t))
			if err := d.follower.Run(t.Context()); !errors.Is(err, want) {
				t.Errorf("Run = %v, want %v", err, want)
			}
			if _, err := d.Accept(t.Context(), storetest.Events("school-a", 5, 1)); !errors.Is(err, want) {
				t.Errorf("Accept = %v, want %v", err, want)
			}
		})
	}
}

// panicking seals nothing and panics the first time.
type panicking struct{ calls int }

func (p *panicking) Seal(_ context.Context, events []audit.Event) ([]audit.Event, error) {
	if p.calls++; p.calls == 1 {
		panic("elev@skole.dk")
	}
	return events, nil
}

// TestAPanicEndsItsBatchOnly: whether sealing or the log panics, who waits is told, without what the panic held, and what comes next is
// recorded.
func TestAPanicEndsItsBatchOnly(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"sealing", "log"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			s, _ := openStore(t)
			sealer := &panicking{calls: 1}
			d := newDesk(t, s, &memoryLog{}, func(r *audit.RecorderOptions, _ *audit.FollowerOptions) { r.Sealer = sealer })
			if where == "sealing" {
				sealer.calls = 0
			} else {
				d.log.setFault(func(int) (int, error) { panic("elev@skole.dk") })
			}
			if _, err := d.Accept(t.Context(), storetest.Events("school-a", 1, 2)); err == nil || strings.Contains(err.Error(), "elev") {
				t.Errorf("Accept = %v, want an error that says nothing of the panic", err)
			}
			d.log.setFault(nil)
			d.accept(t, storetest.Events("school-a", 5, 3)...)
			requireSound(t, d.index, d.log, eventIDs(storetest.Events("school-a", 5, 3)))
		})
	}
}
