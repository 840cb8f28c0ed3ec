package legalbasis_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/legalbasis"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// The fake's service time; its clock is an hour ahead of the client's.
const (
	heartbeat = 10 * time.Second
	look      = 100 * time.Millisecond
	ahead     = time.Hour
	// replicaLag is how old the state may be from which a question without token is answered.
	replicaLag = 2 * time.Second
)

// event is a change of who is allowed what.
type event struct {
	at      time.Time
	change  *consentv1.LegalBasisChange
	allowed bool
}

// service is the suite as a client sees it, at its worst: an answer is as old as its token permits, messages lie on their way, and streams break.
// Revisions are indices into events; a token is a revision as text. It runs in a synctest bubble.
type service struct {
	mu      sync.Mutex
	events  []event
	oldest  int // events before it were forgotten
	streams map[*stream]struct{}

	delay    time.Duration // of messages that are sent from now on
	slow     time.Duration // how long a question takes, after it was answered inside
	lasts    time.Duration // after which a yes ends by itself; 0: never
	down     bool
	asked    int
	sabotage sabotage
}

// sabotage are faults that a client must not be able to get away with.
type sabotage struct {
	// mute leaves changes out of watches.
	mute bool
	// forgetful answers older than the token permits.
	forgetful bool
	// stamped dates messages when they arrive.
	stamped bool
}

func newService() *service {
	return &service{events: []event{{at: time.Now(), change: &consentv1.LegalBasisChange{}}}, streams: map[*stream]struct{}{}}
}

// set changes whether an activity is allowed for a person ("": anybody).
func (s *service) set(kind consentv1.LegalBasisChange_Kind, activity, ref string, allowed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &consentv1.LegalBasisChange{Kind: kind, Activity: activity, ResumeToken: strconv.Itoa(len(s.events)), ChangeTime: timestamppb.New(time.Now().Add(ahead))}
	if ref != "" {
		c.SubjectRefs = []string{ref}
	}
	s.events = append(s.events, event{time.Now(), c, allowed})
}

// allowedAt is the truth at a revision.
func (s *service) allowedAt(rev int, activity, ref string) bool {
	for _, e := range slices.Backward(s.events[:rev+1]) {
		if e.change.GetActivity() == activity && (len(e.change.GetSubjectRefs()) == 0 || e.change.GetSubjectRefs()[0] == ref) {
			return e.allowed
		}
	}
	return false
}

// lastAllowed is the last moment up to now at which it was allowed; zero: never.
func (s *service) lastAllowed(activity, ref string, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := now
	for i := len(s.events) - 1; i >= 0; i-- {
		if s.allowedAt(i, activity, ref) {
			return end
		}
		end = s.events[i].at
	}
	return time.Time{}
}

// CheckLegalBasis answers from the oldest state that it may.
func (s *service) CheckLegalBasis(ctx context.Context, in *consentv1.CheckLegalBasisRequest, _ ...grpc.CallOption) (*consentv1.Decision, error) {
	s.mu.Lock()
	if s.down {
		s.mu.Unlock()
		return nil, status.Error(codes.Unavailable, "away")
	}
	s.asked++
	rev := 0
	for rev+1 < len(s.events) && time.Since(s.events[rev+1].at) > replicaLag {
		rev++
	}
	if token := in.GetConsistency().GetToken(); token != "" && !s.sabotage.forgetful {
		seen, _ := strconv.Atoi(token)
		rev = max(rev, seen)
	}
	ref := in.GetSubject().GetValue()
	d := &consentv1.Decision{Decision: consentv1.Decision_DENY, Reason: consentv1.Decision_NO_CONSENT, Activity: in.GetActivity(), SubjectRefs: []string{ref}}
	if s.allowedAt(rev, in.GetActivity(), ref) {
		d.Decision, d.Reason = consentv1.Decision_ALLOW, consentv1.Decision_CONSENT_HOLDS
		if s.lasts > 0 {
			d.DecidedAt, d.ExpireTime = timestamppb.New(time.Now().Add(ahead)), timestamppb.New(time.Now().Add(ahead+s.lasts))
		}
	}
	slow := s.slow
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(slow):
		return d, nil
	}
}

// WatchLegalBasis begins a stream.
func (s *service) WatchLegalBasis(ctx context.Context, in *consentv1.WatchLegalBasisRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[consentv1.LegalBasisChange], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := len(s.events) - 1
	if token := in.GetResumeToken(); token != "" {
		at, _ = strconv.Atoi(token)
	}
	switch {
	case s.down:
		return nil, status.Error(codes.Unavailable, "away")
	case at < s.oldest:
		return nil, status.Error(codes.FailedPrecondition, "RESUME_TOKEN_TOO_OLD")
	}
	st := &stream{service: s, ctx: ctx, at: at, broken: make(chan struct{}), way: make(chan parcel, 10_000)}
	s.streams[st] = struct{}{}
	go st.send()
	return st, nil
}

// forget makes all tokens but the newest too old.
func (s *service) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oldest = len(s.events) - 1
}

// breakStreams breaks what runs. What is on its way is lost.
func (s *service) breakStreams() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for st := range s.streams {
		close(st.broken)
	}
	clear(s.streams)
}

func (s *service) with(f func(*service)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// stream is one watch.
type stream struct {
	grpc.ClientStream
	service *service
	ctx     context.Context //nolint:containedctx // a stream is its context
	at      int
	broken  chan struct{}
	way     chan parcel
}

// parcel is a message on its way.
type parcel struct {
	*consentv1.LegalBasisChange
	arrives time.Time
}

// send looks for changes again and again, as the service does.
func (st *stream) send() {
	for last := (time.Time{}); ; {
		st.service.mu.Lock()
		s, now, news := st.service, time.Now(), false
		for ; st.at+1 < len(s.events); st.at++ {
			news = true
			if !s.sabotage.mute {
				st.way <- parcel{s.events[st.at+1].change, now.Add(s.delay)}
			}
		}
		if news || now.Sub(last) >= heartbeat {
			last = now
			stamp := now.Add(ahead)
			if s.sabotage.stamped {
				stamp = stamp.Add(s.delay)
			}
			st.way <- parcel{&consentv1.LegalBasisChange{ResumeToken: strconv.Itoa(st.at), ChangeTime: timestamppb.New(stamp)}, now.Add(s.delay)}
		}
		st.service.mu.Unlock()
		select {
		case <-st.ctx.Done():
			return
		case <-st.broken:
			return
		case <-time.After(look):
		}
	}
}

// Recv waits for the next message.
func (st *stream) Recv() (*consentv1.LegalBasisChange, error) {
	var p parcel
	select {
	case <-st.ctx.Done():
		return nil, status.FromContextError(st.ctx.Err()).Err()
	case <-st.broken:
		return nil, status.Error(codes.Unavailable, "broken")
	case p = <-st.way:
	}
	select {
	case <-st.ctx.Done():
		return nil, status.FromContextError(st.ctx.Err()).Err()
	case <-st.broken:
		return nil, status.Error(codes.Unavailable, "broken")
	case <-time.After(time.Until(p.arrives)):
		return p.LegalBasisChange, nil
	}
}

var _ legalbasis.Service = (*service)(nil)
