package server

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/privacyops/privacyops/libs/telemetry"
)

// Peer is a service to call.
type Peer struct {
	// Service is its name: only a certificate with this name is accepted.
	Service string
	// Address is host:port, several of them joined by commas, or any target that gRPC resolves. Calls go round the replicas that
	// can be reached.
	Address string
}

// balance spreads calls over replicas. What replicas say of their health does not count here: when their store is gone, they
// know best what to answer (a refusal with its reason, and when to try again).
const balance = `{"loadBalancingConfig":[{"round_robin":{}}]}`

// target is what gRPC resolves, with a resolver of our own for a list of replicas.
func (p Peer) target() (string, []grpc.DialOption) {
	addresses := strings.Split(p.Address, ",")
	if len(addresses) == 1 {
		return p.Address, nil
	}
	r := manual.NewBuilderWithScheme("replicas")
	var state resolver.State
	for _, a := range addresses {
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: strings.TrimSpace(a)}}})
	}
	r.InitialState(state)
	return "replicas:///" + p.Service, []grpc.DialOption{grpc.WithResolvers(r)}
}

// Dial connects to a service. Calls without a deadline get one. Errors are gRPC statuses; [Fault] makes faults of them.
func Dial(p Peer, files TLSFiles, t *telemetry.Telemetry, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	tlsConfig, err := files.ClientTLS(p.Service)
	if err != nil {
		return nil, err
	}
	opts = append([]grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(tlsConfig)),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithTracerProvider(t.Tracer),
			otelgrpc.WithMeterProvider(t.Meter), otelgrpc.WithPropagators(telemetry.Propagator()))),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute, Timeout: 10 * time.Second}),
		// A service that restarts is found again within the second.
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 5 * time.Second,
			Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}}),
		grpc.WithDefaultServiceConfig(balance),
		grpc.WithChainUnaryInterceptor(withDeadline),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16 << 20)),
	}, opts...)
	target, own := p.target()
	return grpc.NewClient(target, append(opts, own...)...)
}

// withDeadline gives every call an end: a service that never answers must not hold its caller.
func withDeadline(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, deadline)
		defer cancel()
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}
