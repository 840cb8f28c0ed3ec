package redis

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Bounds of a stream.
const (
	// StreamLength is how many events of a controller are kept, about.
	StreamLength = 10_000
	// StreamAge is how long a stream is kept after its last event.
	StreamAge = 7 * 24 * time.Hour
	// Redelivery is after what time an event that a consumer took and did not acknowledge is given to another.
	Redelivery = time.Minute
	// MaxPage is the most events that are read at once.
	MaxPage = 1000
)

// Field is what an event may say besides its kind: ids, pseudonyms and resource names.
type Field string

// The fields. There is none for text, a name or an address.
const (
	FieldResource    Field = "resource"    // the resource that changed, by its resource name
	FieldSubject     Field = "subject"     // the pseudonyms of the data subject (keyring.Subject), with commas between
	FieldActivity    Field = "activity"    // the id of a processing activity
	FieldSystem      Field = "system"      // the id of a system
	FieldConsent     Field = "consent"     // the ids of consents, with commas between
	FieldExport      Field = "export"      // the id of an export
	FieldErasure     Field = "erasure"     // the id of an erasure
	FieldCertificate Field = "certificate" // the id of an erasure certificate
	FieldState       Field = "state"       // the state that a request is in now, such as COMPLETED
	FieldRevision    Field = "revision"    // the revision that the change took
)

var (
	fields = map[Field]bool{
		FieldResource: true, FieldSubject: true, FieldActivity: true, FieldSystem: true, FieldConsent: true, FieldExport: true,
		FieldErasure: true, FieldCertificate: true, FieldState: true, FieldRevision: true,
	}
	kindPattern = regexp.MustCompile(`^[a-z]{2,32}\.[a-z_]{2,32}$`)
	idPattern   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_./-]{0,255}$`) // no @, no space, no letter beyond ASCII
	namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

	errEvent = errors.New("redis: an event has a kind such as consent.withdrawn, a time, listed fields with ids and pseudonyms, " +
		"and a sequence above its predecessor's")
	errNames = errors.New("redis: groups and consumers are named by a-z, 0-9, dot, underscore and hyphen")
)

// Event says that something has happened under a controller. The database has the event itself.
type Event struct {
	// Sequence is its number within the controller, from 1 on, in the order of commits. It is taken in the transaction.
	Sequence int64
	// Previous is the sequence of the controller's event before it, 0 where it is the first. By it a missing event is noticed.
	Previous int64
	// Kind is `consent.withdrawn`, `erasure.completed` and the like.
	Kind string
	// Time is when it happened, to the microsecond.
	Time time.Time
	// Fields name what it happened to.
	Fields map[Field]string
}

func (e Event) valid() error {
	if e.Previous < 0 || e.Sequence <= e.Previous || e.Sequence > maxRevision || !kindPattern.MatchString(e.Kind) || e.Time.IsZero() {
		return errEvent
	}
	for f, v := range e.Fields {
		ids := strings.Split(v, ",")
		if !fields[f] || len(ids) > maxIDs || slices.ContainsFunc(ids, func(id string) bool { return !idPattern.MatchString(id) }) {
			return errEvent
		}
	}
	return nil
}

// maxIDs bounds the ids that a field lists.
const maxIDs = 200

// Gap says that events after a sequence, up to and including another, are not in the stream: trimmed, lost with a FLUSHALL, or never
// published. They are in the database. Through 0: nobody knows up to where.
type Gap struct{ After, Through int64 }

// Page is a part of a stream.
type Page struct {
	// Events are in the order of their sequences.
	Events []Event
	// Gaps are what is missing before, between and after them. An empty page without gaps: nothing new is known.
	Gaps []Gap
}

// Events is a stream of what happens under each controller, for the platforms that follow it. It is a fast way to learn of what the
// database has, and not the only one: an event is published after its commit, at best effort. One that is lost shows as a
// [Gap] when the next one comes; a consumer reads gaps from the database, and looks there now and then by itself.
type Events interface {
	// Append publishes a committed event. One that comes again, or after its successor, is not stored and no error.
	Append(ctx context.Context, controller Controller, e Event) error
	// Read gives up to limit events after a sequence that the caller knows, 0 for the beginning. It does not wait for new ones.
	Read(ctx context.Context, controller Controller, after int64, limit int) (Page, error)

	// Join makes a consumer group that gets the events after a sequence; a group that is there stays as it is. A group is named
	// after a platform, its consumers after the platform's processes, the same names at each start.
	Join(ctx context.Context, controller Controller, group string, after int64) error
	// Take gives a consumer up to limit events that no other of its group has: first those that were taken and not acknowledged
	// for longer than Redelivery, else new ones. The error is ErrNoGroup where the group is gone: join again from the last
	// event known, and read the gap.
	Take(ctx context.Context, controller Controller, group, consumer string, limit int) (Page, error)
	// Acknowledge says that events were dealt with.
	Acknowledge(ctx context.Context, controller Controller, group string, sequences ...int64) error
	// Leave ends a group.
	Leave(ctx context.Context, controller Controller, group string) error
}

var (
	_ Events = (*LocalEvents)(nil)
	_ Events = (*SharedEvents)(nil)
)

// follow lists what is missing among events that should follow the sequence after, in a stream whose last event is last. whole says
// that nothing was left off at the end.
func follow(events []Event, after, last int64, whole bool) Page {
	p := Page{Events: events}
	at := after
	for _, e := range events {
		if e.Previous > at {
			p.Gaps = append(p.Gaps, Gap{After: at, Through: e.Previous})
		}
		at = e.Sequence
	}
	switch {
	case last == 0, last < at: // empty, or begun anew: it proves nothing
		p.Gaps = append(p.Gaps, Gap{After: at})
	case whole && at < last: // its last events were removed
		p.Gaps = append(p.Gaps, Gap{After: at, Through: last})
	}
	return p
}

func pageLimit(limit int) int { return min(max(limit, 1), MaxPage) }
