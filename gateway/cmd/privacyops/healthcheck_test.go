package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestHealthcheck: only a process that says it is ready is ready.
func TestHealthcheck(t *testing.T) {
	t.Parallel()
	serve := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	gone := serve(func(http.ResponseWriter, *http.Request) {})
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := lis.Addr().String()
	lis.Close()
	fine := serve(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/readyz" {
			http.NotFound(w, r)
		}
	})
	for name, tc := range map[string]struct{ address, want string }{
		"ready":              {fine, ""},
		"listens everywhere": {"0.0.0.0" + fine[strings.LastIndex(fine, ":"):], ""},
		"no host":            {fine[strings.LastIndex(fine, ":"):], ""},
		"not ready": {serve(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
		}), "503"},
		"sends us elsewhere": {serve(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+gone+"/", http.StatusFound)
		}), "302"},
		"nobody is there":     {nobody, "nobody answers"},
		"does not answer":     {serve(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), "nobody answers"},
		"that is no address":  {"%zz", "no address"},
		"no port was written": {"127.0.0.1", "nobody answers"},
	} {
		err := ready(t.Context(), tc.address, 500*time.Millisecond)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

// TestHealthcheckCommand: where the address comes from.
func TestHealthcheckCommand(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	here := s.Listener.Addr().String()
	for name, tc := range map[string]struct {
		command healthcheckCommand
		ok      bool
	}{
		"setting":                {healthcheckCommand{Admin: here}, true},
		"argument":               {healthcheckCommand{Address: here}, true},
		"the argument wins":      {healthcheckCommand{Address: here, Admin: "127.0.0.1:1"}, true},
		"neither":                {healthcheckCommand{}, false},
		"the argument is nobody": {healthcheckCommand{Address: "127.0.0.1:1", Admin: here}, false},
	} {
		tc.command.Timeout = time.Second
		if err := tc.command.Run(t.Context()); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
