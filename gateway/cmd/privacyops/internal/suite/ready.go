package suite

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/privacyops/privacyops/libs/server"
)

// readyTime is how long a start may take before it is given up.
const readyTime = 30 * time.Second

// await waits until the gateway says that every service behind it can serve, and the participant, which is not behind it, says so
// itself.
func (s *Suite) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	conn, err := s.participant()
	if err != nil {
		return err
	}
	defer conn.Close()
	client := &http.Client{Timeout: 2 * time.Second}
	last := "it did not answer"
	for {
		ok, state := ask(ctx, client, s.URL+"/readyz")
		if ok {
			if ok, state = health(ctx, conn); ok {
				return nil
			}
		}
		if state != "" {
			last = state
		}
		select {
		case err := <-s.failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("the suite was not ready after %s: %s", readyTime, last)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// participant connects to the participant service as the erasure service would.
func (s *Suite) participant() (*grpc.ClientConn, error) {
	tlsConfig, err := server.In(s.at.tls(), "erasure").ClientTLS("participant")
	if err != nil {
		return nil, err
	}
	return grpc.NewClient(s.Addresses["participant"], grpc.WithTransportCredentials(credentials.NewTLS(tlsConfig)))
}

func health(ctx context.Context, conn *grpc.ClientConn) (ok bool, state string) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	resp, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		return false, "participant: " + status.Code(err).String()
	}
	return resp.GetStatus() == healthv1.HealthCheckResponse_SERVING, "participant: " + resp.GetStatus().String()
}

func ask(ctx context.Context, client *http.Client, url string) (ok bool, state string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err.Error()
	}
	resp, err := client.Do(req)
	if err != nil {
		return false, ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	return resp.StatusCode == http.StatusOK, string(body)
}
