package redis

import (
	"context"
	"time"
)

const (
	// queued is how many events wait for Redis at most. What does not fit is left out and shows as a [Gap].
	queued = 4096
	// lastWords is how long a publisher that ends tries to publish what waits.
	lastWords = time.Second
)

// Publisher appends events to a stream in the background, so that no call waits for those who follow.
type Publisher struct {
	events Events
	queue  chan published
}

type published struct {
	controller Controller
	event      Event
}

// NewPublisher makes one for a stream.
func NewPublisher(events Events) *Publisher {
	return &Publisher{events: events, queue: make(chan published, queued)}
}

// Publish takes a committed event. It does not wait.
func (p *Publisher) Publish(controller Controller, e Event) {
	select {
	case p.queue <- published{controller, e}:
	default: // Redis is away or slow: the database has the event
	}
}

// Run publishes until ctx ends, and then what still waits. It returns nil.
func (p *Publisher) Run(ctx context.Context) error {
	for {
		select {
		case e := <-p.queue:
			// An event that is not stored shows as a gap, which its readers know how to fill.
			_ = p.events.Append(ctx, e.controller, e.event)
		case <-ctx.Done():
			return p.drain(context.WithoutCancel(ctx))
		}
	}
}

func (p *Publisher) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	for ctx.Err() == nil {
		select {
		case e := <-p.queue:
			_ = p.events.Append(ctx, e.controller, e.event)
		default:
			return nil
		}
	}
	return nil
}
