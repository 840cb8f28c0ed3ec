package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/seed"
	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/suite"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/participant"
)

const (
	// moveKills is how often the move is killed before it may end.
	moveKills = 5
	// movedGrace is how long an erasure waits that is approved before the move: longer than the installation takes to stop.
	movedGrace = 30 * time.Second
)

// TestMove moves an embedded installation with work in every state to PostgreSQL, is killed while it does so, and compares all
// that is shown over REST before and after.
func TestMove(t *testing.T) {
	t.Parallel()
	if os.Getenv(pgtest.Variable) == "" {
		t.Skip("a move needs a PostgreSQL to move to: make test-stack")
	}
	random := uint64(time.Now().UnixNano())
	t.Logf("seed %d", random)
	r := rand.New(rand.NewPCG(random, 0))
	m := newMoving(t)
	begun := time.Now()
	pace := func(what string) { t.Logf("%5.1f s  %s", time.Since(begun).Seconds(), what) }

	m.start("")
	must(t, seed.Register(t.Context(), m.URL, m.Issuer, seed.Options{Approvals: 1}))
	people, requests, answers := m.giveConsents()
	pace("consents are given")
	pupils := manyPupils(t, m.platform(), 100)
	asked := m.eraseInAllStates(pupils, m.with)
	roster := m.exportsAndRoster()
	pace("erasures are in their states")
	before, events := m.show(people)
	before[roster] = inOneForm(t, m.otherRoster(roster))
	proofs := m.proofsOf(events, r)
	tree := m.checkpoint(1)
	pace("the state is read")
	waiting := m.inGrace(asked)
	must(t, m.Stop())
	if state := stateOnDisk(t, m.world, waiting); state != "GRACE" {
		t.Fatalf("the erasure that is to wait is %s", state)
	}
	pace("the embedded installation has ended")

	files := m.killedMoves(r)
	report := m.moved()
	pace("it is moved")
	if !report.Verified || !report.Resumed {
		t.Errorf("the report says verified: %v, resumed: %v", report.Verified, report.Resumed)
	}
	m.filesAreAsTheyWere(files)
	m.refusesToStartOnFiles()

	m.start(m.to)
	after, eventsAfter := m.show(people)
	after[roster] = inOneForm(t, m.otherRoster(roster))
	pace("the state is read again")
	delete(before, waiting)
	delete(after, waiting)
	different, compared := differences(before, after)
	for _, d := range different {
		t.Errorf("not as before: %s", d)
	}
	for index, text := range events {
		if eventsAfter[index] != text {
			t.Errorf("the event at index %d is another", index)
		}
	}
	t.Logf("the same before and after: %v, %d events; erasures: %v", compared, len(events), asked.counts())
	m.proofsHold(proofs, tree.N)
	m.repeats(requests, answers)
	m.goesOn(waiting, asked, before)
	pace("everything goes on")
}

// moving is an installation that is moved.
type moving struct {
	*world
	to   string // the database
	with *sync.Map
	free chan struct{}
	opts suite.Options
	said bytes.Buffer // by the command
}

func newMoving(t *testing.T) *moving {
	t.Helper()
	m := &moving{world: &world{t: t, dir: filepath.Join(t.TempDir(), "data")}, to: ownDatabase(t), with: &sync.Map{}, free: make(chan struct{})}
	platform := filepath.Join(m.dir, "sample")
	must(t, os.MkdirAll(platform, 0o700))
	system, database, err := seed.Platform(t.Context(), platform)
	must(t, err)
	m.database = database
	m.opts = suite.Options{DataDir: m.dir, Systems: []participant.SystemConfig{system},
		LogTo: io.Discard, Backoff: func(int) time.Duration { return time.Hour }, // what has failed stays as it is
		Wrap: func(_ string, p participant.Participant) participant.Participant {
			return troubled{p, m.with, m.free}
		}}
	return m
}

// start starts the installation on a database, on files where there is none.
func (m *moving) start(database string) {
	m.t.Helper()
	o := m.opts
	if o.Database = database; database != "" {
		o.Backoff = nil
	}
	var err error
	m.Suite, err = suite.Start(m.t.Context(), o)
	must(m.t, err)
	m.t.Cleanup(func() { must(m.t, m.Stop()) })
}

// inGrace approves an erasure that is to complete after the move.
func (m *moving) inGrace(asked erasures) string {
	m.t.Helper()
	names := asked[erasurev1.Erasure_AWAITING_APPROVAL]
	e := newErasure()
	m.as("dpo").get("/v1/"+names[len(names)-1], e)
	m.as("dpo").approve(e)
	return e.GetName()
}

