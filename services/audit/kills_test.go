package audit_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/sqldb"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	domain "github.com/privacyops/privacyops/services/audit/internal/audit"
)

// TestKills kills the audit service and a service that reports to it at any moment, again and again: between commit, relay, log,
// index and checkpoint (guarantee G5). PRIVACYOPS_TEST_KILLS says how often, PRIVACYOPS_TEST_OUTAGE how long the audit service is
// away in between. Afterwards each change has its event in the log exactly once, log and index agree row by row, and every entry has
// a proof that other code than ours accepts.
func TestKills(t *testing.T) {
	t.Parallel()
	b := newBattle(t, "")
	kills, err := strconv.Atoi(os.Getenv("PRIVACYOPS_TEST_KILLS"))
	if err != nil {
		kills = 12
	}
	outage, err := time.ParseDuration(os.Getenv("PRIVACYOPS_TEST_OUTAGE"))
	if err != nil {
		outage = time.Second
	}
	got := b.fight(kills, outage)
	t.Logf("seed %d, %d kills: %v", b.seed, kills, got)
	if got.wrong() || got.changes == 0 || got.acknowledged == 0 {
		t.Errorf("wrong: %v", got)
	}
}

// TestKillsNotice proves that the test above can fail: three ways to do it wrong are noticed as what they are.
func TestKillsNotice(t *testing.T) {
	t.Parallel()
	for sabotage, noticed := range map[string]func(tally) bool{
		acknowledgedEarly: func(n tally) bool { return n.missing > 0 },
		recordedApart:     func(n tally) bool { return n.missing > 0 },
		countedTwice:      func(n tally) bool { return n.twice > 0 },
	} {
		t.Run(sabotage, func(t *testing.T) {
			t.Parallel()
			if got := newBattle(t, sabotage).fight(10, 0); !noticed(got) {
				t.Errorf("not noticed: %v", got)
			}
		})
	}
}

// tally is what came out.
type tally struct {
	// changes that were committed, of which so many were told of before a kill; and entries of the log.
	changes, acknowledged, entries int
	// missing changes have no entry, twice have more than one; invented are entries of changes that were not made, and unmade
	// changes that were told of.
	missing, twice, invented, unmade int
}

func (n tally) wrong() bool { return n.missing+n.twice+n.invented+n.unmade > 0 }

func (n tally) String() string {
	return fmt.Sprintf("%d changes (%d told of), %d entries, %d changes without an entry, %d with several, %d entries without a change, %d changes told of and not made",
		n.changes, n.acknowledged, n.entries, n.missing, n.twice, n.invented, n.unmade)
}

// battle is an audit service and a reporting one, and the changes that the latter has told of.
type battle struct {
	t             *testing.T
	dir, address  string
	sabotage      string
	seed          uint64
	audit, report *victim

	mu   sync.Mutex
	told map[string]bool
}

