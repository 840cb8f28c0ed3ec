// Package participants asks the systems that hold personal data, over the participant protocol.
//
// Every call has an end: a system that does not answer must not hold an export. Of what a system says about its own failure
// nothing is passed on, because such texts may hold personal data; people are told what kind of failure it was and what to do.
package participants

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/privacyops/privacyops/services/export/internal/export"

	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

// Timeouts bound the calls. The zero value is replaced by the defaults.
type Timeouts struct {
	// Describe and Locate bound one call; default 10 s and 30 s.
	Describe, Locate time.Duration
	// Silence bounds the wait for the next piece of a stream, however long the whole takes; default 60 s.
	Silence time.Duration
}

func (t Timeouts) withDefaults() Timeouts {
	for field, value := range map[*time.Duration]time.Duration{
		&t.Describe: 10 * time.Second, &t.Locate: 30 * time.Second, &t.Silence: time.Minute,
	} {
		if *field <= 0 {
			*field = value
		}
	}
	return t
}

// Dial finds the client of a configured participant.
type Dial func(name string) (participantv1.ParticipantClient, error)

// Participants implements export.Participants.
type Participants struct {
	dial     Dial
	timeouts Timeouts
}

var _ export.Participants = (*Participants)(nil)

// New returns the participants that dial finds.
func New(dial Dial, t Timeouts) *Participants {
	return &Participants{dial: dial, timeouts: t.withDefaults()}
}

// Participant gives the participant of that name; see export.Participants.
func (p *Participants) Participant(name export.ParticipantName) (export.Participant, error) {
	client, err := p.dial(string(name))
	if err != nil || client == nil {
		return nil, problem{fmt.Sprintf("No participant named %q is configured. "+
			"Add it to the participants of the export service, or correct the system's participant in the register.", name), err}
	}
	return &remote{name: string(name), client: client, timeouts: p.timeouts}, nil
}

// problem is an error with words for people.
type problem struct {
	public string
	cause  error
}

func (p problem) Error() string  { return "participants: " + p.public }
func (p problem) Public() string { return p.public }
func (p problem) Unwrap() error  { return p.cause }

// explain says in words for people what a call's error means.
func explain(err error) error {
	if err == nil {
		return nil
	}
	code := status.Code(err)
	if errors.Is(err, context.DeadlineExceeded) {
		code = codes.DeadlineExceeded
	}
	switch code {
	case codes.Unavailable:
		return problem{"The system could not be reached. See that its participant runs; it is tried again.", err}
	case codes.DeadlineExceeded, codes.Canceled:
		return problem{"The system did not answer in time. See that its participant is not overloaded; it is tried again.", err}
	case codes.Unauthenticated, codes.PermissionDenied:
		return problem{"The system's participant refused the export service. Let its certificate pass there; it is tried again.", err}
	case codes.Unimplemented:
		return problem{"The system's participant does not speak this part of the protocol. Bring it up to date; it is tried again.", err}
	case codes.NotFound:
		return problem{"The system's participant does not know the controller or itself by these names. Correct its configuration; it is tried again.", err}
	}
	return problem{"The system failed with code " + code.String() + ". Look into its participant's log; it is tried again.", err}
}

// remote is a participant behind a client.
type remote struct {
	name     string
	client   participantv1.ParticipantClient
	timeouts Timeouts
}

// Describe says what the system holds; see export.Participant.
func (r *remote) Describe(ctx context.Context) (export.Description, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeouts.Describe)
	defer cancel()
	d, err := r.client.Describe(ctx, &participantv1.DescribeRequest{Participant: r.name})
	if err != nil {
		return export.Description{}, explain(err)
	}
	out := export.Description{Digest: d.GetDataMapDigest()}
	for _, ds := range d.GetDatasets() {
		out.Datasets = append(out.Datasets, export.Dataset{Name: ds.GetDataset(), Category: ds.GetCategory(),
			Activity: export.ActivityID(ds.GetActivity()), SubjectProvided: ds.GetSubjectProvided(), Columns: ds.GetColumns()})
	}
	return out, nil
}

