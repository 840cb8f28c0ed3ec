package consent

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/store"
)

const (
	// changesKept is how long it can be asked what a revision has changed. Memories that rest are emptied long before.
	changesKept = 30 * 24 * time.Hour
	// announceTime bounds what the answer to a change waits for others to be told of it. Who is not told finds out within
	// redis.ProofAge.
	announceTime = 300 * time.Millisecond
)

// newestRevision reads a controller's newest revision, for redis.Revisions.
func (s *Service) newestRevision(ctx context.Context, controller redis.Controller) (rev int64, err error) {
	ctx = sqldb.WithController(ctx, string(controller))
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		newest, err := store.Store{}.Revision(ctx, q, consent.ControllerID(controller))
		rev = int64(newest)
		return err
	})
	return rev, err
}

// announce tells the other replicas and the platforms that follow of a change that was committed.
func (s *Service) announce(ctx context.Context, c consent.Change) {
	if c.Kind == consent.ErasureNoted {
		s.unscrubbed.Store(true)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceTime)
	defer cancel()
	controller := redis.Controller(c.Controller)
	// Without Redis the others find out by themselves.
	_ = s.revisions.Publish(ctx, controller, int64(c.Revision))
	if s.events != nil {
		s.events.Publish(controller, eventOf(c))
	}
}

// eventOf is a change as platforms read it from the stream.
func eventOf(c consent.Change) redis.Event {
	e := redis.Event{Sequence: int64(c.Revision), Previous: int64(c.Previous), Kind: string(c.Kind), Time: c.Time,
		Fields: map[redis.Field]string{redis.FieldRevision: strconv.FormatInt(int64(c.Revision), 10)}}
	for field, value := range map[redis.Field]string{
		redis.FieldActivity: string(c.Activity), redis.FieldSystem: string(c.System),
		redis.FieldConsent: joined(c.Consents), redis.FieldSubject: joined(c.Subjects),
	} {
		if value != "" {
			e.Fields[field] = value
		}
	}
	return e
}

// maxListed is how many ids a field lists; more are to be read from the database.
const maxListed = 200

func joined[T ~string](ids []T) string {
	var b strings.Builder
	for i, id := range ids[:min(len(ids), maxListed)] {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(string(id))
	}
	return b.String()
}

// forgetChanges deletes what nobody asks for any more.
func (s *Service) forgetChanges(ctx context.Context) error {
	return s.db.Write(sqldb.WithAllControllers(ctx), func(ctx context.Context, tx sqldb.Tx) error {
		_, err := store.Store{}.ForgetChanges(ctx, tx, s.cfg.Clock.Now().Add(-changesKept))
		if err != nil {
			return fmt.Errorf("consent: forget changes: %w", err)
		}
		return nil
	})
}