func newBattle(t *testing.T, sabotage string) *battle {
	t.Helper()
	dir := t.TempDir()
	authority, err := server.NewAuthority(filepath.Join(dir, "certs"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range []string{"audit", "erasure"} {
		if _, err := authority.Issue(service); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := access.OpenIssuer(dir); err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	return &battle{t: t, dir: dir, address: lis.Addr().String(), sabotage: sabotage, seed: uint64(time.Now().UnixNano()), told: map[string]bool{}}
}

// noVerifier verifies the tokens that nobody has in this battle.
func noVerifier(dir string) *access.Verifier {
	keys, err := access.NewFileKeys(access.JWKSPath(dir))
	if err != nil {
		panic(err)
	}
	v, err := access.NewVerifier(access.VerifierConfig{Issuer: access.DevelopmentIssuer, Audience: access.DevelopmentAudience, Keys: keys,
		Keyring: testKeyring(), Clock: clock.System()})
	if err != nil {
		panic(err)
	}
	return v
}

// fight kills so often, lets the services end in peace and counts.
func (b *battle) fight(kills int, outage time.Duration) tally {
	b.t.Helper()
	random := rand.New(rand.NewPCG(b.seed, 0)) // whom and when
	b.audit, b.report = b.start("audit"), b.start("reporter")
	for n := range kills {
		time.Sleep(time.Duration(5+random.IntN(200)) * time.Millisecond)
		switch random.IntN(5) {
		case 0, 1:
			b.report.kill()
			b.report = b.start("reporter")
		case 2:
			b.audit.kill()
			b.report.kill()
			b.audit, b.report = b.start("audit"), b.start("reporter")
		default:
			b.audit.kill()
			if n == kills/2 {
				time.Sleep(outage)
			}
			b.audit = b.start("audit")
		}
	}
	time.Sleep(100 * time.Millisecond)
	b.report.kill()
	if drain := b.start("drain"); !drain.ended() {
		b.t.Fatalf("the events that wait could not be reported: %s", drain.stderr.String())
	}
	time.Sleep(150 * time.Millisecond)
	b.audit.kill()
	return b.count()
}

// victim is a process that is killed.
type victim struct {
	b      *battle
	cmd    *exec.Cmd
	stderr bytes.Buffer
	read   chan struct{}
}

// start starts a process and waits until it works: until it has said its first word, or ends.
func (b *battle) start(role string) *victim {
	b.t.Helper()
	v := &victim{b: b, cmd: exec.Command(os.Args[0], "-test.run=^$"), read: make(chan struct{})}
	v.cmd.Env = append(os.Environ(), victimVariable+"="+role, folderVariable+"="+b.dir, addressVariable+"="+b.address, sabotageVariable+"="+b.sabotage)
	v.cmd.Stderr = &v.stderr
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = v.cmd.Process.Kill() })
	works := make(chan struct{})
	go func() {
		defer close(v.read)
		said := sync.OnceFunc(func() { close(works) })
		defer said()
		for lines := bufio.NewReader(out); ; said() {
			line, err := lines.ReadString('\n')
			if err != nil {
				return // a line that was cut was not said
			}
			if role == "reporter" {
				b.mu.Lock()
				b.told[strings.TrimSpace(line)] = true
				b.mu.Unlock()
			}
		}
	}()
	<-works
	return v
}

// kill kills the process, which must not have ended by itself.
func (v *victim) kill() {
	v.b.t.Helper()
	_ = v.cmd.Process.Kill()
	<-v.read
	if err := v.cmd.Wait(); err == nil || v.cmd.ProcessState.ExitCode() != -1 {
		v.b.t.Fatalf("a victim ended by itself: %v\n%s", err, v.stderr.String())
	}
}

// ended waits until the process has ended, and says whether all was well.
func (v *victim) ended() bool {
	<-v.read
	return v.cmd.Wait() == nil
}

// count starts the audit service once more, in this process, and compares the log with the changes.
func (b *battle) count() (n tally) {
	b.t.Helper()
	changes := b.changes()
	service, db, _, err := openService(context.Background(), b.dir, &bytes.Buffer{})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(access.WithCaller(context.Background(), access.Caller{Service: "gateway"}))
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	awaitIndex(b.t, b.dir, db)
	var in ingest
	service.Register(&in)
	n.changes, n.acknowledged = len(changes), len(b.told)
	for id := range b.told {
		if !changes[id] {
			n.unmade++
		}
	}
	of := map[string]int{}
	for _, e := range b.entries(ctx, &in, db) {
		if e.Service != "erasure" {
			continue
		}
		n.entries++
		of[e.Detail["change"]]++
	}
	for id := range changes {
		if of[id] == 0 {
			n.missing++
		}
	}
	for id, times := range of {
		if !changes[id] {
			n.invented++
		}
		if times > 1 {
			n.twice++
		}
	}
	stop()
	if err := errors.Join(<-ended, service.Close()); err != nil {
		b.t.Fatal(err)
	}
	for id, times := range replay(b.t, b.dir, db) {
		if times > 1 {
			b.t.Errorf("event %s is in the log %d times", id, times)
		}
	}
	if err := db.Close(); err != nil {
		b.t.Error(err)
	}
	return n
}

// changes reads what the reporting service has committed, whoever was told of it.
func (b *battle) changes() map[string]bool {
	b.t.Helper()
	db, err := sqldb.Open(context.Background(), sqldb.Config{URL: "sqlite:" + filepath.Join(b.dir, "reporter.db")})
	if err != nil {
		b.t.Fatal(err)
	}
	defer db.Close() // it was read only
	out := map[string]bool{}
	err = db.Read(context.Background(), func(ctx context.Context, q sqldb.Querier) error {
		rows, err := q.Query(ctx, `SELECT id FROM change`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			out[id] = true
		}
		return rows.Err()
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// entries reads all entries of the log by their proofs, each of which is checked with golang.org/x/mod alone.
func (b *battle) entries(ctx context.Context, in *ingest, db *sqldb.DB) (out []domain.Entry) {
	b.t.Helper()
	for _, name := range entryNames(b.t, db) {
		proof, err := in.log.GetAuditEventProof(ctx, &auditv1.GetAuditEventProofRequest{Name: name})
		if err != nil {
			b.t.Fatalf("%s: %v", name, err)
		}
		checkProof(b.t, proof)
		entry, err := domain.ParseLeaf(proof.GetLeaf())
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, entry)
	}
	return out
}

// entryNames lists the names of all events that the index has.
func entryNames(t *testing.T, db *sqldb.DB) (names []string) {
	t.Helper()
	err := db.Read(context.Background(), func(ctx context.Context, q sqldb.Querier) error {
		rows, err := q.Query(ctx, `SELECT controller, event_id FROM entry WHERE controller <> '' ORDER BY position`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var controller, id string
			if err := rows.Scan(&controller, &id); err != nil {
				return err
			}
			names = append(names, "controllers/"+controller+"/auditEvents/"+id)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
