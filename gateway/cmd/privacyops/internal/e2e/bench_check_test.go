package e2e

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/suite"
	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/server"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

const (
	checkCallers = 64
	checkRounds  = 5
	checkRound   = 3 * time.Second
	checkSchool  = "bench"
	checkMemory  = 600
)

// checkActivities are what each person has consented to.
var checkActivities = []string{"photos", "trips", "newsletter"}

// contender is something whose calls are counted.
type contender struct {
	name string
	pids []int
	call func(ctx context.Context, caller, n int) error

	rates, alone, cpu []float64
}

// TestBenchCheck measures the legal-basis check against a bare gRPC echo, a bare JSON handler and OpenFGA, in rounds that take turns.
// It judges nothing: `make bench-check` prints what it measured.
func TestBenchCheck(t *testing.T) {
	if os.Getenv("PRIVACYOPS_BENCH") != "check" {
		t.Skip("it measures and proves nothing; `make bench-check` runs it")
	}
	people := 1_000_000
	if n, err := strconv.Atoi(os.Getenv("PRIVACYOPS_BENCH_PEOPLE")); err == nil {
		people = n
	}
	b := newCheckBench(t, people)
	contenders := b.contenders()
	b.rounds(contenders)
	b.memory("with the decisions on disk first")
	b.restart("PRIVACYOPS_CONSENT_DECISION_LOG=buffered")
	contenders = append(contenders, b.buffered(contenders[0])...)
	b.rounds(contenders[len(contenders)-2:])
	b.report(contenders)
}

func (b *checkBench) rounds(contenders []*contender) {
	for range checkRounds {
		for _, c := range contenders {
			c.measure(b.t)
		}
	}
}

// restart starts the consent service again with a setting more, and asks about everybody once.
func (b *checkBench) restart(setting string) {
	b.t.Helper()
	b.consent.terminate()
	b.consent.env = append(b.consent.env, setting)
	b.consent.start()
	b.consent.awaitReady()
	b.warm(consentv1.NewLegalBasisClient(b.dial("consent", b.consent.listen)), b.token("partner", "partner", checkSchool))
}

// buffered is the check with buffered decisions, beside the echo as it is then.
func (b *checkBench) buffered(echo *contender) []*contender {
	again := &contender{name: "bare gRPC echo (mTLS), in the rounds of the next row", pids: echo.pids, call: echo.call}
	return []*contender{again, b.check("CheckLegalBasis, gRPC (mTLS), buffered", b.token("partner", "partner", checkSchool))}
}

// check is our check over gRPC.
func (b *checkBench) check(name, token string) *contender {
	b.t.Helper()
	var conns []consentv1.LegalBasisClient
	for range 4 {
		conns = append(conns, consentv1.NewLegalBasisClient(b.dial("consent", b.consent.listen)))
	}
	return &contender{name: name, pids: []int{b.consent.cmd.Process.Pid, b.audit.cmd.Process.Pid}, call: func(ctx context.Context, caller, n int) error {
		d, err := conns[caller%len(conns)].CheckLegalBasis(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), b.question(caller, n))
		if err == nil && d.GetReason() != consentv1.Decision_CONSENT_HOLDS {
			err = fmt.Errorf("answered %s", d.GetReason())
		}
		return err
	}}
}

// memory prints what the consent service uses.
func (b *checkBench) memory(when string) {
	usage, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.consent.cmd.Process.Pid))
	must(b.t, err)
	for line := range strings.Lines(string(usage)) {
		if strings.HasPrefix(line, "VmRSS") || strings.HasPrefix(line, "VmHWM") {
			fmt.Printf("consentd %s, after a check about each of %d people with %d consents, --memory %d: %s", when, b.people, len(checkActivities), checkMemory, line)
		}
	}
}

// checkBench is an installation of consent, audit and gateway on SQLite, with people who have consented.
type checkBench struct {
	*fleet
	people  int
	audit   *process
	consent *process
	gateway *process
}

