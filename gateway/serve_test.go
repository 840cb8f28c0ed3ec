package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/privacyops/privacyops/gateway"
	"github.com/privacyops/privacyops/libs/server"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	if _, err := gateway.New(t.Context(), gateway.Config{}); err == nil {
		t.Error("a gateway without services")
	}
}

// listener pretends to listen where everybody can reach it.
type listener struct {
	net.Listener
	addr net.Addr
}

func (l listener) Addr() net.Addr { return l.addr }

func TestPlaintextStaysOnLoopback(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	for _, addr := range []string{"192.0.2.1:80", "0.0.0.0:80", "[::]:80"} {
		lis := must(net.Listen("tcp", "127.0.0.1:0"))
		err := s.gateway.Serve(t.Context(), listener{lis, must(net.ResolveTCPAddr("tcp", addr))})
		if err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: %v", addr, err)
		}
		if _, err := lis.Accept(); err == nil {
			t.Errorf("%s: the port stays open", addr)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authority := must(server.NewAuthority(dir, time.Now()))
	files := must(authority.Issue("gateway"))
	s := newSuite(t, func(c *gateway.Config) { c.TLS = server.TLSFiles{Certificate: files.Certificate, Key: files.Key} })
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(must(os.ReadFile(files.Authority)))
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "gateway.privacyops.internal", MinVersion: tls.VersionTLS12}}}
	resp, err := client.Get("https://" + s.addr + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.TLS.Version != tls.VersionTLS13 || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%s, TLS %x, %q", resp.Proto, resp.TLS.Version, resp.Header.Get("Strict-Transport-Security"))
	}
	client.CloseIdleConnections()
	if got := s.raw("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", time.Second); strings.Contains(got, "alive") {
		t.Error("the TLS port answers without TLS")
	}
}

// A stop lets a running call finish, and sends watchers away.
func TestStop(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	running, finish := make(chan struct{}), make(chan struct{})
	s.consent.check = func(context.Context, *consentv1.CheckLegalBasisRequest) (*consentv1.Decision, error) {
		close(running)
		<-finish
		return &consentv1.Decision{Decision: consentv1.Decision_ALLOW}, nil
	}
	watching := make(chan struct{})
	s.export.watch = func(_ *exportv1.WatchExportRequest, stream grpc.ServerStreamingServer[exportv1.Export]) error {
		if err := stream.Send(&exportv1.Export{}); err != nil {
			return err
		}
		close(watching)
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	called, watched := make(chan answer, 1), make(chan answer, 1)
	token := s.token("platform", "skole")
	go func() { called <- s.do(call{method: "POST", path: check, body: good, token: token}) }()
	go func() { watched <- s.do(call{method: "GET", path: exportPath + ":watch", token: token}) }()
	<-running
	<-watching
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	if a := <-watched; !strings.Contains(a.body, "SHUTTING_DOWN") {
		t.Errorf("watch: %s", a.body)
	}
	select {
	case err := <-stopped:
		t.Errorf("stopped with a call running: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(finish)
	if a := <-called; a.StatusCode != http.StatusOK {
		t.Errorf("call: %d %s", a.StatusCode, a.body)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestHealthAndReadiness(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	if a := s.do(call{method: "GET", path: "/healthz"}); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "alive") {
		t.Errorf("healthz: %d %s", a.StatusCode, a.body)
	}
	want := `{"ready":true,"services":[{"name":"audit","state":"SERVING"},{"name":"consent","state":"SERVING"},{"name":"erasure","state":"SERVING"},{"name":"export","state":"SERVING"}]}` + "\n"
	if a := s.do(call{method: "GET", path: "/readyz"}); a.StatusCode != http.StatusOK || a.body != want {
		t.Errorf("readyz: %d %s", a.StatusCode, a.body)
	}
	away := newSuite(t, func(c *gateway.Config) {
		conn := must(grpc.NewClient("127.0.0.1:1", grpc.WithTransportCredentials(insecure.NewCredentials())))
		t.Cleanup(func() { _ = conn.Close() })
		c.Backends.Export = conn
	})
	a := away.do(call{method: "GET", path: "/readyz"})
	if a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(a.body, `{"name":"export","state":"UNREACHABLE"}`) || !strings.Contains(a.body, `"ready":false`) {
		t.Errorf("readyz without export: %d %s", a.StatusCode, a.body)
	}
	b := away.do(call{method: "GET", path: exportPath, token: away.token("dpo", "skole")})
	if b.StatusCode != http.StatusServiceUnavailable || b.reason(t) != "UPSTREAM_UNAVAILABLE" || b.Header.Get("Retry-After") == "" || strings.Contains(b.body, "127.0.0.1") {
		t.Errorf("a call without export: %d %s", b.StatusCode, b.body)
	}
}

func TestAdminPort(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	for path, want := range map[string]int{"/metrics": 200, "/healthz": 200, "/readyz": 200, "/v1/controllers/skole": 404} {
		w := httptest.NewRecorder()
		s.gateway.AdminHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// The reference works from the binary alone: everything its page loads is served here, and its policy allows it.
func TestReference(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	if a := s.do(call{method: "GET", path: "/"}); a.StatusCode != http.StatusFound || a.Header.Get("Location") != "/docs" {
		t.Errorf("/: %d %s", a.StatusCode, a.Header.Get("Location"))
	}
	page := s.do(call{method: "GET", path: "/docs"})
	if page.StatusCode != http.StatusOK || !strings.Contains(page.body, "swagger-ui") {
		t.Fatalf("/docs: %d", page.StatusCode)
	}
	policy := page.Header.Get("Content-Security-Policy")
	if strings.Count(policy, "'sha256-") != 2 || strings.Contains(policy, "unsafe-eval") || strings.Contains(policy, "script-src 'self' 'unsafe-inline'") {
		t.Errorf("policy: %s", policy)
	}
	assets := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.body, -1)
	if len(assets) < 4 {
		t.Errorf("the page loads %d files", len(assets))
	}
	for _, asset := range assets {
		if a := s.do(call{method: "GET", path: asset[1]}); a.StatusCode != http.StatusOK || len(a.body) == 0 {
			t.Errorf("%s: %d", asset[1], a.StatusCode)
		}
	}
	if a := s.do(call{method: "GET", path: "/docs/nothing.js"}); a.StatusCode != http.StatusNotFound {
		t.Errorf("an asset that is not there: %d", a.StatusCode)
	}
}

// The contract lists every route where it is served.
func TestContract(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	a := s.do(call{method: "GET", path: "/openapi.json"})
	var doc struct {
		Info  struct{ Title, Version string }
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Parameters  []struct{ Name, In string }
		}
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Info.Title != "privacyops" || doc.Info.Version != "1.2.3" {
		t.Errorf("info: %+v", doc.Info)
	}
	for _, r := range table(t).Routes() {
		path := strings.Replace(r.Template, "{tile...}", "{level}/{index}", 1)
		if op, ok := doc.Paths[path][strings.ToLower(r.Method)]; strings.HasPrefix(path, "/v1/") && (!ok || op.OperationID == "") {
			t.Errorf("%s %s is not in the contract", r.Method, path)
		}
	}
	for path, item := range doc.Paths {
		for _, op := range item {
			n := 0
			for _, p := range op.Parameters {
				if p.In == "path" && strings.Contains(path, "{"+p.Name+"}") {
					n++
				}
			}
			if n != strings.Count(path, "{") {
				t.Errorf("%s has %d of its parameters", path, n)
			}
		}
	}
	if !strings.Contains(a.body, "application/x-ndjson") {
		t.Error("watches are not described as lines")
	}
}
