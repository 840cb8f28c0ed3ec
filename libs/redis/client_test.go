package redis_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/redis/redistest"
	"github.com/privacyops/privacyops/libs/telemetry"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("hunter2"), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, cfg := range map[string]redis.Config{
		"empty":                 {},
		"not a URL":             {URL: "redis://a:hunter2@%zz"},
		"another scheme":        {URL: "http://localhost"},
		"no host":               {URL: "redis://"},
		"password in the URL":   {URL: "redis://a:hunter2@localhost"},
		"parameters":            {URL: "redis://localhost?read_timeout=1h"},
		"database":              {URL: "redis://localhost/one"},
		"far without TLS":       {URL: "redis://redis.example"},
		"user without password": {URL: "redis://a@localhost"},
		"TLS files without TLS": {URL: "redis://localhost", TLS: redis.TLSFiles{Authority: "x"}},
		"no password file":      {URL: "redis://localhost", PasswordFile: filepath.Join(dir, "none")},
		"open password file":    {URL: "redis://localhost", PasswordFile: file("open", 0o644)},
		"no authority":          {URL: "rediss://localhost", TLS: redis.TLSFiles{Authority: filepath.Join(dir, "none")}},
		"empty authority":       {URL: "rediss://localhost", TLS: redis.TLSFiles{Authority: file("empty", 0o600)}},
		"half a certificate":    {URL: "rediss://localhost", TLS: redis.TLSFiles{Certificate: "x"}},
		"no certificate":        {URL: "rediss://localhost", TLS: redis.TLSFiles{Certificate: "x", Key: file("key", 0o600)}},
		"pool":                  {URL: "redis://localhost", PoolSize: -1},
	} {
		c, err := redis.New(cfg)
		if err == nil {
			t.Errorf("%s: taken", name)
			c.Close()
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error tells the password: %v", name, err)
		}
	}
	for _, address := range []string{"redis://localhost", "redis://[::1]:6380/3", "rediss://far.example"} {
		open(t, redis.Config{URL: address})
	}
	open(t, redis.Config{URL: "redis://redis:6379", Plaintext: true})
}

