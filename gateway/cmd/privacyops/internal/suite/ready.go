package suite

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// readyTime is how long a start may take before it is given up.
const readyTime = 30 * time.Second

// await waits until the gateway says that every service can serve.
func (s *Suite) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	client := &http.Client{Timeout: 2 * time.Second}
	last := "it did not answer"
	for {
		ok, state := ask(ctx, client, s.URL+"/readyz")
		if ok {
			return nil
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
