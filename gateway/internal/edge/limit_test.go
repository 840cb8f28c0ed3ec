package edge

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/fault"
)

var start = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

func TestMeterFillsAtItsRate(t *testing.T) {
	t.Parallel()
	m := newMeter(10)
	for i := range 10 {
		if err := m.take("a", start); err != nil {
			t.Fatalf("call %d of the first second: %v", i, err)
		}
	}
	err := m.take("a", start)
	if f := fault.From(err); err == nil || f.Kind() != fault.Exhausted || f.RetryAfter() <= 0 || f.RetryAfter() > 100*time.Millisecond {
		t.Errorf("the eleventh: %v", err)
	}
	if err := m.take("b", start); err != nil {
		t.Errorf("another caller pays for the first: %v", err)
	}
	if err := m.take("a", start.Add(100*time.Millisecond)); err != nil {
		t.Errorf("a tenth of a second later: %v", err)
	}
	if err := m.take("a", start.Add(100*time.Millisecond)); err == nil {
		t.Error("a tenth of a second gave two calls")
	}
}

// However calls are spread, no more pass than were saved up and came in, and one who waits as told passes.
func TestMeterNeverGivesMore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		rate := rapid.IntRange(1, 50).Draw(rt, "rate")
		m, now, passed := newMeter(rate), start, 0
		for range rapid.IntRange(1, 200).Draw(rt, "calls") {
			now = now.Add(time.Duration(rapid.IntRange(0, 100).Draw(rt, "ms")) * time.Millisecond)
			err := m.take("a", now)
			if err == nil {
				passed++
				continue
			}
			if err := m.take("a", now.Add(fault.From(err).RetryAfter()+time.Microsecond)); err != nil {
				rt.Fatalf("waiting as told does not help: %v", err)
			}
			passed++
			now = now.Add(fault.From(err).RetryAfter() + time.Microsecond)
		}
		if most := float64(rate) + now.Sub(start).Seconds()*float64(rate) + 1; float64(passed) > most {
			rt.Fatalf("%d calls passed, at most %.1f may", passed, most)
		}
	})
}

func TestMeterIsBounded(t *testing.T) {
	t.Parallel()
	m := newMeter(5)
	for i := range maxKeys + 1000 {
		_ = m.take(fmt.Sprint(i), start)
	}
	if n := len(m.buckets); n > maxKeys+1 {
		t.Errorf("%d buckets", n)
	}
	if err := m.take("late", start.Add(2*time.Second)); err != nil || len(m.buckets) > 2 {
		t.Errorf("idle buckets are kept: %d, %v", len(m.buckets), err)
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	g := newGate(2)
	leave, err := g.enter("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.enter("a"); err != nil {
		t.Fatal(err)
	}
	if _, err := g.enter("a"); !fault.Is(err, "TOO_MANY_CALLS") {
		t.Errorf("a third: %v", err)
	}
	if _, err := g.enter("b"); err != nil {
		t.Errorf("another caller: %v", err)
	}
	leave()
	if leave, err = g.enter("a"); err != nil {
		t.Errorf("after one left: %v", err)
	}
	leave()
	if g.running["a"] != 1 {
		t.Errorf("%d running", g.running["a"])
	}
}

// What a client writes into X-Forwarded-For is believed of nobody but trusted proxies, and only the part that they added.
func TestClientAddress(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for name, c := range map[string]struct {
		remote  string
		forward []string
		want    string
	}{
		"direct":                       {"192.0.2.1:5", nil, "192.0.2.1"},
		"direct, and it claims":        {"192.0.2.1:5", []string{"9.9.9.9"}, "192.0.2.1"},
		"behind a proxy":               {"10.0.0.1:5", []string{"192.0.2.7"}, "192.0.2.7"},
		"behind two":                   {"10.0.0.1:5", []string{"192.0.2.7, 10.9.9.9"}, "192.0.2.7"},
		"behind a proxy, and it lies":  {"10.0.0.1:5", []string{"9.9.9.9, 192.0.2.7"}, "192.0.2.7"},
		"in two headers":               {"10.0.0.1:5", []string{"9.9.9.9", "192.0.2.7"}, "192.0.2.7"},
		"the proxy itself":             {"10.0.0.1:5", nil, "10.0.0.1"},
		"a proxy that writes nonsense": {"10.0.0.1:5", []string{"192.0.2.7, unknown"}, "10.0.0.1"},
		"IPv6":                         {"[2001:db8::1]:5", []string{"9.9.9.9"}, "2001:db8::1"},
		"IPv4 in IPv6":                 {"[::ffff:10.0.0.1]:5", []string{"::ffff:192.0.2.7"}, "192.0.2.7"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.remote
		r.Header["X-Forwarded-For"] = c.forward
		if got := client(r, trusted); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// pipeListener hands out connections from an address of the test's choice.
type pipeListener struct {
	net.Listener
	next chan net.Conn
}

func (l pipeListener) Accept() (net.Conn, error) { return <-l.next, nil }

type from struct {
	net.Conn
	addr   string
	closed chan struct{}
	once   *sync.Once
}

func (f from) RemoteAddr() net.Addr {
	a, _ := net.ResolveTCPAddr("tcp", f.addr)
	return a
}

func (f from) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	inner := pipeListener{next: make(chan net.Conn, 10)}
	lis := Limit(inner, Limits{Connections: 4, ConnectionsPerAddress: 2}, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	connect := func(addr string) from {
		c := from{addr: addr, closed: make(chan struct{}), once: &sync.Once{}}
		inner.next <- c
		return c
	}
	accept := func() net.Conn {
		c, err := lis.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	connect("192.0.2.1:1")
	connect("192.0.2.1:2")
	third := connect("192.0.2.1:3")
	connect("10.0.0.1:1")
	first := accept()
	accept()
	if got := accept().RemoteAddr().String(); got != "10.0.0.1:1" {
		t.Errorf("the third connection of one address was accepted: %s", got)
	}
	<-third.closed
	connect("10.0.0.1:2")
	accept() // a trusted proxy may have many, up to the total
	fifth := connect("10.0.0.1:3")
	go func() {
		<-fifth.closed
		_ = first.Close()
		_ = first.Close() // counts once
		connect("192.0.2.1:4")
		connect("192.0.2.1:5")
	}()
	if got := accept().RemoteAddr().String(); got != "192.0.2.1:4" {
		t.Errorf("after one left: %s", got)
	}
}