// Locate counts what the system holds; see export.Participant.
func (r *remote) Locate(ctx context.Context, c export.ControllerID, ids []export.Identifier) (export.Location, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeouts.Locate)
	defer cancel()
	l, err := r.client.Locate(ctx, &participantv1.LocateRequest{Participant: r.name, Controller: string(c), Identifiers: subjects(ids)})
	if err != nil {
		return export.Location{}, explain(err)
	}
	out := export.Location{Counts: map[string]int64{}, Digest: l.GetDataMapDigest()}
	for _, n := range l.GetCounts() {
		out.Counts[n.GetDataset()] += n.GetCount()
	}
	for _, s := range l.GetFurtherIdentifiers() {
		// A kind that this build does not know cannot be asked with.
		if name, ok := typev1.Subject_Type_name[int32(s.GetType())]; ok && s.GetType() != typev1.Subject_TYPE_UNSPECIFIED {
			out.Further = append(out.Further, export.Identifier{Type: name, Value: s.GetValue()})
		}
	}
	for _, s := range l.GetSharedIdentifiers() {
		out.Shared = append(out.Shared, export.SharedIdentifier{Type: s.GetType().String(), People: s.GetPeople()})
	}
	return out, nil
}

func subjects(ids []export.Identifier) []*typev1.Subject {
	out := make([]*typev1.Subject, len(ids))
	for i, id := range ids {
		out[i] = &typev1.Subject{Type: typev1.Subject_Type(typev1.Subject_Type_value[id.Type]), Value: id.Value}
	}
	return out
}

// Export hands what the system holds to sink; see export.Participant.
func (r *remote) Export(ctx context.Context, c export.ControllerID, ids []export.Identifier, datasets []string, sink export.Sink) error {
	ctx, quiet := withSilence(ctx, r.timeouts.Silence)
	defer quiet.stop()
	stream, err := r.client.Export(ctx, &participantv1.ExportRequest{Participant: r.name, Controller: string(c),
		Identifiers: subjects(ids), Datasets: datasets})
	if err != nil {
		return quiet.explain(err)
	}
	complete := false
	for {
		quiet.wait()
		chunk, err := stream.Recv()
		quiet.heard()
		switch {
		case errors.Is(err, io.EOF) && complete:
			return nil
		case errors.Is(err, io.EOF):
			return export.ErrIncomplete
		case err != nil:
			return quiet.explain(err)
		case complete:
			return problem{"Unusable answer: the stream went on after it was said to be complete. The system's participant has to be corrected.", nil}
		}
		if err := hand(chunk, sink); err != nil {
			return err
		}
		complete = chunk.GetComplete()
	}
}

func hand(chunk *participantv1.ExportChunk, sink export.Sink) error {
	for _, r := range chunk.GetRecords() {
		if err := sink.Record(r.GetDataset(), r.GetJson()); err != nil {
			return err
		}
	}
	for _, o := range chunk.GetOmissions() {
		err := sink.Omission(export.Omission{Dataset: o.GetDataset(), Column: o.GetColumn(), Count: o.GetCount(),
			Ground: o.GetGround(), Article: o.GetArticle()})
		if err != nil {
			return err
		}
	}
	return nil
}

// silence ends a stream's context when nothing comes for too long. Time that we take ourselves does not count.
type silence struct {
	limit  time.Duration
	timer  *time.Timer
	cancel context.CancelFunc
	fired  atomic.Bool
}

func withSilence(ctx context.Context, limit time.Duration) (context.Context, *silence) {
	ctx, cancel := context.WithCancel(ctx)
	s := &silence{limit: limit, cancel: cancel}
	s.timer = time.AfterFunc(limit, func() { s.fired.Store(true); cancel() })
	return ctx, s
}

func (s *silence) wait()  { s.timer.Reset(s.limit) }
func (s *silence) heard() { s.timer.Stop() }

func (s *silence) stop() {
	s.timer.Stop()
	s.cancel()
}

func (s *silence) explain(err error) error {
	if s.fired.Load() {
		return explain(context.DeadlineExceeded)
	}
	return explain(err)
}
