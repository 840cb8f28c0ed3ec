package legalbasis

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/clock"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// Service answers questions and tells of changes; consentv1.LegalBasisClient does, and [REST].
type Service interface {
	CheckLegalBasis(ctx context.Context, in *consentv1.CheckLegalBasisRequest, opts ...grpc.CallOption) (*consentv1.Decision, error)
	WatchLegalBasis(ctx context.Context, in *consentv1.WatchLegalBasisRequest, opts ...grpc.CallOption) (grpc.ServerStreamingClient[consentv1.LegalBasisChange], error)
}

var _ Service = consentv1.LegalBasisClient(nil)

// The defaults of Config.
const (
	// DefaultBound is the time between two signs of life of a watch, 10 s, and 2 s for their way.
	DefaultBound = 12 * time.Second
	// DefaultMaxAge is short: it bounds what can go wrong unseen.
	DefaultMaxAge = time.Minute
	// DefaultMaxEntries takes some 65 MB when all of them are used: 1.3 KB for an answer about a person with one identifier.
	DefaultMaxEntries = 50_000
)

// Config is what a Client is made of. Service and Controller are required.
type Config struct {
	// Service is asked.
	Service Service
	// Controller is the id of the controller whose people are asked about.
	Controller string
	// Bound is the longest time for which a change may be unseen by an answer from memory; default DefaultBound. Below the service's 10 s
	// between two signs of life, memory rests for a part of the time.
	Bound time.Duration
	// MaxAge is how long an answer is kept, whatever happens; default DefaultMaxAge.
	MaxAge time.Duration
	// MaxEntries bounds how many answers are kept; default DefaultMaxEntries. The one that was not used for longest goes first.
	MaxEntries int
	// Clock is the time by which answers end; default the machine's.
	Clock clock.Clock
	// Broken, where it is set, is told why a watch has ended, each time; the next one follows by itself. The error holds no personal data.
	Broken func(error)
}

// Client asks, and keeps answers for as long as that is honest. It is safe for use by several goroutines.
type Client struct {
	cfg    Config
	parent string
	secret []byte // of the keys of questions

	mu      sync.Mutex
	kept    *answers
	flights map[*flight]struct{}
	// token is the place in the controller's history up to which changes were taken in; empty: nothing is known, and nothing kept.
	token string
	// shown is the moment for which the watch has proven that nothing is missing, by the wall clock; zero: it has not.
	shown time.Time
	// heard is when that was heard, by the monotonic clock, which nobody sets.
	heard time.Time
}

// Answer is a decision, and how it was come by.
type Answer struct {
	*consentv1.Decision
	// Kept says that it was given before, and that nothing has changed it since.
	Kept bool
}

// Allowed reports whether the processing may happen.
func (a Answer) Allowed() bool { return a.GetDecision() == consentv1.Decision_ALLOW }

// New makes a Client. Keep [Client.Run] running beside it.
func New(cfg Config) (*Client, error) {
	if cfg.Service == nil || cfg.Controller == "" {
		return nil, errors.New("legalbasis: service and controller are required")
	}
	if cfg.Bound < 0 || cfg.MaxAge < 0 || cfg.MaxEntries < 0 {
		return nil, errors.New("legalbasis: bound, age and entries are not negative")
	}
	cfg.Bound, cfg.MaxAge = cmp.Or(cfg.Bound, DefaultBound), cmp.Or(cfg.MaxAge, DefaultMaxAge)
	cfg.MaxEntries = cmp.Or(cfg.MaxEntries, DefaultMaxEntries)
	if cfg.Clock == nil {
		cfg.Clock = clock.System()
	}
	c := &Client{cfg: cfg, parent: "controllers/" + cfg.Controller, secret: make([]byte, sha256.Size), kept: newAnswers(cfg.MaxEntries),
		flights: map[*flight]struct{}{}}
	_, err := rand.Read(c.secret)
	return c, err
}

