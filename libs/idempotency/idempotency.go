// Package idempotency gives a creating call one effect, however often it is repeated.
//
// The caller names its request by a UUID: the `requestId` of the body, or the header Idempotency-Key, which the gateway passes
// on as metadata (AIP-155). The first call's answer is stored in the transaction that has the effect; the same key with the
// same request gets the same answer again, the same key with another request is refused. Keys of two controllers, or of two
// methods, never meet.
//
// The truth is in the service's own database (table idempotent_reply, which the room makes itself), so it survives whatever a
// cache loses. Requests are compared by a keyed digest: they may hold identifiers of people, which are not kept.
package idempotency

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
)

// Header is the metadata key under which the gateway passes the header Idempotency-Key on.
const Header = "idempotency-key"

const schema = `CREATE TABLE IF NOT EXISTS idempotent_reply (
	key TEXT NOT NULL PRIMARY KEY,
	request TEXT NOT NULL,
	reply TEXT NOT NULL,
	create_time BIGINT NOT NULL
)`

// Replies remembers answers.
type Replies struct {
	db      *sqldb.DB
	keyring *keyring.Keyring
	clock   clock.Clock
}

// New opens the memory of a service, and makes its table where there is none yet.
func New(ctx context.Context, db *sqldb.DB, k *keyring.Keyring, c clock.Clock) (*Replies, error) {
	if err := Migrate(ctx, db); err != nil {
		return nil, err
	}
	return &Replies{db: db, keyring: k, clock: c}, nil
}

// Migrate makes the memory's table where there is none yet. New does so too; where the table is there, no right to make it is
// needed.
func Migrate(ctx context.Context, db *sqldb.DB) error {
	if err := db.Ensure(ctx, schema); err != nil {
		return fmt.Errorf("idempotency: make table: %w", err)
	}
	return nil
}

// Request is a creating call.
type Request struct {
	// Controller and Method bound the key.
	Controller, Method string
	// ID is the request's `request_id`; empty: the header counts, and without either the call is not remembered.
	ID string
	// Body is the request. It must not be changed before Once returns.
	Body proto.Message
}

// Once runs fn in a write transaction and remembers its answer, or gives the answer of the first call again. The audit event of
// a call that was answered from memory says so (detail `replay`): it stands for no second effect. What fn refuses is not
// remembered: nothing happened, and the same key may try again.
//
// The error has reason IDEMPOTENCY_KEY_REUSED where the key came with another request before, and IDEMPOTENCY_KEY_INVALID
// where it is no UUID or header and body name different ones.
func Once[T proto.Message](ctx context.Context, r *Replies, req Request, empty T, fn func(ctx context.Context, tx sqldb.Tx) (T, error)) (T, error) {
	var reply, none T
	id, err := keyOf(ctx, req.ID)
	if err != nil {
		return none, err
	}
	err = r.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) (err error) {
		if id == "" {
			reply, err = fn(ctx, tx)
			return err
		}
		key := r.keyring.Digest("idempotency/key", req.Controller, req.Method, id)
		digest, err := r.digest(req.Body)
		if err != nil {
			return err
		}
		first, err := r.claim(ctx, tx, key, digest)
		if err != nil {
			return err
		}
		if !first {
			reply = empty
			return recall(ctx, tx, key, digest, empty)
		}
		if reply, err = fn(ctx, tx); err != nil {
			return err
		}
		return remember(ctx, tx, key, reply)
	})
	if err != nil {
		return none, err
	}
	return reply, nil
}

// claim takes the key for this call, before there is any effect: of two calls at the same time the second waits here until
// the first has committed, and then finds its answer.
func (r *Replies) claim(ctx context.Context, tx sqldb.Tx, key, digest string) (first bool, err error) {
	n, err := tx.Exec(ctx, `INSERT INTO idempotent_reply (key, request, reply, create_time) VALUES ($1, $2, '', $3)
		ON CONFLICT (key) DO NOTHING`, key, digest, sqldb.Micros(r.clock.Now()))
	return n == 1, err
}

// recall reads the answer of the first call.
func recall(ctx context.Context, tx sqldb.Tx, key, digest string, into proto.Message) error {
	var request, text string
	if err := tx.QueryRow(ctx, `SELECT request, reply FROM idempotent_reply WHERE key = $1`, key).Scan(&request, &text); err != nil {
		return err
	}
	if request != digest {
		return fault.New(fault.Exists, "IDEMPOTENCY_KEY_REUSED",
			"This idempotency key was used with another request before. Use a new key for a new request.")
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("idempotency: stored reply: %w", err)
	}
	outbox.Detail(ctx, "replay", "true")
	return proto.Unmarshal(raw, into)
}

func remember(ctx context.Context, tx sqldb.Tx, key string, reply proto.Message) error {
	raw, err := proto.Marshal(reply)
	if err != nil {
		return fmt.Errorf("idempotency: reply: %w", err)
	}
	_, err = tx.Exec(ctx, `UPDATE idempotent_reply SET reply = $1 WHERE key = $2`, base64.StdEncoding.EncodeToString(raw), key)
	return err
}

// Forget deletes answers that are older than age. Keys are honoured for at least 400 days by default ([Keep]).
func (r *Replies) Forget(ctx context.Context, age time.Duration) error {
	return r.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM idempotent_reply WHERE create_time < $1`, sqldb.Micros(r.clock.Now().Add(-age)))
		return err
	})
}

// Keep is how long a key is honoured.
const Keep = 400 * 24 * time.Hour

func (r *Replies) digest(body proto.Message) (string, error) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(body)
	if err != nil {
		return "", fmt.Errorf("idempotency: request: %w", err)
	}
	return r.keyring.Digest("idempotency/request", string(raw)), nil
}

// keyOf finds the request's key in the body's field or the header.
func keyOf(ctx context.Context, field string) (string, error) {
	header := ""
	if values := metadata.ValueFromIncomingContext(ctx, Header); len(values) == 1 {
		header = values[0]
	} else if len(values) > 1 {
		return "", badKey("Send one Idempotency-Key.")
	}
	id := strings.ToLower(field)
	switch {
	case id == "":
		id = strings.ToLower(header)
	case header != "" && strings.ToLower(header) != id:
		return "", badKey("The header Idempotency-Key and the field requestId name different requests; send one of them.")
	}
	if id == "" {
		return "", nil
	}
	if _, err := uuid.Parse(id); err != nil || len(id) != 36 {
		return "", badKey("An idempotency key is a UUID.")
	}
	return id, nil
}

func badKey(message string) error {
	return fault.New(fault.Invalid, "IDEMPOTENCY_KEY_INVALID", message)
}
