package tlog

import (
	"context"
	"errors"
	"math"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
)

// dials makes Tessera's connections to the database, which it never closes itself: they end with the log. Each says of which term it is.
// The server ends one that is silent for a lease: a process that was halted in a transaction must not keep the next writer from the
// rows that it has locked.
type dials struct {
	name, dsn string

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
}

var dialNumber atomic.Uint64

func newDials(config *mysql.Config, term uint64, lease time.Duration) *dials {
	d := &dials{name: "privacyops" + strconv.FormatUint(dialNumber.Add(1), 10), conns: map[net.Conn]struct{}{}}
	mysql.RegisterDialContext(d.name, d.dial)
	config = config.Clone()
	config.Net = d.name
	config.Params["@privacyops_term"] = strconv.FormatUint(term, 10)
	config.Params["wait_timeout"] = strconv.Itoa(int(math.Ceil(lease.Seconds())))
	if config.TLS != nil {
		_ = mysql.RegisterTLSConfig(d.name, config.TLS) // it refuses names of its own only
		config.TLS, config.TLSConfig = nil, d.name
	}
	d.dsn = config.FormatDSN()
	return d
}

func (d *dials) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{KeepAlive: dialTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, errors.Join(ErrClosed, conn.Close())
	}
	d.conns[conn] = struct{}{}
	return &dialled{conn.(*net.TCPConn), d}, nil
}

// dialled is forgotten when it is closed. It is a TCP connection to the driver too, which looks whether the server has closed it.
type dialled struct {
	*net.TCPConn
	by *dials
}

func (c *dialled) Close() error {
	c.by.mu.Lock()
	delete(c.by.conns, c.TCPConn)
	c.by.mu.Unlock()
	return c.TCPConn.Close()
}

func (d *dials) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for conn := range d.conns {
		_ = conn.Close()
	}
	mysql.DeregisterDialContext(d.name)
	mysql.DeregisterTLSConfig(d.name)
}
