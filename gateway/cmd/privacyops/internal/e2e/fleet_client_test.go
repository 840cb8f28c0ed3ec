package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/restclient"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// seeded gives a test's own dice and prints what they were seeded with.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	random := uint64(time.Now().UnixNano())
	t.Logf("seed %d", random)
	return rand.New(rand.NewPCG(random, 0))
}

// spread makes calls at all gateways in turn, as a load balancer does: it asks each whether it is ready, and leaves out those that
// are not. Where no byte of a request was sent, because nobody listens or the connection was closed before, it goes to the next one.
// A request that was sent and broke is the caller's to judge.
type spread struct {
	addresses []string
	away      []atomic.Bool // by address: it is not ready
	transport *http.Transport
	next      atomic.Uint64
	moved     atomic.Int64 // requests that went elsewhere
}

func newSpread(t *testing.T, gateways []*process) *spread {
	// Connections are given up before a gateway that stops would close them as idle.
	s := &spread{transport: &http.Transport{MaxIdleConnsPerHost: 100, IdleConnTimeout: time.Second}, away: make([]atomic.Bool, len(gateways))}
	ctx, cancel := context.WithCancel(t.Context())
	var probes sync.WaitGroup
	t.Cleanup(func() { cancel(); probes.Wait() })
	for i, g := range gateways {
		s.addresses = append(s.addresses, g.listen)
		probes.Go(func() {
			for ctx.Err() == nil {
				s.away[i].Store(!answers("http://" + g.listen + "/readyz"))
				time.Sleep(250 * time.Millisecond)
			}
		})
	}
	return s
}

// inTurn gives the gateways for one request: those that are ready first.
func (s *spread) inTurn() (ready []string) {
	var others []string
	first := s.next.Add(1)
	for i := range uint64(len(s.addresses)) {
		n := (first + i) % uint64(len(s.addresses))
		if s.away[n].Load() {
			others = append(others, s.addresses[n])
		} else {
			ready = append(ready, s.addresses[n])
		}
	}
	return append(ready, others...)
}

func (s *spread) client() *http.Client { return &http.Client{Transport: s, Timeout: patience} }

// RoundTrip implements http.RoundTripper.
func (s *spread) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	addresses := s.inTurn()
	for i := range 4 * len(addresses) {
		var sent atomic.Bool
		trace := &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }}
		try := req.Clone(httptrace.WithClientTrace(req.Context(), trace))
		try.URL.Host, try.Host = addresses[i%len(addresses)], ""
		if req.GetBody != nil {
			if try.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
		if resp, err = s.transport.RoundTrip(try); err == nil || sent.Load() || req.Context().Err() != nil {
			return resp, err
		}
		s.moved.Add(1)
		time.Sleep(20 * time.Millisecond)
	}
	return nil, err
}

// outcome is what came of one call.
type outcome struct {
	what   string
	began  time.Time
	took   time.Duration
	status int // 0: the call broke
	reason string
	err    error
	header http.Header
}

func (o outcome) String() string {
	return fmt.Sprintf("%s: %d %s %v after %s", o.what, o.status, o.reason, o.err, o.took.Round(time.Millisecond))
}

// ledger keeps what came of many calls.
type ledger struct {
	mu  sync.Mutex
	all []outcome
}

func (l *ledger) note(o outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, o)
}

// before gives the calls that had ended at some time.
func (l *ledger) before(at time.Time) (out []outcome) {
	for _, o := range l.between(time.Time{}, at) {
		if o.began.Add(o.took).Before(at) {
			out = append(out, o)
		}
	}
	return out
}

// between gives the calls that began in a span of time.
func (l *ledger) between(from, to time.Time) (out []outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.all {
		if !o.began.Before(from) && o.began.Before(to) {
			out = append(out, o)
		}
	}
	return out
}

// counts are the calls by what they were and what came of them.
func counts(all []outcome) map[string]int {
	n := map[string]int{}
	for _, o := range all {
		n[fmt.Sprintf("%s %d %s", o.what, o.status, o.reason)]++
	}
	return n
}

// call makes a call and notes what came of it.
func (l *ledger) call(ctx context.Context, c *client, what, method, path string, req, resp proto.Message) outcome {
	o := outcome{what: what, began: time.Now(), status: http.StatusOK}
	saved := &headers{next: c.HTTP}
	rest := restclient.Client{Base: c.Base, Token: c.Token, HTTP: &http.Client{Transport: saved, Timeout: patience}}
	o.err = rest.Call(ctx, method, path, req, resp)
	o.took, o.header = time.Since(o.began), saved.last
	var e *restclient.Error
	switch {
	case errors.As(o.err, &e):
		o.status, o.reason = e.Status, e.Reason()
	case o.err != nil:
		o.status = 0
	}
	if d, ok := resp.(*consentv1.Decision); ok && o.status == http.StatusOK {
		o.reason = d.GetReason().String()
	}
	l.note(o)
	return o
}

// headers keeps the header of an answer.
type headers struct {
	next *http.Client
	last http.Header
}

// RoundTrip implements http.RoundTripper.
func (h *headers) RoundTrip(req *http.Request) (*http.Response, error) {
	next := http.DefaultTransport
	if h.next != nil && h.next.Transport != nil {
		next = h.next.Transport
	}
	resp, err := next.RoundTrip(req)
	if err == nil {
		h.last = resp.Header
	}
	return resp, err
}
