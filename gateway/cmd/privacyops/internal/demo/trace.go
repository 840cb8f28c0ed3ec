package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
)

// recorder keeps spans that have ended.
type recorder struct {
	mu    sync.Mutex
	spans []trace.ReadOnlySpan
}

func newRecorder() *recorder { return &recorder{} }

// OnStart implements trace.SpanProcessor.
func (r *recorder) OnStart(context.Context, trace.ReadWriteSpan) {}

// OnEnd implements trace.SpanProcessor.
func (r *recorder) OnEnd(s trace.ReadOnlySpan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spans = append(r.spans, s)
}

// Shutdown implements trace.SpanProcessor.
func (r *recorder) Shutdown(context.Context) error { return nil }

// ForceFlush implements trace.SpanProcessor.
func (r *recorder) ForceFlush(context.Context) error { return nil }

func (r *recorder) of(traceID string) (out []trace.ReadOnlySpan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if s.SpanContext().TraceID().String() == traceID {
			out = append(out, s)
		}
	}
	return out
}

// trace prints the spans of the approval and all that came of it as a tree.
func (s *story) trace(context.Context) error {
	s.chapter("One trace, from the approval to the audit log: " + s.traceID)
	spans := s.spans.of(s.traceID)
	seen := map[string]bool{}
	for _, sp := range spans {
		seen[serviceOf(sp)] = true
	}
	for _, name := range []string{"gateway", "erasure", "participant", "audit"} {
		if !seen[name] {
			return errors.New("the trace does not reach the service " + name)
		}
	}
	s.print(spans)
	return nil
}

func serviceOf(sp trace.ReadOnlySpan) string {
	for _, kv := range sp.Resource().Attributes() {
		if kv.Key == "service.name" {
			return kv.Value.AsString()
		}
	}
	return ""
}

func (s *story) print(spans []trace.ReadOnlySpan) {
	slices.SortFunc(spans, func(a, b trace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	known := map[string]bool{}
	for _, sp := range spans {
		known[sp.SpanContext().SpanID().String()] = true
	}
	children := map[string][]trace.ReadOnlySpan{}
	for _, sp := range spans {
		parent := sp.Parent().SpanID().String()
		if !known[parent] {
			parent = ""
		}
		children[parent] = append(children[parent], sp)
	}
	s.branch(children, "", 0)
}

// same is how many like siblings are told one by one before the rest is counted.
const same = 3

func (s *story) branch(children map[string][]trace.ReadOnlySpan, parent string, depth int) {
	told := map[string]int{}
	for _, sp := range children[parent] {
		label := serviceOf(sp) + " " + sp.Name()
		if told[label]++; told[label] > same {
			continue
		}
		fmt.Fprintf(s.out, "  %9.2f ms  %s%-11s %s\n", float64(sp.EndTime().Sub(sp.StartTime()))/float64(time.Millisecond),
			strings.Repeat("  ", depth), serviceOf(sp), sp.Name())
		s.branch(children, sp.SpanContext().SpanID().String(), depth+1)
	}
	for label, n := range told {
		if n > same {
			fmt.Fprintf(s.out, "  %12s  %s… and %d more of %s\n", "", strings.Repeat("  ", depth), n-same, label)
		}
	}
}
