package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/extra/redisotel/v9"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// Client is the connection of one process to Redis. It is safe for concurrent use.
type Client struct {
	db     *goredis.Client
	prefix string        // of nonces, random for each client
	count  atomic.Uint64 // of nonces
	closed chan struct{}
}

// New checks the configuration. It does not connect: a service starts without Redis and finds it later.
func New(cfg Config) (*Client, error) {
	opts, err := cfg.options()
	if err != nil {
		return nil, err
	}
	c := &Client{db: goredis.NewClient(opts), prefix: random(), closed: make(chan struct{})}
	if err := c.instrument(cfg); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.db.AddHook(&breaker{now: time.Now}) // after the instruments, so that these see errors without keys and values
	return c, nil
}

func (c *Client) instrument(cfg Config) error {
	if cfg.Telemetry == nil {
		return nil
	}
	err := redisotel.InstrumentTracing(c.db, redisotel.WithTracerProvider(cfg.Telemetry.Tracer),
		redisotel.WithDBStatement(false), redisotel.WithCallerEnabled(false))
	if err != nil {
		return fmt.Errorf("redis: tracing: %w", err)
	}
	if err := redisotel.InstrumentMetrics(c.db, redisotel.WithMeterProvider(cfg.Telemetry.Meter), redisotel.WithCloseChan(c.closed)); err != nil {
		return fmt.Errorf("redis: metrics: %w", err)
	}
	return nil
}

// Ready asks whether Redis answers. No service needs it to be ready: it is for the operator to see.
func (c *Client) Ready(ctx context.Context) error { return plain(c.db.Ping(ctx).Err()) }

// Close closes the connections, once. What runs on the client ([SharedRevisions.Run]) is to be ended before.
func (c *Client) Close() error {
	if c == nil {
		return nil
	}
	close(c.closed)
	return c.db.Close()
}

// Silence ends the lines that go-redis writes to standard error by itself, past the log of the service. It holds for the whole
// process, so a main calls it, once. What they tell (that dialling failed) spans and metrics tell too.
func Silence() { logging.Disable() }

// nonce names one request.
func (c *Client) nonce() string { return c.prefix + strconv.FormatUint(c.count.Add(1), 36) }

// random is 128 random bits.
func random() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails; see crypto/rand
	return hex.EncodeToString(b[:])
}

// spread is a random part of d.
func spread(d time.Duration) time.Duration {
	var b [1]byte
	_, _ = rand.Read(b[:])
	return d * time.Duration(b[0]) / 256
}

// call runs a script on one key. A script gets the nonce as ARGV[1] and the arguments after it, and begins its reply with the
// nonce and the key. call returns what follows them.
func (c *Client) call(ctx context.Context, script *goredis.Script, key string, args ...any) ([]any, error) {
	nonce := c.nonce()
	argv := append([]any{nonce}, args...)
	reply, err := script.EvalSha(ctx, c.db, []string{key}, argv...).Slice()
	if errors.Is(err, errNoScript) {
		reply, err = script.Eval(ctx, c.db, []string{key}, argv...).Slice()
	}
	if err != nil {
		return nil, plain(err)
	}
	return open(reply, nonce, key)
}

// request is one of several calls.
type request struct {
	key  string
	args []any
}

// callEach runs a script on several keys, which are sent at once and run one by one. Nil stands for a reply that was not got.
func (c *Client) callEach(ctx context.Context, script *goredis.Script, requests []request) [][]any {
	pipe := c.db.Pipeline()
	nonces := make([]string, len(requests))
	cmds := make([]*goredis.Cmd, len(requests))
	for i, r := range requests {
		nonces[i] = c.nonce()
		// With the text of the script: in a pipeline it is too late to learn that Redis has forgotten it.
		cmds[i] = script.Eval(ctx, pipe, []string{r.key}, append([]any{nonces[i]}, r.args...)...)
	}
	replies := make([][]any, len(requests))
	if _, err := pipe.Exec(ctx); errors.Is(err, ErrAway) {
		return replies
	}
	for i, cmd := range cmds {
		if reply, err := cmd.Slice(); err == nil {
			replies[i], _ = open(reply, nonces[i], requests[i].key) // one that is not ours stays nil
		}
	}
	return replies
}

// open checks that a reply is the one to the request.
func open(reply []any, nonce, key string) ([]any, error) {
	if len(reply) < 2 || reply[0] != nonce || reply[1] != key {
		return nil, ErrReply
	}
	return reply[2:], nil
}

// text and number read a field of a reply; a missing one is empty, or zero.
func text(reply []any, i int) string {
	if i >= len(reply) {
		return ""
	}
	s, _ := reply[i].(string)
	return s
}

func number(reply []any, i int) int64 {
	if i < len(reply) {
		if n, ok := reply[i].(int64); ok {
			return n
		}
	}
	n, _ := strconv.ParseInt(text(reply, i), 10, 64)
	return n
}

func items(reply []any, i int) []any {
	if i >= len(reply) {
		return nil
	}
	l, _ := reply[i].([]any)
	return l
}