func (m *moving) otherRoster(name string) []byte {
	return m.caller("dpo", strings.Split(name, "/")[1], "dpo").raw("/v1/" + name)
}

// command runs the real program on the data folder.
func (m *moving) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(m.t.Context(), binary(m.t), args...)
	cmd.Env = append(os.Environ(), "PRIVACYOPS_DATABASE="+m.to)
	return cmd
}

// killedMoves kills moves: the first one somewhere before it copies or as it begins to, the others at random points of the
// copy, each further on. It gives the files as they were before.
func (m *moving) killedMoves(r *rand.Rand) map[string]string {
	m.t.Helper()
	files := m.files()
	conn, err := pgx.Connect(m.t.Context(), m.to)
	must(m.t, err)
	defer conn.Close(m.t.Context())
	var reached []string
	for n := range moveKills {
		cmd := m.command("move", "--from", m.dir)
		pipe, err := cmd.StderrPipe()
		must(m.t, err)
		must(m.t, cmd.Start())
		var words sync.WaitGroup
		words.Go(func() {
			for lines := bufio.NewScanner(pipe); lines.Scan(); {
				m.said.WriteString(lines.Text() + "\n")
			}
		})
		if n == 0 {
			time.Sleep(time.Duration(20+r.IntN(300)) * time.Millisecond)
		} else {
			share := (float64(n-1) + r.Float64()) / moveKills
			for deadline := time.Now().Add(patience); m.copied(conn) < share && time.Now().Before(deadline); {
				time.Sleep(2 * time.Millisecond)
			}
		}
		must(m.t, cmd.Process.Kill())
		words.Wait()
		if err := cmd.Wait(); err == nil {
			m.t.Errorf("move %d had ended before it was killed", n+1)
		}
		reached = append(reached, fmt.Sprintf("%.1f %%", 100*m.copied(conn)))
	}
	m.t.Logf("%d moves were killed, after which so much was copied: %v", moveKills, reached)
	return files
}

// copied is the share of rows that the journal says are copied.
func (m *moving) copied(conn *pgx.Conn) (share float64) {
	m.t.Helper()
	var there bool
	must(m.t, conn.QueryRow(m.t.Context(), `SELECT to_regclass('privacyops_move.progress') IS NOT NULL`).Scan(&there))
	if there {
		must(m.t, conn.QueryRow(m.t.Context(), `SELECT coalesce(sum(copied)::float8 / nullif(sum(total), 0), 0) FROM privacyops_move.progress`).Scan(&share))
	}
	return share
}

// moveReport is what is read of the command's report.
type moveReport struct {
	Verified, Resumed bool
	Rows              int64
	Tables            []struct {
		Service, Name string
		Rows          int64
	}
}

// moved runs the move to its end.
func (m *moving) moved() (report moveReport) {
	m.t.Helper()
	cmd := m.command("move", "--from", m.dir, "--json")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &m.said
	begun := time.Now()
	if err := cmd.Run(); err != nil {
		m.t.Fatalf("the move ends with %v: %s", err, lastLines(m.said.String()))
	}
	must(m.t, json.Unmarshal(out.Bytes(), &report))
	m.t.Logf("%d rows of %d tables are moved; the last move took %.1f s", report.Rows, len(report.Tables), time.Since(begun).Seconds())
	said := m.said.String() + out.String()
	for _, value := range []string{"flyt0", ":suite@", "guardian-"} {
		if strings.Contains(said, value) {
			m.t.Errorf("the command says %q", value)
		}
	}
	return report
}

func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// files are the services' files and what else in the folder is kept, with what is in them.
func (m *moving) files() map[string]string {
	m.t.Helper()
	out := map[string]string{}
	for _, pattern := range []string{"*.db", "*.db-wal", "keys/*", "packages/*", "ledger/*", "audit/log/checkpoint"} {
		paths, err := filepath.Glob(filepath.Join(m.dir, pattern))
		must(m.t, err)
		for _, path := range paths {
			info, err := os.Stat(path)
			must(m.t, err)
			if info.IsDir() {
				continue
			}
			content, err := os.ReadFile(path)
			must(m.t, err)
			if len(content) > 0 {
				out[path] = string(content)
			}
		}
	}
	return out
}

