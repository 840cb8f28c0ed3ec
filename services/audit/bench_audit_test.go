package audit_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/server"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

const (
	auditInFlight = 2048
	auditRounds   = 5
	auditRound    = 10 * time.Second
	auditReport   = 100
)

// auditContender is something that takes entries, with those who give them, in a process of its own.
type auditContender struct {
	name string
	// round takes entries for a while and returns how many were durable and published at its end, and how long that took.
	round func(d time.Duration) (n int64, took time.Duration, err error)
	// process is its number, and leaf how long a leaf is.
	process string
	leaf    int
	rates   []float64
	// costs are processor times of an entry in µs, with what is done with it later, and rests how many seconds that took.
	costs, rests []float64
}

// TestBenchAudit measures how many entries the service takes, durable and published, against Tessera alone and against immudb's
// embedded store, in rounds that take turns; and how long a proof takes in a large log. It judges nothing: `make bench-audit` prints
// what it measured.
func TestBenchAudit(t *testing.T) {
	if os.Getenv("PRIVACYOPS_BENCH") != "audit" {
		t.Skip("it measures and proves nothing; `make bench-audit` runs it")
	}
	if what := os.Getenv(contenderVariable); what != "" {
		serveRounds(t, what)
		return
	}
	single := benchProcess(t, "accept", 0)
	contenders := []*auditContender{benchProcess(t, "tessera", single.leaf), single, benchProcess(t, "report", 0), benchProcess(t, "tuned", single.leaf)}
	if program := os.Getenv("PRIVACYOPS_BENCH_IMMUDB"); program != "" {
		contenders = append(contenders, benchImmudb(t, program, single.leaf))
	}
	for range auditRounds {
		for _, c := range contenders {
			if err := c.run(); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
	}
	reportRates(contenders)
	benchProofs(t)
}

// run runs a round, and waits until what it left to do (an index, a monitor) is done, so that the next one has the machine.
func (c *auditContender) run() error {
	before, err := processorTime(c.process)
	if err != nil {
		return err
	}
	n, took, err := c.round(auditRound)
	if err != nil {
		return err
	}
	ended, after := time.Now(), time.Duration(0)
	for idle := false; !idle; {
		busy, err := processorTime(c.process)
		if err != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond)
		if after, err = processorTime(c.process); err != nil {
			return err
		}
		idle = after-busy <= 20*time.Millisecond
	}
	c.rates = append(c.rates, float64(n)/took.Seconds())
	c.costs = append(c.costs, float64((after-before).Microseconds())/float64(n))
	c.rests = append(c.rests, time.Since(ended).Seconds()-0.2)
	return nil
}

// processorTime is how long a process has kept processors busy (proc(5)).
func processorTime(process string) (time.Duration, error) {
	raw, err := os.ReadFile("/proc/" + process + "/stat")
	if err != nil {
		return 0, err
	}
	var user, system int64
	_, state, _ := strings.Cut(string(raw), ") ")
	if fields := strings.Fields(state); len(fields) > 12 {
		user, _ = strconv.ParseInt(fields[11], 10, 64)
		system, err = strconv.ParseInt(fields[12], 10, 64)
	}
	return time.Duration(user+system) * 10 * time.Millisecond, err
}

// contenderVariable makes the test serve rounds of a contender: it reads durations from standard input, one a line, and answers each with
// how many entries were durable and published, and how many seconds that took. Before the first it tells how long a leaf is.
const contenderVariable = "PRIVACYOPS_BENCH_CONTENDER"

func serveRounds(t *testing.T, what string) {
	kind, size, _ := strings.Cut(what, " ")
	if kind != "tessera" {
		server.TuneMemory(0) // as every service of ours does
	}
	leaf, _ := strconv.Atoi(size)
	var c *auditContender
	switch kind {
	case "tessera":
		c = benchTessera(t, leaf)
	case "tuned":
		c = benchTessera(t, leaf)
		c.name += ", garbage collected as seldom as in ours"
	case "accept":
		c = benchService(t)
	default:
		c = benchReports(t)
	}
	fmt.Println(c.leaf, c.name)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		d, err := time.ParseDuration(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		n, took, err := c.round(d)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(n, took.Seconds())
	}
}

// benchProcess starts this program anew as a contender.
func benchProcess(t *testing.T, kind string, leaf int) *auditContender {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestBenchAudit$", "-test.timeout=30m")
	cmd.Env = append(os.Environ(), contenderVariable+"="+kind+" "+strconv.Itoa(leaf))
	c, answers := startContender(t, cmd)
	first, err := answers.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	size, name, _ := strings.Cut(strings.TrimSpace(first), " ")
	c.name = name
	if c.leaf, err = strconv.Atoi(size); err != nil {
		t.Fatal(err)
	}
	return c
}

