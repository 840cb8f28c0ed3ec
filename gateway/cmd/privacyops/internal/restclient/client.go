// Package restclient speaks the suite's REST interface, as any other program would: JSON over HTTP with a token.
package restclient

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Client calls one suite with one token.
type Client struct {
	// Base is the suite's address, `http://127.0.0.1:8080`.
	Base string
	// Token is the bearer token; none where it is empty.
	Token string
	// HTTP makes the calls; default one with a time-out of 30 s.
	HTTP *http.Client
}

// Error is an answer that says no.
type Error struct {
	Status  int
	Code    int    `json:"code"`
	Message string `json:"message"`
	Details []struct {
		Type     string            `json:"@type"`
		Reason   string            `json:"reason"`
		Metadata map[string]string `json:"metadata"`
	} `json:"details"`
}

// Reason is the stable word for what is wrong; empty where the answer has none.
func (e *Error) Reason() string {
	for _, d := range e.Details {
		if d.Reason != "" {
			return d.Reason
		}
	}
	return ""
}

// Error is what the suite says, with the status.
func (e *Error) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Reason(), e.Message) }

// Call sends a message (nil: no body) and reads the answer into another (nil: it is dropped).
func (c *Client) Call(ctx context.Context, method, path string, req, resp proto.Message) error {
	var body io.Reader
	if req != nil {
		text, err := protojson.Marshal(req)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	text, err := c.Raw(ctx, method, path, "application/json", body)
	if err != nil || resp == nil {
		return err
	}
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, resp)
}

// Post is Call with POST.
func (c *Client) Post(ctx context.Context, path string, req, resp proto.Message) error {
	return c.Call(ctx, http.MethodPost, path, req, resp)
}

// Get is Call with GET.
func (c *Client) Get(ctx context.Context, path string, resp proto.Message) error {
	return c.Call(ctx, http.MethodGet, path, nil, resp)
}

// Raw sends bytes and reads bytes. An answer of 400 and above is an *Error.
func (c *Client) Raw(ctx context.Context, method, path, contentType string, body io.Reader) ([]byte, error) {
	resp, err := c.Do(ctx, method, path, contentType, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode < 400 {
		return text, nil
	}
	e := &Error{Status: resp.StatusCode}
	if json.Unmarshal(text, e) != nil {
		e.Message = strings.TrimSpace(string(text))
	}
	e.Status = resp.StatusCode
	return nil, e
}

// Do sends a request and gives the answer as it is.
func (c *Client) Do(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	client := c.HTTP
	if client == nil {
		client = &http.Client{Timeout: 30 * time.Second}
	}
	return client.Do(req)
}
