package audit_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/server"
)

// TestKills kills the audit service and a service that reports to it, again and again: aimed at each point between commit, relay,
// sequencing and publication, and at any moment (guarantee G5). One INSERT of an event in 256 fails by a trigger, and reports are
// repeated. PRIVACYOPS_TEST_KILLS says how often, PRIVACYOPS_TEST_OUTAGE how long the audit service is away in between. Afterwards
// each change has its event in the log exactly once, the log replayed gives the reporting service's rows, log and index agree row by
// row, every entry has a proof that other code than ours accepts, and was public in time.
func TestKills(t *testing.T) {
	t.Parallel()
	b := newBattle(t, "")
	kills, err := strconv.Atoi(os.Getenv("PRIVACYOPS_TEST_KILLS"))
	if err != nil {
		kills = 20
	}
	outage, err := time.ParseDuration(os.Getenv("PRIVACYOPS_TEST_OUTAGE"))
	if err != nil {
		outage = time.Second
	}
	got := b.fight(kills, outage)
	t.Logf("seed %d, %d kills, an outage of %v:\n%v\naimed: %s\nleft behind: %v\npublication: %v", b.seed, kills, outage, got, b.aims(), b.gaps, got.waits)
	if got.wrong() || got.changes == 0 || got.acknowledged == 0 || got.repeated == 0 {
		t.Errorf("wrong: %v", got)
	}
	if got.waits.late() {
		t.Errorf("published too late: %v", got.waits)
	}
	b.aimsWereMet(kills)
}

// TestKillsNotice proves that the test above can fail: four ways to do it wrong are noticed as what they are.
func TestKillsNotice(t *testing.T) {
	t.Parallel()
	for sabotage, noticed := range map[string]func(tally) bool{
		acknowledgedEarly: func(n tally) bool { return n.missing > 0 },
		recordedApart:     func(n tally) bool { return n.missing > 0 && n.unlike > 0 },
		countedTwice:      func(n tally) bool { return n.twice > 0 && n.unlike > 0 },
		heldBack:          func(n tally) bool { return n.waits.late() && !n.wrong() },
	} {
		t.Run(sabotage, func(t *testing.T) {
			t.Parallel()
			if got := newBattle(t, sabotage).fight(map[bool]int{false: 22, true: 40}[sabotage == heldBack], 0); !noticed(got) {
				t.Errorf("not noticed: %v", got)
			}
		})
	}
}

// tally is what came out.
type tally struct {
	// changes that were committed, of which so many were told of before a kill; changes that were refused; and entries of the log,
	// of which so many were reported again.
	changes, acknowledged, refused, entries, repeated int
	// missing changes have no entry, twice have more than one; invented are entries of changes that were not made, unmade changes
	// that were told of, and unrefused those that were made though they were refused. unlike are rows of the state that the log
	// replayed does not give.
	missing, twice, invented, unmade, unrefused, unlike int
	waits                                               waits
}

func (n tally) wrong() bool {
	return n.missing+n.twice+n.invented+n.unmade+n.unrefused+n.unlike > 0
}

func (n tally) String() string {
	return fmt.Sprintf("%d changes (%d told of), %d refused with their event, %d entries, %d reports of an event repeated; %d changes without an entry, "+
		"%d with several, %d entries without a change, %d changes told of and not made, %d refused and made, %d rows of state unlike the log",
		n.changes, n.acknowledged, n.refused, n.entries, n.repeated, n.missing, n.twice, n.invented, n.unmade, n.unrefused, n.unlike)
}