// startContender starts a program that reads durations and answers with entries and seconds.
func startContender(t *testing.T, cmd *exec.Cmd) (c *auditContender, answers *bufio.Reader) {
	t.Helper()
	cmd.Stderr = os.Stderr
	to, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	from, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(to.Close(), cmd.Wait()) })
	answers = bufio.NewReader(from)
	return &auditContender{process: strconv.Itoa(cmd.Process.Pid), round: func(d time.Duration) (n int64, took time.Duration, err error) {
		if _, err := io.WriteString(to, d.String()+"\n"); err != nil {
			return 0, 0, err
		}
		var seconds float64
		_, err = fmt.Fscanln(answers, &n, &seconds)
		return n, time.Duration(seconds * float64(time.Second)), err
	}}, answers
}

func reportRates(contenders []*auditContender) {
	fmt.Printf("\n%d entries in flight, %d rounds of %s that take turns; medians (worst round)\n\n", auditInFlight, auditRounds, auditRound)
	fmt.Print("| what | entries/s | to Tessera alone | processor time an entry | until idle |\n|---|---|---|---|---|\n")
	for _, c := range contenders {
		var ratios []float64
		for i, rate := range c.rates {
			ratios = append(ratios, rate/contenders[0].rates[i])
		}
		fmt.Printf("| %s | %.0f (%.0f) | %.2f (%.2f) | %.0f µs (%.0f) | %.1f s |\n", c.name, median(c.rates), slices.Min(c.rates),
			median(ratios), slices.Min(ratios), median(c.costs), slices.Max(c.costs), median(c.rests))
	}
}

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// many calls from so many callers until the time is over and adds up what the calls return.
func many(callers int, d time.Duration, call func() (int64, error)) (int64, error) {
	var done atomic.Int64
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	end := time.Now().Add(d)
	for range callers {
		group.Go(func() {
			for time.Now().Before(end) && failed.Load() == nil {
				n, err := call()
				if err != nil {
					failed.Store(&err)
				}
				done.Add(n)
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return done.Load(), nil
}

// published measures a round up to the checkpoint that covers all of the log in dir.
func published(dir string, fill func() (int64, error)) (int64, time.Duration, error) {
	began := time.Now()
	n, err := fill()
	if err != nil {
		return 0, 0, err
	}
	for {
		size, err := integratedSize(dir)
		if err != nil {
			return 0, 0, err
		}
		raw, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, 0, err
		}
		if lines := strings.Split(string(raw), "\n"); len(lines) > 1 && lines[1] == strconv.FormatUint(size, 10) {
			return n, time.Since(began), nil
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// integratedSize reads how many leaves the log in dir has.
func integratedSize(dir string) (uint64, error) {
	raw, err := os.ReadFile(filepath.Join(dir, ".state", "treeState"))
	if err != nil {
		return 0, err
	}
	var tree struct{ Size uint64 }
	err = json.Unmarshal(raw, &tree)
	return tree.Size, err
}

// benchPeople is how many people the events of a bench are about.
const benchPeople = 5000

// benchEvents makes events like `report`, each about one of the people, whichever, so that each is sealed. One in a hundred is
// part of a trace that is kept. Apart from that it leaves it to the clients of a bench to be busy otherwise.
func benchEvents() func() *auditv1.ReportedEvent {
	like := report("school-a", "erasure")
	people := make([][]string, benchPeople)
	for i := range people {
		people[i] = []string{testKeyring().Subject("school-a", "EMAIL", fmt.Sprintf("elev%d@skole.dk", i))}
	}
	return func() *auditv1.ReportedEvent {
		event := &auditv1.ReportedEvent{
			Id: newID(), Controller: like.GetController(), Service: like.GetService(), Actor: like.GetActor(), Action: like.GetAction(),
			Kind: like.GetKind(), Resource: like.GetResource(), SubjectRefs: people[mathrand.IntN(benchPeople)], Outcome: like.GetOutcome(),
			OccurTime: like.GetOccurTime(), Detail: like.GetDetail(), Traceparent: like.GetTraceparent(),
		}
		if mathrand.IntN(100) > 0 {
			event.Traceparent = strings.TrimSuffix(event.GetTraceparent(), "1") + "0"
		}
		return event
	}
}

// runService runs a service in a folder until the test ends.
func runService(t *testing.T, dir string) (in *ingest, ctx context.Context) {
	t.Helper()
	ctx, stop := context.WithCancel(access.WithCaller(context.Background(), access.Caller{Service: "erasure"}))
	service, db, _, err := openService(ctx, dir, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, service.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	in = &ingest{}
	service.Register(in)
	return in, ctx
}

// benchService is the service without a network.
func benchService(t *testing.T) *auditContender {
	dir := t.TempDir()
	in, ctx := runService(t, dir)
	event := benchEvents()
	first := event()
	if _, err := in.AppendAuditEvents(ctx, &auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{first}}); err != nil {
		t.Fatal(err)
	}
	proof, err := in.log.GetAuditEventProof(ctx, &auditv1.GetAuditEventProofRequest{Name: "controllers/school-a/auditEvents/" + first.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	return &auditContender{name: "audit service, Accept, one event a report", leaf: len(proof.GetLeaf()), round: func(d time.Duration) (int64, time.Duration, error) {
		return published(filepath.Join(dir, "log"), func() (int64, error) {
			return many(auditInFlight, d, func() (int64, error) {
				_, err := in.AppendAuditEvents(ctx, &auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{event()}})
				return 1, err
			})
		})
	}}
}

func benchReports(t *testing.T) *auditContender {
	s := newSuite(t)
	event := benchEvents()
	var clients []auditv1.AuditIngestClient
	for range 4 {
		clients = append(clients, auditv1.NewAuditIngestClient(s.as(t, "erasure")))
	}
	var next atomic.Int64
	return &auditContender{name: fmt.Sprintf("audit service, gRPC (mTLS), reports of %d", auditReport), round: func(d time.Duration) (int64, time.Duration, error) {
		return published(filepath.Join(s.dir, "log"), func() (int64, error) {
			return many(auditInFlight/auditReport, d, func() (int64, error) {
				req := &auditv1.AppendAuditEventsRequest{}
				for range auditReport {
					req.Events = append(req.Events, event())
				}
				_, err := clients[next.Add(1)%int64(len(clients))].AppendAuditEvents(t.Context(), req)
				return auditReport, err
			})
		})
	}}
}

// benchTessera is the log's library alone, with the service's settings and leaves of the same length.
func benchTessera(t *testing.T, size int) *auditContender {
	t.Helper()
	dir, ctx := t.TempDir(), context.Background()
	secret, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(ctx)
	appender, shutdown, _, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().WithCheckpointSigner(signer).
		WithBatching(2048, 5*time.Millisecond).WithCheckpointInterval(100*time.Millisecond).WithGarbageCollectionInterval(2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shutdown(ctx); err != nil {
			t.Error(err)
		}
		stop()
	})
	return &auditContender{name: fmt.Sprintf("Tessera alone, leaves of %d bytes", size), round: func(d time.Duration) (int64, time.Duration, error) {
		return published(dir, func() (int64, error) {
			return many(auditInFlight, d, func() (int64, error) {
				leaf := make([]byte, size)
				_, _ = rand.Read(leaf) // it never fails
				_, err := appender.Add(ctx, tessera.NewEntry(leaf))()
				return 1, err
			})
		})
	}}
}

// benchImmudb is the program of scripts/bench/immudb.
func benchImmudb(t *testing.T, program string, size int) *auditContender {
	t.Helper()
	c, _ := startContender(t, exec.Command(program, "-dir", filepath.Join(t.TempDir(), "store"), "-writers", strconv.Itoa(auditInFlight), "-size", strconv.Itoa(size)))
	c.name = "immudb 1.9.5 embedded, synced, not indexed"
	return c
}

// benchProofs fills a log and asks for proofs of entries anywhere in it.
func benchProofs(t *testing.T) {
	entries := 1_000_000
	if n, err := strconv.Atoi(os.Getenv("PRIVACYOPS_BENCH_ENTRIES")); err == nil {
		entries = n
	}
	dir := t.TempDir()
	in, ctx := runService(t, dir)
	event := benchEvents()
	var mu sync.Mutex
	var some []string
	left := atomic.Int64{}
	left.Store(int64(entries / auditReport))
	_, took, err := published(filepath.Join(dir, "log"), func() (int64, error) {
		n, err := many(32, time.Hour, func() (int64, error) {
			if left.Add(-1) < 0 {
				return 0, errFilled
			}
			req := &auditv1.AppendAuditEventsRequest{}
			for range auditReport {
				req.Events = append(req.Events, event())
			}
			mu.Lock()
			some = append(some, req.GetEvents()[0].GetId())
			mu.Unlock()
			return auditReport, appendPatiently(ctx, in, req)
		})
		if errors.Is(err, errFilled) {
			err = nil
		}
		return n, err
	})
	if err != nil {
		t.Fatal(err)
	}
	var times []float64
	for range 2000 {
		name := "controllers/school-a/auditEvents/" + some[mathrand.IntN(len(some))]
		began := time.Now()
		proof, err := in.log.GetAuditEventProof(ctx, &auditv1.GetAuditEventProofRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, float64(time.Since(began).Microseconds())/1000)
		checkProof(t, proof)
	}
	slices.Sort(times)
	fmt.Printf("\nproof in a log of %d entries (filled in %s): p50 %.2f ms, p99 %.2f ms\n", entries, took.Round(time.Second), median(times), times[len(times)*99/100])
}

var errFilled = errors.New("filled")

// appendPatiently reports again when the service is busy.
func appendPatiently(ctx context.Context, in *ingest, req *auditv1.AppendAuditEventsRequest) error {
	for {
		_, err := in.AppendAuditEvents(ctx, req)
		if err == nil || !strings.Contains(err.Error(), "AUDIT_BUSY") && !strings.Contains(err.Error(), "cannot take more") {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}