// filesAreAsTheyWere: a move changes nothing but the audit database, in which it has noted that it begins, before it began.
func (m *moving) filesAreAsTheyWere(files map[string]string) {
	m.t.Helper()
	for _, noted := range []string{"audit.db", "audit.db-wal"} {
		delete(files, filepath.Join(m.dir, noted))
	}
	now := m.files()
	for path, content := range files {
		if now[path] != content {
			m.t.Errorf("the move has changed %s", path)
		}
	}
	if len(files) < 8 {
		m.t.Errorf("only %d files were looked at", len(files))
	}
}

// refusesToStartOnFiles starts the program without a database.
func (m *moving) refusesToStartOnFiles() {
	m.t.Helper()
	cmd := m.command("serve", "--data", m.dir, "--listen", "127.0.0.1:0")
	cmd.Env = os.Environ()
	out, err := cmd.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("was moved to PostgreSQL")) || bytes.Contains(out, []byte(":suite@")) {
		m.t.Errorf("on its files the program says %v: %s", err, out)
	}
}

// proof is a proof that was given out before the move.
type proof struct {
	event *auditv1.AuditEvent
	proof *auditv1.Proof
}

// proofsOf takes proofs of some events.
func (m *moving) proofsOf(events map[int64]string, r *rand.Rand) (out []proof) {
	m.t.Helper()
	indexes := slices.Sorted(maps.Keys(events))
	for range 40 {
		text := events[indexes[r.IntN(len(indexes))]]
		_, text, _ = strings.Cut(text, " ")
		p := proof{&auditv1.AuditEvent{}, &auditv1.Proof{}}
		must(m.t, unmarshal(text, p.event))
		at := strings.Split(p.event.GetName(), "/")[1]
		m.caller("auditor", at, "auditor").get("/v1/"+p.event.GetName()+"/proof", p.proof)
		out = append(out, p)
	}
	return out
}

// proofsHold checks the old proofs, and new ones of the same events, against the log as it is now.
func (m *moving) proofsHold(proofs []proof, least int64) {
	m.t.Helper()
	tree := m.checkpoint(least)
	hashes := m.leafHashes(tree)
	for _, p := range proofs {
		m.proofHolds(p.event, p.proof, hashes)
		again := &auditv1.Proof{}
		m.caller("auditor", strings.Split(p.event.GetName(), "/")[1], "auditor").get("/v1/"+p.event.GetName()+"/proof", again)
		m.proofHolds(p.event, again, hashes)
	}
	m.t.Logf("%d old proofs hold in the log of now %d entries, and so do new ones of the same events", len(proofs), tree.N)
}

// repeats sends requests again that were answered before the move.
func (m *moving) repeats(requests []*consentv1.GiveConsentRequest, answers []*consentv1.Consent) {
	m.t.Helper()
	for i, req := range requests {
		again := &consentv1.Consent{}
		m.as("platform").post(school+"/consents", req, again)
		if !proto.Equal(again, answers[i]) {
			m.t.Errorf("the request %d, sent again, is answered otherwise than before", i)
		}
	}
	other := proto.CloneOf(requests[0])
	other.Evidence = "sha256:22bb"
	m.as("platform").refusedMessage(school+"/consents", other, http.StatusConflict, "IDEMPOTENCY_KEY_REUSED")
}

// goesOn checks that work goes on where it stood, and that old certificates verify.
func (m *moving) goesOn(waiting string, asked erasures, before shown) {
	m.t.Helper()
	dpo := m.as("dpo")
	close(m.free)
	for _, name := range slices.Concat(asked[erasurev1.Erasure_RUNNING], asked[erasurev1.Erasure_VERIFYING], []string{waiting}) {
		dpo.awaitErasure(name, erasurev1.Erasure_COMPLETED)
	}
	e := newErasure()
	dpo.get("/v1/"+asked[erasurev1.Erasure_AWAITING_APPROVAL][0], e)
	if e = dpo.approve(e); e.GetState() != erasurev1.Erasure_GRACE {
		m.t.Errorf("an erasure that is approved after the move is %s", e.GetState())
	}
	path := filepath.Join(m.t.TempDir(), "certificate.json")
	for _, name := range asked[erasurev1.Erasure_COMPLETED] {
		must(m.t, os.WriteFile(path, []byte(before[name+"/certificate"]), 0o600))
		if code, words := verify(m.t, m.world, path); code != 0 {
			m.t.Errorf("the old certificate of %s: %d %s", name, code, words)
		}
	}
}

func (e erasures) counts() map[string]int {
	out := map[string]int{}
	for state, names := range e {
		out[state.String()] = len(names)
	}
	return out
}