func newCheckBench(t *testing.T, people int) *checkBench {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bench")
	for _, d := range []string{"keys", "tls", "log"} {
		must(t, os.MkdirAll(filepath.Join(dir, d), 0o700))
	}
	f := &fleet{world: &world{t: t, dir: dir, Suite: &suite.Suite{}}}
	var err error
	f.Issuer, err = access.OpenIssuer(f.path("keys"))
	must(t, err)
	keys, err := keyring.OpenOrCreate(f.path("keys", "master.key"))
	must(t, err)
	authority, err := server.NewAuthority(f.path("tls"), time.Now())
	must(t, err)
	for _, service := range []string{"audit", "consent", "gateway", "export"} {
		_, err := authority.Issue(service)
		must(t, err)
	}
	b := &checkBench{fleet: f, people: people}
	b.audit, b.consent, b.gateway = b.process("audit"), b.process("consent"), b.process("gateway")
	for _, p := range []*process{b.audit, b.consent, b.gateway} {
		p.env = b.settings(p)
	}
	b.audit.start()
	b.audit.awaitReady()
	b.consent.start()
	b.consent.awaitReady()
	b.gateway.start()
	f.URL = "http://" + b.gateway.listen
	b.register()
	b.consent.terminate()
	b.fill(keys)
	b.consent.start()
	b.consent.awaitReady()
	return b
}

func (b *checkBench) process(service string) *process {
	return &process{fleet: b.fleet, service: service, listen: freeAddress(b.t), admin: freeAddress(b.t), words: &logLines{}}
}

func (b *checkBench) settings(p *process) []string {
	return []string{
		"PRIVACYOPS_LISTEN=" + p.listen, "PRIVACYOPS_ADMIN=" + p.admin, "PRIVACYOPS_LOG_LEVEL=error", "PRIVACYOPS_TLS_DIR=" + b.path("tls"),
		"PRIVACYOPS_MASTER_KEY_FILE=" + b.path("keys", "master.key"), "PRIVACYOPS_ISSUER=" + access.DevelopmentIssuer,
		"PRIVACYOPS_AUDIENCE=" + access.DevelopmentAudience, "PRIVACYOPS_JWKS=" + access.JWKSPath(b.path("keys")),
		"PRIVACYOPS_CONSENT_DATABASE=sqlite:" + b.path("consent.db"), "PRIVACYOPS_AUDIT_DATABASE=sqlite:" + b.path("audit.db"),
		"PRIVACYOPS_AUDIT_KEYS_DATABASE=sqlite:" + b.path("audit-keys.db"),
		"PRIVACYOPS_AUDIT_LOG_DIR=" + b.path("log", "tiles"), "PRIVACYOPS_AUDIT_LOG_KEY_FILE=" + b.path("keys", "log.key"),
		"PRIVACYOPS_AUDIT_ADDRESS=" + b.audit.listen, "PRIVACYOPS_CONSENT_ADDRESS=" + b.consent.listen,
		"PRIVACYOPS_EXPORT_ADDRESS=127.0.0.1:9", "PRIVACYOPS_ERASURE_ADDRESS=127.0.0.1:9", "PRIVACYOPS_CONSENT_MEMORY=" + strconv.Itoa(checkMemory),
		"PRIVACYOPS_CALLS_PER_CALLER=1000000", "PRIVACYOPS_CALLS_PER_ADDRESS=1000000",
		"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.01",
	}
}

func (b *checkBench) register() {
	b.t.Helper()
	operator := &client{b.as("operator").Client, b.t}
	operator.Token = b.token("operator", "operator", "*")
	for deadline := time.Now().Add(patience); !answers(b.URL + "/healthz"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatal("the gateway is not there")
		}
	}
	operator.post("/v1/controllers?controllerId="+checkSchool, &consentv1.Controller{DisplayName: "Bench", Jurisdiction: "DK"}, &consentv1.Controller{})
	for _, activity := range checkActivities {
		b.caller("dpo", checkSchool, "dpo").post("/v1/controllers/"+checkSchool+"/activities?activityId="+activity,
			&consentv1.Activity{Purpose: "Photos", LegalBasis: typev1.LegalBasis_CONSENT}, &consentv1.Activity{})
	}
}

func benchPerson(n int) string { return fmt.Sprintf("u%07d", n) }

