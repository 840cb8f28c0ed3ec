package audit_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/logkey"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit"
	"github.com/privacyops/privacyops/services/audit/logcheck"
)

// idAt is the id of an event that was made at a time.
func idAt(at time.Time) string {
	id := uuid.Must(uuid.NewV7())
	for i, ms := 5, at.UnixMilli(); i >= 0; i-- {
		id[i], ms = byte(ms), ms>>8
	}
	return id.String()
}

// TestServiceOverYears runs the service from one year to the next, with a witness' eyes on what it publishes, and lets a retention period end.
func TestServiceOverYears(t *testing.T) {
	t.Parallel()
	dir, wall := t.TempDir(), clock.NewFake(time.Date(2026, 12, 31, 23, 59, 0, 0, time.UTC))
	ctx, stop := context.WithCancel(access.WithCaller(context.Background(), access.Caller{Service: "erasure"}))
	service, db, _, err := openService(ctx, dir, &bytes.Buffer{}, func(c *audit.Config) { c.Clock, c.KeepYears, c.VerifyInterval = wall, 1, 100*time.Millisecond })
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	var in ingest
	service.Register(&in)
	var names []string
	for year := 2026; year <= 2028; year++ {
		if year > 2026 {
			wall.Set(time.Date(year, 1, 1, 0, 0, 0, 1000, time.UTC))
		}
		event := report("school-a", "erasure")
		event.Id = idAt(wall.Now())
		answer, err := in.AppendAuditEvents(ctx, &auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{event}})
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, "controllers/school-a/auditEvents/"+event.GetId())
		proof, err := in.log.GetAuditEventProof(ctx, &auditv1.GetAuditEventProofRequest{Name: names[len(names)-1]})
		if err != nil {
			t.Fatalf("%d: %v, %v", year, answer, err)
		}
		key, err := note.NewVerifier(proof.GetLogKey())
		if err != nil {
			t.Fatal(err)
		}
		if !logkey.Covers(service.PublicKey(), proof.GetLogKey()) || (proof.GetShardPosition() == 0) != (year == 2026) {
			t.Errorf("%d: the proof is of the shard %s at %d", year, key.Name(), proof.GetShardPosition())
		}
		in := logcheck.Inclusion{Leaf: proof.GetLeaf(), Index: proof.GetIndex(), TreeSize: proof.GetTreeSize(), Hashes: proof.GetHashes(), Checkpoint: []byte(proof.GetCheckpoint())}
		if err := in.Check(key); err != nil {
			t.Errorf("%d: %v", year, err)
		}
	}
	list := listShards(t, in.log, 3)
	for i, want := range []auditv1.LogShard_State{auditv1.LogShard_DROPPED, auditv1.LogShard_SEALED, auditv1.LogShard_OPEN} {
		if s := list[i]; s.GetState() != want || (len(s.GetOpening()) > 0) != (i > 0) || (s.GetTombstone() != "") != (i == 0) {
			t.Errorf("shard %d: %v", i, s)
		}
	}
	if _, err := in.log.GetAuditEventProof(ctx, &auditv1.GetAuditEventProofRequest{Name: names[0]}); !fault.Is(err, "SHARD_DROPPED") {
		t.Errorf("the proof of a dropped entry: %v", err)
	}
	for year, want := range map[uint32]string{0: "SHARD_DROPPED", 2027: "", 2028: "", 2029: "NOT_FOUND"} {
		checkpoint, err := in.log.GetCheckpoint(ctx, &auditv1.GetCheckpointRequest{Year: year})
		if want != "" && !fault.Is(err, want) || want == "" && (err != nil || !strings.HasPrefix(string(checkpoint.GetData()), logkey.Origin(origin, int(year))+"\n")) {
			t.Errorf("checkpoint of %d: %v, %v", year, checkpoint, err)
		}
		if _, err := in.log.GetTile(ctx, &auditv1.GetTileRequest{Year: year, Width: 1}); want != "" && !fault.Is(err, want) || want == "" && err != nil {
			t.Errorf("tile of %d: %v", year, err)
		}
	}
	stop()
	if err := errors.Join(<-ended, service.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	verifier, err := logcheck.Key(service.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	r, err := logcheck.Verify(context.Background(), logcheck.Folder(os.DirFS(filepath.Join(dir, "log"))), logcheck.Options{Key: verifier})
	if err != nil || !r.Sound() || len(r.Shards) != 3 {
		t.Errorf("verify log: %+v, %v", r, err)
	}
}

// listShards waits until the first of the shards is dropped.
func listShards(t *testing.T, log auditv1.AuditLogServer, n int) []*auditv1.LogShard {
	t.Helper()
	for range 200 {
		list, err := log.ListLogShards(context.Background(), &auditv1.ListLogShardsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if s := list.GetShards(); len(s) == n && s[0].GetState() == auditv1.LogShard_DROPPED {
			return s
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("no shard was dropped within ten seconds")
	return nil
}

// TestWitnessOverYears turns the year while the witness is away: when it is back, it cosigns the sealed shard's last checkpoint as well as
// the new shard's, of whose key it has never been told.
func TestWitnessOverYears(t *testing.T) {
	t.Parallel()
	change, policy, answer := witnessed(t)
	enough, err := logcheck.ParsePolicy(policy)
	if err != nil {
		t.Fatal(err)
	}
	wall := clock.NewFake(time.Date(2026, 12, 31, 12, 0, 0, 0, time.UTC))
	ctx, stop := context.WithCancel(access.WithCaller(context.Background(), access.Caller{Service: "erasure"}))
	service, db, _, err := openService(ctx, t.TempDir(), &bytes.Buffer{}, change, func(c *audit.Config) { c.Clock = wall })
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	var in ingest
	service.Register(&in)
	accept := func() {
		t.Helper()
		if _, err := in.AppendAuditEvents(ctx, &auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{report("school-a", "erasure")}}); err != nil {
			t.Fatal(err)
		}
	}
	cosigned := func(year uint32) bool {
		t.Helper()
		checkpoint, err := in.log.GetCheckpoint(ctx, &auditv1.GetCheckpointRequest{Year: year})
		if err != nil {
			t.Fatal(err)
		}
		return enough.Satisfied(checkpoint.GetData())
	}
	accept()
	answer.Store(-1)
	accept()
	wall.Set(time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC))
	accept()
	if cosigned(2027) {
		t.Error("the new shard is cosigned while the witness is away")
	}
	answer.Store(0)
	for start := time.Now(); !cosigned(0) || !cosigned(2027); time.Sleep(20 * time.Millisecond) {
		wall.Advance(100 * time.Millisecond) // a witness that was away is left alone for a moment
		if time.Since(start) > 10*time.Second {
			t.Fatalf("cosigned within ten seconds: 2026 %v, 2027 %v", cosigned(0), cosigned(2027))
		}
	}
	stop()
	if err := errors.Join(<-ended, service.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
}
