package keys

import (
	"context"
	"errors"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// ErrGone reports that a controller's key was destroyed or replaced meanwhile.
var ErrGone = errors.New("keys: the controller's key is another one now")

// Row is a stored key.
type Row struct {
	ID  audit.KeyID
	Ref audit.SubjectRef
	// Wrapped is the key, encrypted under the controller's.
	Wrapped []byte
}

// Fresh is a key that is about to be stored.
type Fresh struct {
	Row
	// Mark of the pseudonym, and Before: where the pseudonym or the controller has a mark that is not older, nothing is stored.
	Mark   string
	Before time.Time
}

// Marked is a pseudonym and what is kept of it after its key is destroyed.
type Marked struct {
	Ref  audit.SubjectRef
	Mark string
}

// Destruction is the destruction of keys.
type Destruction struct {
	// Event is the id of the entry that records it.
	Event      audit.EventID
	Controller audit.ControllerID
	Cause
	// Keys that were destroyed. Whole tells that the controller's own key was, and Count how many keys were under it.
	Keys  []audit.KeyID
	Whole bool
	Count int
	Time  time.Time
}

// Cause says why keys are destroyed.
type Cause struct {
	// Resource is the name of the erasure or termination.
	Resource string
	// Service that asked.
	Service string
}

// Store keeps keys, apart from the log and its index. What it has said is done is durable.
type Store interface {
	// ControllerKey returns the wrapped key of a controller. Where there is none it stores `fresh` and returns it.
	ControllerKey(ctx context.Context, c audit.ControllerID, fresh []byte, now time.Time) (wrapped []byte, err error)
	// Find returns the ids of those pseudonyms of a controller that have a key.
	Find(ctx context.Context, c audit.ControllerID, refs []audit.SubjectRef) (map[audit.SubjectRef]audit.KeyID, error)
	// Get returns those of a controller's keys that there are. Nobody else has the memory of what is wrapped: the caller overwrites it.
	Get(ctx context.Context, c audit.ControllerID, ids []audit.KeyID) ([]Row, error)
	// Create stores keys and returns the id that each pseudonym has then: that of the fresh key, or of one that was stored meanwhile,
	// or none because of its mark or whole, the mark of the controller. It fails with ErrGone when `under` is not the controller's
	// wrapped key.
	Create(ctx context.Context, c audit.ControllerID, under []byte, whole string, fresh []Fresh) (map[audit.SubjectRef]audit.KeyID, error)
	// Rewrap replaces a controller's wrapped key, which is `old`, by `fresh`, and each key under it by what rewrap makes of it, all or nothing. It
	// returns how many they were; ErrGone when the controller's key is another one. What rewrap gives is overwritten.
	Rewrap(ctx context.Context, c audit.ControllerID, old, fresh []byte, rewrap func(Row) ([]byte, error)) (int, error)
	// Approve notes that somebody approves the destruction of all of a controller's keys, and returns since when that is approved by how many
	// different ones, the oldest first. It forgets approvals that are as old as `lapsed`. A second approval by the same is none.
	Approve(ctx context.Context, c audit.ControllerID, actor string, now, lapsed time.Time) ([]time.Time, error)
	// Destroy deletes the keys of pseudonyms, or with d.Whole all of the controller and its own and the approvals of that, leaves marks, and stores d with what
	// was deleted, as not recorded yet. It returns that. Where there was nothing to delete only the marks are left.
	Destroy(ctx context.Context, d Destruction, people []Marked) (Destruction, error)
	// Scrub removes what the database still holds of deleted rows, as far as it can be told to.
	Scrub(ctx context.Context) error
	// ScrubMemory removes what this process's memory still holds of deleted rows, as far as the engine lets it.
	ScrubMemory(ctx context.Context) error
	// Unrecorded returns the destructions whose entry may be missing.
	Unrecorded(ctx context.Context) ([]Destruction, error)
	// Recorded notes that a destruction has its entry. It is known from then on, also if it was not before.
	Recorded(ctx context.Context, d Destruction) error
	// Known reports whether a destruction is known, by its entry.
	Known(ctx context.Context, event audit.EventID) (bool, error)
	// Controllers returns the controllers that have a key.
	Controllers(ctx context.Context) ([]audit.ControllerID, error)
	// Unmark deletes marks that are older.
	Unmark(ctx context.Context, before time.Time) error
}