// fill adds people who have consented, as many calls of GiveConsent would have.
func (b *checkBench) fill(keys *keyring.Keyring) {
	b.t.Helper()
	db, err := sql.Open("sqlite", b.path("consent.db"))
	must(b.t, err)
	defer db.Close()
	const each = 500
	for from := 0; from < b.people; from += each * 40 {
		tx, err := db.BeginTx(b.t.Context(), nil)
		must(b.t, err)
		for at := from; at < min(b.people, from+each*40); at += each {
			var consents, subjects []string
			var given, linked []any
			for n := at; n < min(b.people, at+each); n++ {
				ref := keys.Subject(checkSchool, "UNILOGIN", benchPerson(n))
				for _, activity := range checkActivities {
					id := uuid.Must(uuid.NewV7()).String()
					consents = append(consents, "('"+checkSchool+"', ?, '"+activity+"', 1, ?, 'GUARDIAN', '', 1, 1, 0, 0, '', 9, 0, 9)")
					subjects = append(subjects, "('"+checkSchool+"', ?, '"+activity+"', ?)")
					given, linked = append(given, id, ref), append(linked, ref, id)
				}
			}
			_, err := tx.ExecContext(b.t.Context(), `INSERT INTO consent (controller, consent_id, activity, activity_version, subject_ref, capacity, reference,
				sufficient, give_time, withdraw_time, expire_time, evidence, give_revision, withdraw_revision, last_revision) VALUES `+strings.Join(consents, ","), given...)
			must(b.t, err)
			_, err = tx.ExecContext(b.t.Context(), `INSERT INTO consent_subject (controller, subject_ref, activity, consent_id) VALUES `+strings.Join(subjects, ","), linked...)
			must(b.t, err)
		}
		must(b.t, tx.Commit())
	}
	_, err = db.ExecContext(b.t.Context(), `UPDATE revision SET revision = 9`)
	must(b.t, err)
}