// battle is an audit service and a reporting one, and the changes that the latter has told of.
type battle struct {
	t             *testing.T
	dir, address  string
	sabotage      string
	seed          uint64
	audit, report *victim

	// met and missed are the kills by what they were aimed at: there, or somewhere else because it was not reached in time.
	met, missed map[string]int
	gaps        gaps
	recovered   time.Time // the end of the outage
	away        time.Time // its beginning

	mu            sync.Mutex
	told, refused map[string]bool
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
	return &battle{t: t, dir: dir, address: lis.Addr().String(), sabotage: sabotage, seed: uint64(time.Now().UnixNano()),
		told: map[string]bool{}, refused: map[string]bool{}, met: map[string]int{}, missed: map[string]int{}}
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

// fight kills so often, in turn at each aim, lets the services end in peace and counts.
func (b *battle) fight(kills int, outage time.Duration) tally {
	b.t.Helper()
	random := rand.New(rand.NewPCG(b.seed, 0)) // when
	checkpoints := watchCheckpoints(filepath.Join(b.dir, "log"))
	b.audit, b.report = b.start("audit"), b.start("reporter")
	aims := slices.Concat(reporterAims, auditAims, []string{atAnyMoment, atAnyMoment})
	for n := range kills {
		time.Sleep(time.Duration(5+random.IntN(200)) * time.Millisecond)
		aim := aims[n%len(aims)]
		ofAudit := slices.Contains(auditAims, aim) || aim == atAnyMoment && n%2 == 0
		if ofAudit {
			b.killed(b.audit, aim)
			b.gaps.look(b.t, b.dir)
		} else {
			b.killed(b.report, aim)
			if countRows(b.t, filepath.Join(b.dir, "reporter.db"), "audit_outbox") > 0 {
				b.gaps.committed++
			}
		}
		if aim == atAnyMoment && random.IntN(2) == 0 { // both at once
			b.audit.kill()
			b.report.kill()
		}
		if n == kills/2 && outage > 0 {
			b.outage(outage)
		}
		b.revive()
	}
	time.Sleep(100 * time.Millisecond)
	b.report.kill()
	if drain := b.start("drain"); !drain.ended() {
		b.t.Fatalf("the events that wait could not be reported: %s", drain.stderr.String())
	}
	time.Sleep(500 * time.Millisecond)
	b.audit.kill()
	return b.count(checkpoints())
}

// outage takes the audit service away for a time, in which the other goes on.
func (b *battle) outage(d time.Duration) {
	b.t.Helper()
	b.audit.kill()
	if b.report.dead {
		b.report = b.start("reporter")
	}
	calm := filepath.Join(b.dir, "calm")
	if err := os.WriteFile(calm, nil, 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.away = time.Now()
	time.Sleep(d)
	b.audit = b.start("audit")
	b.recovered = time.Now()
	for countRows(b.t, filepath.Join(b.dir, "reporter.db"), "audit_outbox") > 50 {
		if time.Since(b.recovered) > 2*time.Minute {
			b.t.Fatal("what waited is not taken in")
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err := os.Remove(calm); err != nil {
		b.t.Fatal(err)
	}
}

// revive starts what was killed.
func (b *battle) revive() {
	b.t.Helper()
	if b.audit.dead {
		b.audit = b.start("audit")
	}
	if b.report.dead {
		b.report = b.start("reporter")
	}
}

// aimTime is how long a victim may take to come to the point where it is to die.
const aimTime = 3 * time.Second

// killed kills a victim at a point.
func (b *battle) killed(v *victim, aim string) {
	b.t.Helper()
	if aim == atAnyMoment {
		b.met[aim]++
		v.kill()
		return
	}
	_, _ = fmt.Fprintln(v.stdin, aim) // kill finds out about one that has ended by itself
	select {
	case <-v.read:
		b.met[aim]++
	case <-time.After(aimTime):
		b.missed[aim]++
	}
	v.kill()
}

func (b *battle) aims() string {
	var words []string
	for _, aim := range slices.Concat(reporterAims, auditAims, []string{atAnyMoment}) {
		words = append(words, fmt.Sprintf("%s %d", aim, b.met[aim]))
		if n := b.missed[aim]; n > 0 {
			words[len(words)-1] += fmt.Sprintf(" (and %d missed)", n)
		}
	}
	return strings.Join(words, ", ")
}

// aimsWereMet: kills were where they were aimed at, and each gap was hit.
func (b *battle) aimsWereMet(kills int) {
	b.t.Helper()
	for _, aim := range slices.Concat(reporterAims, auditAims) {
		if b.met[aim] < kills/16 {
			b.t.Errorf("%d of %d kills were %q", b.met[aim], kills, aim)
		}
	}
	g := b.gaps
	if g.committed == 0 || g.unpublished == 0 || kills >= 100 && (g.torn == 0 || g.unindexed == 0) {
		b.t.Errorf("a gap was never hit: %v", g)
	}
}