// TestTLS needs the right authority, and a certificate where the server asks for one.
func TestTLS(t *testing.T) {
	t.Parallel()
	good, other := certificate(t), certificate(t)
	server := redistest.Start(t, "tls-port "+port(t), "tls-cert-file "+good.Certificate, "tls-key-file "+good.Key,
		"tls-ca-cert-file "+good.Authority)
	tlsPort := fmt.Sprint(server.Do(t, "CONFIG", "GET", "tls-port").([]any)[1])
	cfg := server.Config()
	cfg.URL = "rediss://privacyops@127.0.0.1:" + tlsPort
	for name, c := range map[string]struct {
		files redis.TLSFiles
		ok    bool
	}{
		"ours":                 {good, true},
		"another authority":    {redis.TLSFiles{Authority: other.Authority, Certificate: good.Certificate, Key: good.Key}, false},
		"without certificate":  {redis.TLSFiles{Authority: good.Authority}, false},
		"another's identity":   {redis.TLSFiles{Authority: good.Authority, Certificate: other.Certificate, Key: other.Key}, false},
		"the machine's choice": {redis.TLSFiles{Certificate: good.Certificate, Key: good.Key}, false},
	} {
		cfg.TLS = c.files
		if err := open(t, cfg).Ready(t.Context()); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// certificate makes one that is its own authority.
func certificate(t *testing.T) redis.TLSFiles {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := redis.TLSFiles{Certificate: filepath.Join(dir, "redis.crt"), Key: filepath.Join(dir, "redis.key")}
	files.Authority = files.Certificate
	for path, block := range map[string]*pem.Block{files.Certificate: {Type: "CERTIFICATE", Bytes: der}, files.Key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func port(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, p, _ := net.SplitHostPort(l.Addr().String())
	return p
}

// TestPassword changes the password while the client runs.
func TestPassword(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := server.Config()
	client := open(t, cfg)
	server.Do(t, "ACL", "SETUSER", "privacyops", "resetpass", ">new")
	err := client.Ready(t.Context())
	if err == nil || strings.Contains(err.Error(), "privacyops") {
		t.Errorf("with the old password: %v", err)
	}
	if err := os.WriteFile(cfg.PasswordFile, []byte("new\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new password is used", func() bool { return client.Ready(t.Context()) == nil })
}

func TestKeys(t *testing.T) {
	t.Parallel()
	if got, want := redis.KeyOf("aarhus", "limit", "usr_1"), "v1:{aarhus}:limit:"; !strings.HasPrefix(got, want) || len(got) != len(want)+64 {
		t.Errorf("key %q", got)
	}
	if got := redis.KeyOf("", "limit", "usr_1"); !strings.HasPrefix(got, "v1:{suite}:limit:") || got == redis.KeyOf("suite", "limit", "usr_1") {
		t.Errorf("key without a controller: %q", got)
	}
}

// TestKeyInjection draws 100,000 pairs of names made of delimiters; only equal names have equal keys, and no part shows.
func TestKeyInjection(t *testing.T) {
	t.Parallel()
	part := rapid.StringOfN(rapid.SampledFrom([]rune(":{}/|,\x00\x01ab8")), 0, 4, -1)
	name := rapid.SliceOfN(part, 1, 4)
	const each = 1000
	rapid.Check(t, func(r *rapid.T) {
		a, b := name.Draw(r, "a"), name.Draw(r, "b")
		for i := range each { // neighbours of the pair: a delimiter moved from one part to another
			x, y := vary(a, i), vary(a, i*7+1)
			if i%4 == 0 {
				y = vary(b, i)
			}
			kx, ky := redis.KeyOf(redis.Controller(x[0]), "reply", x[1:]...), redis.KeyOf(redis.Controller(y[0]), "reply", y[1:]...)
			if same := strings.Join(quote(x), ",") == strings.Join(quote(y), ","); same != (kx == ky) {
				r.Fatalf("%q and %q: keys %s and %s", x, y, kx, ky)
			}
			if strings.Count(kx, "{") != 1 || strings.Count(kx, "}") != 1 || strings.ContainsAny(kx, "\x00\x01/|,") {
				r.Fatalf("%q: key %q", x, kx)
			}
		}
	})
}

// vary joins and splits the parts at a place.
func vary(parts []string, n int) []string {
	joined := strings.Join(parts, ":")
	if joined == "" {
		return parts
	}
	at := n % len(joined)
	return []string{joined[:at], joined[at:]}
}

func quote(parts []string) []string {
	var list []string
	for _, p := range parts {
		list = append(list, fmt.Sprintf("%q", p))
	}
	return list
}

// TestErrors keeps what Redis says to itself.
func TestErrors(t *testing.T) {
	t.Parallel()
	for in, want := range map[error]string{
		goredis.Nil: goredis.Nil.Error(),
		reply("WRONGTYPE Operation against a key holding anna@skole.dk"):   "redis: refused: WRONGTYPE",
		reply("ERR unknown command 'x', with args beginning with: 'anna'"): "redis: refused: ERR",
		reply("ANNA is no class"):    "redis: refused: ERR",
		errors.New("read tcp: anna"): "redis: away",
		context.Canceled:             "context canceled",
		context.DeadlineExceeded:     "redis: away",
	} {
		if got := redis.Plain(in).Error(); got != want {
			t.Errorf("%v: %q, want %q", in, got, want)
		}
	}
}

type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

func TestBreaker(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(time.Unix(0, 0))
	admit, report := redis.NewBreaker(c.Now)
	step := func(what string, want bool) {
		t.Helper()
		if got := admit(); got != want {
			t.Errorf("%s: admitted %v", what, got)
		}
	}
	step("first", true)
	step("beside it", true)
	report(false)
	step("after a failure", false)
	c.Advance(time.Second)
	step("a second later", true)
	step("beside the attempt", false)
	report(false)
	c.Advance(time.Second - 1)
	step("just before the next second", false)
	c.Advance(1)
	step("the next attempt", true)
	report(true)
	step("after a success", true)
	step("and all others", true)
}

// TestTelemetry looks for keys and values in what is traced, of what works and of what does not.
func TestTelemetry(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	tel, err := telemetry.New(t.Context(), telemetry.Config{Service: "test", SpanProcessors: []sdktrace.SpanProcessor{sdktrace.NewSimpleSpanProcessor(spans)}})
	if err != nil {
		t.Fatal(err)
	}
	server := redistest.Start(t)
	cfg := server.Config()
	cfg.Telemetry = tel
	client := open(t, cfg)
	ctx := t.Context()
	server.Do(t, "SET", redis.KeyOf("canary", "events", "consent"), "not a stream")
	if err := redis.NewSharedEvents(client, "consent").Append(ctx, "canary", event(1, "consent.withdrawn")); err == nil {
		t.Error("a value that is no stream was appended to")
	}
	db := &database{}
	revisions := redis.NewSharedRevisions(client, db.read, clock.System())
	if err := revisions.Publish(ctx, "canary", 3); err != nil {
		t.Error(err)
	}
	server.Kill(t)
	_ = revisions.Publish(ctx, "canary", 4) // fails, which is traced
	seen := fmt.Sprintf("%+v", spans.GetSpans())
	if !strings.Contains(seen, "evalsha") || !strings.Contains(seen, "refused: WRONGTYPE") || !strings.Contains(seen, "redis: away") {
		t.Errorf("what should be traced is not: %s", seen)
	}
	for _, never := range []string{"canary", "v1:", "sub_0123", "for-tests-only", "withdrawn"} {
		if strings.Contains(seen, never) {
			t.Errorf("%q is traced", never)
		}
	}
	_ = tel.Shutdown(context.WithoutCancel(ctx))
}