// dial connects without anything that is not needed.
func (b *checkBench) dial(service, address string, options ...grpc.DialOption) *grpc.ClientConn {
	b.t.Helper()
	files := server.In(b.path("tls"), "gateway")
	config, err := files.ClientTLS(service)
	must(b.t, err)
	conn, err := grpc.NewClient(address, append(options, grpc.WithTransportCredentials(credentials.NewTLS(config)))...)
	must(b.t, err)
	b.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (b *checkBench) contenders() []*contender {
	token := b.token("partner", "partner", checkSchool)
	b.warm(consentv1.NewLegalBasisClient(b.dial("consent", b.consent.listen)), token)
	echo, echoed := b.echo()
	plain, answered := b.jsonHandler()
	list := []*contender{
		{name: "bare gRPC echo (mTLS)", pids: []int{echo}, call: echoed},
		b.check("CheckLegalBasis, gRPC (mTLS), durable", token),
		{name: "bare net/http JSON handler", pids: []int{plain}, call: answered},
		{name: "legalBasis:check, REST", pids: []int{b.gateway.cmd.Process.Pid, b.consent.cmd.Process.Pid, b.audit.cmd.Process.Pid}, call: b.rest(token)},
	}
	return append(list, b.openFGA()...)
}

func (b *checkBench) question(caller, n int) *consentv1.CheckLegalBasisRequest {
	return &consentv1.CheckLegalBasisRequest{Parent: "controllers/" + checkSchool, Activity: "photos",
		Subject: &typev1.Subject{Type: typev1.Subject_UNILOGIN, Value: benchPerson((caller*7919 + n*104729) % b.people)}}
}

// warm asks about everybody once, as a day's use would, and waits until the audit service has taken in what was decided, with a key for
// each new person: a million of them keep it busy for a minute.
func (b *checkBench) warm(c consentv1.LegalBasisClient, token string) {
	b.t.Helper()
	ctx := metadata.AppendToOutgoingContext(b.t.Context(), "authorization", "Bearer "+token)
	for from := 0; from < b.people; from += 1000 {
		batch := &consentv1.BatchCheckLegalBasisRequest{Parent: "controllers/" + checkSchool}
		for n := from; n < min(b.people, from+1000); n++ {
			batch.Checks = append(batch.Checks, &consentv1.CheckLegalBasisRequest{Activity: "photos", Subject: &typev1.Subject{Type: typev1.Subject_UNILOGIN, Value: benchPerson(n)}})
		}
		_, err := c.BatchCheckLegalBasis(ctx, batch)
		must(b.t, err)
	}
	db, err := sql.Open("sqlite", b.path("consent.db"))
	must(b.t, err)
	defer db.Close()
	for waiting := 1; waiting > 0; time.Sleep(100 * time.Millisecond) {
		must(b.t, db.QueryRowContext(b.t.Context(), `SELECT count(*) FROM audit_outbox`).Scan(&waiting))
	}
}

// measure runs one round with many callers and one with a single one.
func (c *contender) measure(t *testing.T) {
	t.Helper()
	before, began := cpuOf(c.pids), time.Now()
	calls, _ := c.load(t, checkCallers, checkRound)
	took := time.Since(began).Seconds()
	c.rates = append(c.rates, float64(calls)/took)
	c.cpu = append(c.cpu, float64((cpuOf(c.pids)-before).Microseconds())/float64(calls))
	_, times := c.load(t, 1, checkRound/3)
	slices.Sort(times)
	c.alone = append(c.alone, float64(times[len(times)/2].Microseconds()))
}

// load calls with so many callers for a while; the times are those of the first caller.
func (c *contender) load(t *testing.T, callers int, d time.Duration) (calls int64, times []time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d+10*time.Second)
	defer cancel()
	var done atomic.Int64
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	end := time.Now().Add(d)
	for caller := range callers {
		group.Go(func() {
			for n := 0; time.Now().Before(end); n++ {
				began := time.Now()
				if err := c.call(ctx, caller, n); err != nil {
					failed.Store(&err)
					return
				}
				if caller == 0 {
					times = append(times, time.Since(began))
				}
				done.Add(1)
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		t.Fatalf("%s: %v", c.name, *err)
	}
	return done.Load(), times
}

// cpuOf is the processor time that processes have used.
func cpuOf(pids []int) (total time.Duration) {
	for _, pid := range pids {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(raw)[strings.LastIndexByte(string(raw), ')')+1:])
		for _, field := range fields[11:13] {
			ticks, _ := strconv.Atoi(field)
			total += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return total
}

func middle(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

func (b *checkBench) report(all []*contender) {
	fmt.Printf("\n%d people with %d consents each, %d callers and one, %d rounds of %s that take turns; medians (worst round)\n\n", b.people, len(checkActivities), checkCallers, checkRounds, checkRound)
	fmt.Printf("| what | calls/s, %d callers | server CPU a call | p50, 1 caller |\n|---|---|---|---|\n", checkCallers)
	for _, c := range all {
		fmt.Printf("| %s | %.0f (%.0f) | %.0f µs | %.2f ms |\n", c.name, middle(c.rates), slices.Min(c.rates), middle(c.cpu), middle(c.alone)/1000)
	}
	ratio := func(what string, a, of *contender) {
		if a != nil && of != nil {
			fmt.Printf("%s: %.2f (worst %.2f); p50 of one caller %.2f ×\n", what, quotient(a.rates, of.rates), worst(a.rates, of.rates), quotient(a.alone, of.alone))
		}
	}
	find := func(part string) *contender {
		i := slices.IndexFunc(all, func(c *contender) bool { return strings.Contains(c.name, part) })
		if i < 0 {
			return nil
		}
		return all[i]
	}
	fmt.Println()
	ratio("P1, P3 gRPC check, durable : echo", find("durable"), find("gRPC echo"))
	ratio("P1, P3 gRPC check, buffered : echo", find("buffered"), find("in the rounds of"))
	ratio("P1 gRPC check, durable : OpenFGA gRPC at its best", find("durable"), find("OpenFGA Check, gRPC (TLS), memory"))
	ratio("P1 gRPC check, durable : OpenFGA gRPC, all people", find("durable"), find("gRPC (TLS), SQLite, all people"))
	ratio("P2 REST check : JSON handler", find("REST"), find("JSON handler"))
	ratio("P2 REST check : OpenFGA REST at its best", find("legalBasis:check, REST"), find("OpenFGA Check, REST, memory"))
	ratio("P2 REST check : OpenFGA REST, all people", find("legalBasis:check, REST"), find("REST, SQLite, all people"))
	b.memory("with buffered decisions")
}

// quotient is the median of the rounds' quotients.
func quotient(a, of []float64) float64 {
	var list []float64
	for i := range a {
		list = append(list, a[i]/of[i])
	}
	return middle(list)
}

func worst(a, of []float64) float64 {
	least := a[0] / of[0]
	for i := range a {
		least = min(least, cmp.Or(a[i]/of[i], least))
	}
	return least
}
