package server

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

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
		// A service that restarts is found again within the time that a call waits for one.
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 5 * time.Second,
			Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: patience / 2}}),
		grpc.WithDefaultServiceConfig(balance),
		grpc.WithChainUnaryInterceptor(withDeadline, withPatience),
		grpc.WithChainStreamInterceptor(streamWithPatience),
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

// patience is how long a call waits where no replica can be reached. While replicas are restarted one after the other, the first
// may be back and not found yet when the second goes.
const patience = time.Second

// withPatience makes a call again that has not left this process.
func withPatience(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		var to peer.Peer
		err := invoke(ctx, method, req, reply, cc, append(slices.Clip(opts), grpc.Peer(&to))...)
		if to.Addr != nil || status.Code(err) != codes.Unavailable || !reachable(wait, cc) {
			return err
		}
	}
}

// streamWithPatience is the same for streams: nothing was sent on one that could not be opened.
func streamWithPatience(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		stream, err := open(ctx, desc, cc, method, opts...)
		if status.Code(err) != codes.Unavailable || !reachable(wait, cc) {
			return stream, err
		}
	}
}

// reachable waits for a connection to any replica, as long as ctx lasts.
func reachable(ctx context.Context, cc *grpc.ClientConn) bool {
	for ctx.Err() == nil {
		state := cc.GetState()
		if state == connectivity.Ready {
			return true
		}
		cc.Connect()
		cc.WaitForStateChange(ctx, state)
	}
	return false
}
