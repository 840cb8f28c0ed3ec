package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

const (
	key    = "0f8fad5b-d9cb-469f-a165-70867728950e"
	other  = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	method = "/privacyops.consent.v1.Register/CreateActivity"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// service creates activities: the effect is a row, and each has a number of its own.
type service struct {
	db      *sqldb.DB
	replies *idempotency.Replies
	clock   *clock.Fake
	fail    error // what the next creation fails with, after its effect
}

func newService(tb testing.TB, engine sqldb.Engine) *service {
	tb.Helper()
	db := enginetest.Open(tb, enginetest.URL(tb, engine), nil)
	k, err := keyring.New(make([]byte, keyring.KeySize))
	if err != nil {
		tb.Fatal(err)
	}
	s := &service{db: db, clock: clock.NewFake(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC))}
	if s.replies, err = idempotency.New(context.Background(), db, k, s.clock); err != nil {
		tb.Fatal(err)
	}
	if _, err = idempotency.New(context.Background(), db, k, s.clock); err != nil {
		tb.Fatalf("opened a second time: %v", err)
	}
	err = db.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE activity (n BIGINT PRIMARY KEY, purpose TEXT NOT NULL)`)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// request is one creating call.
type request struct{ controller, method, field, header, purpose string }

func (s *service) create(ctx context.Context, r request) (*consentv1.Activity, error) {
	if r.header != "" {
		ctx = metadata.NewIncomingContext(ctx, metadata.Pairs(idempotency.Header, r.header))
	}
	body := &consentv1.CreateActivityRequest{Parent: "controllers/" + r.controller, RequestId: r.field, Activity: &consentv1.Activity{Purpose: r.purpose}}
	return idempotency.Once(ctx, s.replies, idempotency.Request{Controller: r.controller, Method: r.method, ID: r.field, Body: body}, &consentv1.Activity{},
		func(ctx context.Context, tx sqldb.Tx) (*consentv1.Activity, error) {
			var n int64
			err := tx.QueryRow(ctx, `INSERT INTO activity (n, purpose) SELECT COUNT(*) + 1, $1 FROM activity RETURNING n`, r.purpose).Scan(&n)
			if err != nil {
				return nil, err
			}
			return &consentv1.Activity{Name: fmt.Sprintf("controllers/%s/activities/%d", r.controller, n), Purpose: r.purpose}, s.fail
		})
}

func (s *service) count(tb testing.TB, table string) (n int) {
	tb.Helper()
	err := s.db.Read(context.Background(), func(ctx context.Context, q sqldb.Querier) error {
		return q.QueryRow(ctx, `SELECT COUNT(*) FROM `+table).Scan(&n)
	})
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func TestSecondCalls(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		first := request{controller: "north", method: method, field: key, purpose: "teaching"}
		for _, tc := range []struct {
			name   string
			change func(*request)
			again  bool   // the answer of the first call
			reason string // of the error; without one and not again, it is a call of its own
		}{
			{"the same", func(*request) {}, true, ""},
			{"key in upper case", func(r *request) { r.header = strings.ToUpper(key) }, true, ""},
			{"header and field alike", func(r *request) { r.header = key }, true, ""},
			{"another body", func(r *request) { r.purpose = "grading" }, false, "IDEMPOTENCY_KEY_REUSED"},
			{"another key", func(r *request) { r.field = other }, false, ""},
			{"no key", func(r *request) { r.field = "" }, false, ""},
			{"another controller", func(r *request) { r.controller = "south" }, false, ""},
			{"another controller and body", func(r *request) { r.controller, r.purpose = "south", "grading" }, false, ""},
			{"another method", func(r *request) { r.method += "2" }, false, ""},
			{"header and field differ", func(r *request) { r.header = other }, false, "IDEMPOTENCY_KEY_INVALID"},
			{"no UUID", func(r *request) { r.field = "1" }, false, "IDEMPOTENCY_KEY_INVALID"},
			{"UUID with a line break", func(r *request) { r.field += "\n" }, false, "IDEMPOTENCY_KEY_INVALID"},
			{"UUID in braces", func(r *request) { r.field = "{" + key + "}" }, false, "IDEMPOTENCY_KEY_INVALID"},
			{"UUID as URN", func(r *request) { r.field = "urn:uuid:" + key }, false, "IDEMPOTENCY_KEY_INVALID"},
			{"UUID without dashes", func(r *request) { r.field = strings.ReplaceAll(key, "-", "") }, false, "IDEMPOTENCY_KEY_INVALID"},
			{"UUID with other characters", func(r *request) { r.field = "zz" + key[2:] }, false, "IDEMPOTENCY_KEY_INVALID"},
			{"header that is no UUID", func(r *request) { r.field, r.header = "", "anna" }, false, "IDEMPOTENCY_KEY_INVALID"},
		} {
			s := newService(t, engine)
			want, err := s.create(t.Context(), first)
			if err != nil {
				t.Fatal(err)
			}
			second := first
			tc.change(&second)
			got, err := s.create(t.Context(), second)
			effects := s.count(t, "activity")
			switch {
			case tc.reason != "":
				if !fault.Is(err, tc.reason) || got != nil || effects != 1 {
					t.Errorf("%s: error %v, answer %v, %d effects; want %s and no effect", tc.name, err, got, effects, tc.reason)
				}
			case err != nil:
				t.Errorf("%s: %v", tc.name, err)
			case tc.again:
				if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || effects != 1 {
					t.Errorf("%s: %d effects, answers (-first +second):\n%s", tc.name, effects, diff)
				}
			case effects != 2 || got.GetName() == want.GetName():
				t.Errorf("%s: %d effects, answer %v; want a call of its own", tc.name, effects, got)
			}
		}
	})
}

func TestHeaderAlone(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		s := newService(t, engine)
		r := request{controller: "north", method: method, header: key, purpose: "teaching"}
		one, err := s.create(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		two, err := s.create(t.Context(), r)
		if err != nil || one.GetName() != two.GetName() || s.count(t, "activity") != 1 {
			t.Errorf("second answer %v, error %v, %d effects", two, err, s.count(t, "activity"))
		}
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(idempotency.Header, key, idempotency.Header, key))
		r.header = ""
		if _, err := s.create(ctx, r); !fault.Is(err, "IDEMPOTENCY_KEY_INVALID") {
			t.Errorf("two headers: %v", err)
		}
	})
}

func TestFiftyAtOnceHaveOneEffect(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		s := newService(t, engine)
		var mu sync.Mutex
		names := map[string]int{}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				a, err := s.create(t.Context(), request{controller: "north", method: method, field: key, purpose: "teaching"})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				names[a.GetName()]++
			})
		}
		wg.Wait()
		if len(names) != 1 || s.count(t, "activity") != 1 {
			t.Errorf("answers %v, %d effects", names, s.count(t, "activity"))
		}
	})
}

// TestAFailureIsNotRemembered: the effect is undone, and the key with it.
func TestAFailureIsNotRemembered(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		s := newService(t, engine)
		r := request{controller: "north", method: method, field: key, purpose: "teaching"}
		s.fail = errors.New("the disk is full")
		if a, err := s.create(t.Context(), r); !errors.Is(err, s.fail) || a != nil {
			t.Errorf("answer %v, error %v", a, err)
		}
		if s.count(t, "activity") != 0 || s.count(t, "idempotent_reply") != 0 {
			t.Errorf("%d effects and %d keys are left", s.count(t, "activity"), s.count(t, "idempotent_reply"))
		}
		s.fail = nil
		r.purpose = "grading" // nothing happened under this key yet
		if _, err := s.create(t.Context(), r); err != nil || s.count(t, "activity") != 1 {
			t.Errorf("the second try: %v", err)
		}
	})
}

func TestKeysAreHonouredForTheirTime(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		s := newService(t, engine)
		r := request{controller: "north", method: method, field: key, purpose: "teaching"}
		for _, step := range []struct {
			after time.Duration
			want  int // effects
		}{{0, 1}, {24 * time.Hour, 1}, {29 * 24 * time.Hour, 1}, {369 * 24 * time.Hour, 1}, {25 * time.Hour, 2}} {
			s.clock.Advance(step.after)
			if err := s.replies.Forget(t.Context(), idempotency.Keep); err != nil {
				t.Fatal(err)
			}
			if _, err := s.create(t.Context(), r); err != nil || s.count(t, "activity") != step.want {
				t.Errorf("at %v: %d effects, want %d, error %v", s.clock.Now(), s.count(t, "activity"), step.want, err)
			}
		}
	})
}

// TestNothingReadableIsKept: keys and requests are digests.
func TestNothingReadableIsKept(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		s := newService(t, engine)
		if _, err := s.create(t.Context(), request{controller: "north", method: method, field: key, purpose: "anna@skole.example"}); err != nil {
			t.Fatal(err)
		}
		var stored, digest string
		err := s.db.Read(t.Context(), func(ctx context.Context, q sqldb.Querier) error {
			return q.QueryRow(ctx, `SELECT key, request FROM idempotent_reply`).Scan(&stored, &digest)
		})
		if err != nil || strings.Contains(stored, key) || strings.Contains(stored+digest, "anna") || len(digest) != 40 {
			t.Errorf("kept: key %q, request %q, error %v", stored, digest, err)
		}
	})
}

// TestAReplayIsToldInTheAuditLog: its event must not read as a second effect.
func TestAReplayIsToldInTheAuditLog(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		s := newService(t, engine)
		for i, want := range []string{"", "true", "true"} {
			call := &outbox.Call{}
			if _, err := s.create(outbox.WithCall(t.Context(), call), request{controller: "north", method: method, field: key, purpose: "teaching"}); err != nil {
				t.Fatal(err)
			}
			if got := call.Event().Detail["replay"]; got != want {
				t.Errorf("call %d: replay = %q, want %q", i, got, want)
			}
		}
	})
}

func TestABrokenMemoryIsAnErrorAndNoEffect(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		s := newService(t, engine)
		breaks := map[sqldb.Engine]string{
			sqldb.SQLite:   `CREATE TRIGGER refuse BEFORE UPDATE ON idempotent_reply BEGIN SELECT RAISE(ABORT, 'no'); END`,
			sqldb.Postgres: `ALTER TABLE idempotent_reply ADD CONSTRAINT refuse CHECK (reply = '')`,
		}
		err := s.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
			_, err := tx.Exec(ctx, breaks[engine])
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if a, err := s.create(t.Context(), request{controller: "north", method: method, field: key, purpose: "teaching"}); err == nil || a != nil || s.count(t, "activity") != 0 {
			t.Errorf("answer %v, error %v, %d effects", a, err, s.count(t, "activity"))
		}
	})
}