// Check answers a question: from memory where that is honest (see the package's comment), else by asking. The question's parent is the
// client's controller, or empty. Errors are those of the service; processing is allowed by an [Answer.Allowed] of true and by nothing else.
func (c *Client) Check(ctx context.Context, question *consentv1.CheckLegalBasisRequest) (Answer, error) {
	if p := question.GetParent(); p != "" && p != c.parent {
		return Answer{}, fmt.Errorf("legalbasis: this client asks about %s alone", c.parent)
	}
	q := proto.CloneOf(question)
	q.Parent = c.parent
	if q.GetConsistency() != nil || q.GetSigned() || q.GetAsOf() != nil || q.GetKnownAt() != nil {
		d, err := c.cfg.Service.CheckLegalBasis(ctx, q)
		return Answer{Decision: d}, err
	}
	k, err := c.keyOf(q)
	if err != nil {
		return Answer{}, err
	}
	if d := c.recall(k); d != nil {
		return Answer{Decision: d, Kept: true}, nil
	}
	f := c.depart()
	defer c.arrive(f)
	if f.token != "" {
		q.Consistency = &consentv1.Consistency{Requirement: &consentv1.Consistency_Token{Token: f.token}}
	}
	d, err := c.cfg.Service.CheckLegalBasis(ctx, q)
	if err != nil {
		return Answer{}, err
	}
	c.keep(k, f, q.GetActivity(), d)
	return Answer{Decision: d}, nil
}

// Fresh reports whether answers are given from memory at the moment: the watch runs and is up to date.
func (c *Client) Fresh() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.freshLocked(c.cfg.Clock.Now())
}

func (c *Client) freshLocked(now time.Time) bool {
	return !c.shown.IsZero() && within(now.Round(0).Sub(c.shown), c.cfg.Bound) && within(now.Sub(c.heard), c.cfg.Bound)
}

// within reports whether an age is no more than a bound. A negative one is of a clock that was set back: nothing is known.
func within(age, bound time.Duration) bool { return age >= 0 && age <= bound }

// keyOf is a question without the person's identifiers in it.
func (c *Client) keyOf(q *consentv1.CheckLegalBasisRequest) (key, error) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(q)
	if err != nil {
		return key{}, fmt.Errorf("legalbasis: the question cannot be sent: %w", err)
	}
	h := hmac.New(sha256.New, c.secret)
	h.Write(raw)
	return key(h.Sum(nil)), nil
}

// recall gives a kept answer, nil where there is none to be given. It is a copy: the caller may do with it what it likes.
func (c *Client) recall(k key) *consentv1.Decision {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.cfg.Clock.Now()
	if !c.freshLocked(now) {
		return nil
	}
	e := c.kept.get(k)
	if e == nil || e.endedBy(now) || !within(now.Sub(e.asked), c.cfg.MaxAge) || !within(now.Round(0).Sub(e.asked.Round(0)), c.cfg.MaxAge) {
		return nil
	}
	return proto.CloneOf(e.decision)
}

// flight is a question on its way.
type flight struct {
	asked time.Time
	// token that it was asked with; empty: its answer is not kept.
	token string
	// missed are the changes that came meanwhile; lost says that there may be others.
	missed []*consentv1.LegalBasisChange
	lost   bool
}

// maxMissed is how many changes may come while a question is on its way. After more of them its answer is not kept.
const maxMissed = 64

func (c *Client) depart() *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := &flight{asked: c.cfg.Clock.Now()}
	if c.freshLocked(f.asked) {
		f.token = c.token
		c.flights[f] = struct{}{}
	}
	return f
}

func (c *Client) arrive(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flights, f)
}

// keep remembers an answer, unless it may be outdated already.
func (c *Client) keep(k key, f *flight, activity string, d *consentv1.Decision) {
	if d.GetReason() == consentv1.Decision_FRESHNESS_UNPROVABLE || d.GetDecision() == consentv1.Decision_OUTCOME_UNSPECIFIED || len(d.GetSubjectRefs()) == 0 {
		return
	}
	e := &answer{key: k, activity: activity, decision: proto.CloneOf(d), asked: f.asked}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.token == "" || f.lost {
		return
	}
	for _, change := range f.missed {
		if e.touchedBy(change) {
			return
		}
	}
	c.kept.put(e)
}
