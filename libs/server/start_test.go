package server_test

import (
	"context"
	"net"
	"regexp"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/server"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
)

// beginner is a service that does nothing but begin.
type beginner struct {
	*suite
	began chan struct{}
}

func (b beginner) Register(grpc.ServiceRegistrar) { close(b.began) }
func (b beginner) Ready(context.Context) error    { return nil }
func (b beginner) Outbox() *outbox.Outbox         { return b.outbox }
func (b beginner) Run(ctx context.Context) error  { <-ctx.Done(); return nil }

func listen(t *testing.T) net.Listener {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return lis
}

// process is one of the suite's, with a master key that begins with the given byte.
func (s *suite) process(t *testing.T, master byte, change func(*server.Settings)) *server.Process {
	t.Helper()
	key := make([]byte, keyring.KeySize)
	key[0] = master
	k, err := keyring.New(key)
	if err != nil {
		t.Fatal(err)
	}
	p := &server.Process{Settings: server.Settings{Issuer: "https://login.example/" + secret, Audience: "privacyops"}, Service: "consent", TLS: s.cfg.TLS, Keyring: k,
		Verifier: s.cfg.Verifier, Clock: clock.System(), Telemetry: s.tel}
	if change != nil {
		change(&p.Settings)
	}
	return p
}

// TestAStartIsRecorded before the service takes a call, with the program's version and a keyed digest of the settings (logging duty L.3).
func TestAStartIsRecorded(t *testing.T) {
	t.Parallel()
	s := newSuite(t, &handlers{}, nil)
	begin := func(p *server.Process) *auditv1.ReportedEvent {
		t.Helper()
		b := beginner{s, make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Serve(ctx, listen(t), b, time.Second) }()
		<-b.began
		got := s.events() // what is there when the service registers what it serves
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(got) != 1 {
			t.Fatalf("a start left %v", got)
		}
		return got[0]
	}
	e := begin(s.process(t, 1, nil))
	if e.GetAction() != server.StartAction || e.GetKind() != authv1.Rule_ADMIN || e.GetOutcome() != auditv1.AuditEvent_OK || e.GetController() != "" ||
		e.GetActor().GetKind() != auditv1.Actor_SERVICE || e.GetActor().GetRef() != "consent" || e.GetDetail()["version"] == "" || len(e.GetDetail()) != 2 ||
		!regexp.MustCompile(`^[0-9a-f]{32,64}$`).MatchString(e.GetDetail()["settings"]) {
		t.Errorf("a start is %v", e)
	}
	settings := map[string]string{e.GetDetail()["settings"]: "the first start"}
	if again := begin(s.process(t, 1, nil)); again.GetDetail()["settings"] != e.GetDetail()["settings"] || again.GetId() == e.GetId() {
		t.Errorf("the same settings have another digest, or two starts are one: %v", again)
	}
	for what, p := range map[string]*server.Process{
		"another issuer":     s.process(t, 1, func(c *server.Settings) { c.Issuer = "https://evil.example" }),
		"another log level":  s.process(t, 1, func(c *server.Settings) { c.LogLevel = "debug" }),
		"another master key": s.process(t, 2, nil),
	} {
		d := begin(p).GetDetail()["settings"]
		if was, known := settings[d]; known {
			t.Errorf("%s has the digest of %s", what, was)
		}
		settings[d] = what
	}
	configured := s.process(t, 1, nil)
	configured.Configured = struct{ Own string }{"x"}
	if d := begin(configured).GetDetail()["settings"]; settings[d] != "" {
		t.Error("a service's own settings are not in the digest")
	}
}

// TestNoStartUnrecorded: where the start cannot be written down, the service does not begin, and gives its address up.
func TestNoStartUnrecorded(t *testing.T) {
	t.Parallel()
	s := newSuite(t, &handlers{}, nil)
	s.breakOutbox()
	b := beginner{s, make(chan struct{})}
	lis := listen(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := s.process(t, 1, nil).Serve(ctx, lis, b, time.Second); err == nil {
		t.Error("a service began that could not say so")
	}
	select {
	case <-b.began:
		t.Error("it registered what it serves")
	default:
	}
	if _, err := lis.Accept(); err == nil {
		t.Error("it still listens")
	}
}
