package server

import (
	"context"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/privacyops/privacyops/libs/telemetry"
)

// Peer is a service to call.
type Peer struct {
	// Service is its name: only a certificate with this name is accepted.
	Service string
	// Address is host:port, or any target that gRPC resolves.
	Address string
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
		grpc.WithChainUnaryInterceptor(withDeadline),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16 << 20)),
	}, opts...)
	return grpc.NewClient(p.Address, opts...)
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
