package e2e

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"

	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

// amount is a number from the environment, where a longer run is wanted.
func amount(t *testing.T, variable string, short int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return short
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// TestEveryDecisionIsInTheLog kills the consent service again and again while it decides. Whatever a client was told is in the log.
func TestEveryDecisionIsInTheLog(t *testing.T) {
	t.Parallel()
	kills, least := amount(t, "PRIVACYOPS_TEST_KILLS", 4), int64(amount(t, "PRIVACYOPS_TEST_DECISIONS", 20_000))
	const each, callers = 100, 4
	b := newCheckBench(t, 2000)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	var mu sync.Mutex
	told := map[uuid.UUID]bool{}
	var count, broken atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	conn := consentv1.NewLegalBasisClient(b.dial("consent", b.consent.listen))
	token := b.token("partner", "partner", checkSchool)
	for caller := range callers {
		asking.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				batch := &consentv1.BatchCheckLegalBasisRequest{Parent: "controllers/" + checkSchool}
				for i := range each {
					batch.Checks = append(batch.Checks, &consentv1.CheckLegalBasisRequest{Activity: "photos",
						Subject: &typev1.Subject{Type: typev1.Subject_UNILOGIN, Value: benchPerson((caller*31 + n*each + i) % 2000)}})
				}
				answer, err := conn.BatchCheckLegalBasis(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), batch)
				if err != nil {
					broken.Add(1)
					time.Sleep(20 * time.Millisecond)
					continue
				}
				mu.Lock()
				for _, d := range answer.GetDecisions() {
					told[uuid.MustParse(d.GetDecisionId())] = true
				}
				mu.Unlock()
				count.Add(each)
			}
		})
	}
	for killed := 0; killed < kills || count.Load() < least; {
		time.Sleep(time.Duration(100+random.IntN(1500)) * time.Millisecond)
		if killed < kills {
			b.consent.kill()
			b.consent.start()
			b.consent.awaitReady()
			killed++
		}
	}
	stop()
	asking.Wait()
	missing := b.missing(told)
	t.Logf("seed %d: %d decisions were told over %d kills (%d calls broke), %d are not in the log", seed, len(told), kills, broken.Load(), missing)
	if missing > 0 {
		t.Error("somebody was told what nobody can prove")
	}
}

// missing looks for decisions in the log, until all are there or nothing new comes any more.
func (b *checkBench) missing(told map[uuid.UUID]bool) int {
	b.t.Helper()
	auditor := b.caller("auditor", checkSchool, "auditor")
	for last, deadline := -1, time.Now().Add(patience); ; time.Sleep(time.Second) {
		found := map[uuid.UUID]bool{}
		for page := ""; ; {
			out := &auditv1.SearchAuditEventsResponse{}
			auditor.post("/v1/controllers/"+checkSchool+"/auditEvents:search", &auditv1.SearchAuditEventsRequest{
				Filter: `action = "legal_basis.check"`, PageSize: 1000, PageToken: page}, out)
			for _, e := range out.GetEvents() {
				found[uuid.MustParse(e.GetName()[len(e.GetName())-36:])] = true
			}
			if page = out.GetNextPageToken(); page == "" {
				break
			}
		}
		missing := 0
		for id := range told {
			if !found[id] {
				missing++
			}
		}
		if missing != last {
			last, deadline = missing, time.Now().Add(patience)
		}
		if missing == 0 || time.Now().After(deadline) {
			return missing
		}
	}
}
