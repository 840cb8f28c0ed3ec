package edge

import (
	"net"
	"net/netip"
	"sync"
)

// Limit bounds the connections that a listener hands out, in all and by address. One too many is closed at once: its client
// learns that the port is full, and nobody else has to wait.
func Limit(lis net.Listener, l Limits, trusted []netip.Prefix) net.Listener {
	return &limited{Listener: lis, limits: l.withDefaults(), trusted: trusted, held: map[netip.Addr]int{}}
}

type limited struct {
	net.Listener
	limits  Limits
	trusted []netip.Prefix
	mu      sync.Mutex
	total   int
	held    map[netip.Addr]int
}

// Accept waits for a connection that is within the limits.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr := hostOf(conn.RemoteAddr().String())
		if l.admit(addr) {
			return &counted{Conn: conn, release: sync.OnceFunc(func() { l.release(addr) })}, nil
		}
		_ = conn.Close() // it is refused either way
	}
}

func (l *limited) admit(addr netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	exempt := addr.IsLoopback() || within(addr, l.trusted)
	if l.total >= l.limits.Connections || (!exempt && l.held[addr] >= l.limits.ConnectionsPerAddress) {
		return false
	}
	l.total++
	l.held[addr]++
	return true
}

func (l *limited) release(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.held[addr]--; l.held[addr] == 0 {
		delete(l.held, addr)
	}
}

// counted gives its place back when it is closed.
type counted struct {
	net.Conn
	release func()
}

// Close closes the connection.
func (c *counted) Close() error {
	c.release()
	return c.Conn.Close()
}
