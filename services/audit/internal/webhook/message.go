package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/monitor"
)

// message is the body, as Standard Webhooks recommends it.
type message struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	Name      string            `json:"name"`
	Rule      string            `json:"rule"`
	Severity  string            `json:"severity"`
	Summary   map[string]string `json:"summary"`
	RaiseTime time.Time         `json:"raiseTime"`
	LastTime  time.Time         `json:"lastTime"`
	Count     int64             `json:"count"`
	Events    []string          `json:"events,omitempty"`
}

// body writes an alert as the message of it.
func body(a monitor.Alert) ([]byte, error) {
	d := data{Name: a.Name(), Rule: a.Rule, Severity: a.Severity.String(), Summary: map[string]string{"da": a.Summary.Danish, "en": a.Summary.English},
		RaiseTime: a.Raised, LastTime: a.Last, Count: a.Count}
	for _, id := range a.Events {
		d.Events = append(d.Events, a.EventName(id))
	}
	out, err := json.Marshal(message{Type: "alert.raised", Timestamp: a.Raised, Data: d})
	if err != nil {
		return nil, fmt.Errorf("webhook: writing an alert: %w", err)
	}
	return out, nil
}

// sign sets the three headers of a message.
func sign(h http.Header, secret []byte, id string, now time.Time, body []byte) {
	stamp := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", stamp)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
