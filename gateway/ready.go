package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/privacyops/privacyops/libs/clock"
)

const (
	// readyTime bounds asking the services.
	readyTime = 2 * time.Second
	// readyFor is how long an answer holds, so that asking the gateway costs the services nothing.
	readyFor = time.Second
	// notReadyFor is the same for an answer that says no: whoever waits for a start need not wait longer than it takes.
	notReadyFor = 100 * time.Millisecond
)

// readiness asks the services whether they can serve.
type readiness struct {
	names   []string
	clients []healthv1.HealthClient
	clock   clock.Clock
	leaving atomic.Bool

	mu     sync.Mutex
	asked  time.Time
	answer readyAnswer
}

// readyAnswer is the body of /readyz.
type readyAnswer struct {
	// Ready is set where every service is.
	Ready bool `json:"ready"`
	// Services are the services, in a fixed order.
	Services []serviceState `json:"services"`
}

type serviceState struct {
	Name string `json:"name"`
	// State is that of the gRPC health service: SERVING, NOT_SERVING, or UNREACHABLE.
	State string `json:"state"`
}

func newReadiness(b Backends, c clock.Clock) *readiness {
	r := &readiness{clock: c, names: []string{"audit", "consent", "erasure", "export"}}
	for _, conn := range []grpc.ClientConnInterface{b.Audit, b.Consent, b.Erasure, b.Export} {
		r.clients = append(r.clients, healthv1.NewHealthClient(conn))
	}
	return r
}

// state asks all services at once, or repeats what was found a moment ago.
func (r *readiness) state(ctx context.Context) readyAnswer {
	r.mu.Lock()
	defer r.mu.Unlock()
	holds := readyFor
	if !r.answer.Ready {
		holds = notReadyFor
	}
	if now := r.clock.Now(); r.answer.Services == nil || now.Sub(r.asked) >= holds {
		r.asked, r.answer = now, r.ask(ctx)
	}
	return r.answer
}

func (r *readiness) ask(ctx context.Context) readyAnswer {
	// Who asked may go away; others wait for the same answer.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTime)
	defer cancel()
	a := readyAnswer{Ready: true, Services: make([]serviceState, len(r.clients))}
	var wg sync.WaitGroup
	for i, c := range r.clients {
		wg.Go(func() {
			state := "UNREACHABLE"
			if resp, err := c.Check(ctx, &healthv1.HealthCheckRequest{}); err == nil {
				state = resp.GetStatus().String()
			}
			a.Services[i] = serviceState{Name: r.names[i], State: state}
		})
	}
	wg.Wait()
	for _, s := range a.Services {
		a.Ready = a.Ready && s.State == healthv1.HealthCheckResponse_SERVING.String()
	}
	return a
}

// leave makes it say no from now on: this gateway stops, and whoever shares calls out shall use another.
func (r *readiness) leave() { r.leaving.Store(true) }

func (r *readiness) serve(w http.ResponseWriter, req *http.Request) {
	a := r.state(req.Context())
	a.Ready = a.Ready && !r.leaving.Load()
	status := http.StatusOK
	if !a.Ready {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, status, a)
}

// alive says that the process is.
func alive(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(text, '\n'))
}
