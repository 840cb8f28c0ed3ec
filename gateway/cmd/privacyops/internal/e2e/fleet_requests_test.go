package e2e

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// requests are erasures and exports that are asked for, approved and awaited.
type requests struct {
	again    counter
	finished chan struct{}
	mu       sync.Mutex
	erasures []string
	exports  []string
	failed   []string
}

// counter counts from several goroutines.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

// Load gives the count.
func (c *counter) Load() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// manyRequests begins with them.
func (f *fleet) manyRequests(people []sample.Person) *requests {
	load := &requests{finished: make(chan struct{})}
	platform, dpo := f.client("platform"), f.client("dpo")
	requests := make(chan func(), len(people))
	for i, p := range people {
		if i%2 == 0 {
			requests <- func() { load.erase(platform, dpo, p) }
		} else {
			requests <- func() { load.export(dpo, p) }
		}
	}
	close(requests)
	var wg sync.WaitGroup
	for range fleetCallers {
		wg.Go(func() {
			for do := range requests {
				do()
			}
		})
	}
	go func() {
		wg.Wait()
		close(load.finished)
	}()
	return load
}

func (l *requests) done() bool {
	select {
	case <-l.finished:
		return true
	default:
		return false
	}
}

func (l *requests) wait(t *testing.T) (erasures, exports []string) {
	t.Helper()
	<-l.finished
	for _, text := range l.failed[:min(20, len(l.failed))] {
		t.Error(text)
	}
	return l.erasures, l.exports
}

// requestTime is how long one request may take from its creation to its end.
const requestTime = 2 * time.Minute

// insist makes a call until it is answered. Each replica may die under it, so it must be one that may be made again.
func (l *requests) insist(c *client, method, path string, req, resp proto.Message) error {
	var err error
	for deadline := time.Now().Add(stillness); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var book ledger
		o := book.call(context.Background(), c, "", method, path, req, resp)
		if o.status != 0 && o.status < http.StatusInternalServerError {
			return o.err
		}
		l.again.add()
		if o.status == http.StatusInternalServerError {
			return fmt.Errorf("%s %s: %v", method, path, o)
		}
		err = o.err
	}
	return err
}

func (l *requests) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, fmt.Sprintf(format, args...))
}

func (l *requests) erase(platform, dpo *client, p sample.Person) {
	e := newErasure()
	if err := l.insist(platform, http.MethodPost, school+"/erasures", &erasurev1.CreateErasureRequest{Subject: uniLogin(p),
		Ground: erasurev1.Erasure_NO_LONGER_NECESSARY, RequestId: uuid.NewString()}, e); err != nil {
		l.fail("an erasure was not created: %v", err)
		return
	}
	l.mu.Lock()
	l.erasures = append(l.erasures, e.GetName())
	l.mu.Unlock()
	approved := false
	for deadline := time.Now().Add(requestTime); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err := l.insist(dpo, http.MethodGet, "/v1/"+e.GetName(), nil, e); err != nil {
			l.fail("an erasure cannot be read: %v", err)
			return
		}
		switch e.GetState() {
		case erasurev1.Erasure_AWAITING_APPROVAL:
			// An approval whose answer was lost is refused the second time; the state tells.
			_ = l.insist(dpo, http.MethodPost, "/v1/"+e.GetName()+":approve", &erasurev1.ApproveErasureRequest{PlanHash: e.GetPlan().GetPlanHash()}, nil)
			approved = true
		case erasurev1.Erasure_COMPLETED:
			return
		case erasurev1.Erasure_PLANNING, erasurev1.Erasure_GRACE, erasurev1.Erasure_RUNNING, erasurev1.Erasure_VERIFYING:
		default:
			l.fail("%s is %s (%s)", e.GetName(), e.GetState(), e.GetReason())
			return
		}
	}
	l.fail("%s is %s after %s; approved: %v", e.GetName(), e.GetState(), requestTime, approved)
}

func (l *requests) export(dpo *client, p sample.Person) {
	e := &exportv1.Export{}
	if err := l.insist(dpo, http.MethodPost, school+"/exports", &exportv1.CreateExportRequest{Subject: uniLogin(p), Kind: exportv1.Export_ACCESS,
		Language: "da", RequestId: uuid.NewString()}, e); err != nil {
		l.fail("an export was not created: %v", err)
		return
	}
	l.mu.Lock()
	l.exports = append(l.exports, e.GetName())
	l.mu.Unlock()
	for deadline := time.Now().Add(requestTime); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err := l.insist(dpo, http.MethodGet, "/v1/"+e.GetName(), nil, e); err != nil {
			l.fail("an export cannot be read: %v", err)
			return
		}
		switch e.GetState() {
		case exportv1.Export_READY:
			return
		case exportv1.Export_PENDING, exportv1.Export_LOCATING, exportv1.Export_COLLECTING, exportv1.Export_PACKAGING, exportv1.Export_PARTIAL:
		default:
			l.fail("%s is %s", e.GetName(), e.GetState())
			return
		}
	}
	l.fail("%s is %s after %s", e.GetName(), e.GetState(), requestTime)
}
