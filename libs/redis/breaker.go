package redis

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// rest is how long a Redis that has failed is left alone: what a paused one may cost is one time-out in this time.
const rest = time.Second

// breaker stands between callers and the connections. It is closed until a request fails; then it refuses, and lets one request
// after each rest find out.
type breaker struct {
	now func() time.Time

	mu      sync.Mutex
	until   time.Time // zero: closed
	probing bool
}

// admit reports whether a request may go.
func (b *breaker) admit() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.until.IsZero():
		return true
	case b.probing || b.now().Before(b.until):
		return false
	default:
		b.probing = true
		return true
	}
}

// report takes the outcome of an admitted request.
func (b *breaker) report(o outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	switch o {
	case answered:
		b.until = time.Time{}
	case failed:
		b.until = b.now().Add(rest)
	case unknown: // the next one finds out
	}
}

// outcome is what a request says about the health of Redis.
type outcome int

const (
	answered outcome = iota // it replied, be it with a refusal
	failed                  // it did not reply in time, or the connection broke
	unknown                 // the caller gave up, or no connection was free
)

func outcomeOf(err error) outcome {
	var reply goredis.Error
	switch {
	case err == nil, errors.Is(err, goredis.Nil), errors.As(err, &reply):
		return answered
	case errors.Is(err, context.Canceled), errors.Is(err, goredis.ErrPoolTimeout), errors.Is(err, goredis.ErrClosed):
		return unknown
	default:
		return failed
	}
}

// greets reports whether the commands are those by which go-redis begins a connection. They come here as part of a command that
// was admitted already, and their failure is its failure.
func greets(cmds ...goredis.Cmder) bool {
	for _, cmd := range cmds {
		switch cmd.Name() {
		case "hello", "auth", "select", "client":
		default:
			return false
		}
	}
	return true
}

// DialHook leaves dialling alone: a command that needed it reports its failure.
func (b *breaker) DialHook(next goredis.DialHook) goredis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook guards a command.
func (b *breaker) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		if greets(cmd) {
			return plain(next(ctx, cmd))
		}
		if !b.admit() {
			return ErrAway
		}
		err := next(ctx, cmd)
		b.report(outcomeOf(err))
		return plain(err)
	}
}

// ProcessPipelineHook guards several commands that are sent at once.
func (b *breaker) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		greeting := greets(cmds...)
		if !greeting && !b.admit() {
			for _, cmd := range cmds {
				cmd.SetErr(ErrAway)
			}
			return ErrAway
		}
		err := next(ctx, cmds)
		if !greeting {
			b.report(outcomeOf(err))
		}
		for _, cmd := range cmds {
			cmd.SetErr(plain(cmd.Err()))
		}
		return plain(err)
	}
}
