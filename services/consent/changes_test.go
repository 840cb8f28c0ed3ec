package consent_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/redis/redistest"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent"
)

// Platforms read what happened from the stream in Redis: ids and pseudonyms, in the order of revisions, nothing else.
func TestTheStream(t *testing.T) {
	t.Parallel()
	cfg := redistest.Config(t)
	client, err := redis.New(cfg)
	check(t, err)
	t.Cleanup(func() { check(t, client.Close()) })
	in := install(t, func(c *consent.Config) { c.Redis = client })
	school := string(redistest.Controller(t))
	in.register(school)
	consents := pb.NewConsentsClient(in.certs["gateway"])
	given, err := consents.GiveConsent(in.as("platform", school), give(school))
	check(t, err)
	check(t, last(consents.WithdrawConsent(in.as("platform", school), &pb.WithdrawConsentRequest{Name: given.GetName()})))

	var page redis.Page
	stream := redis.NewSharedEvents(client, consent.Name)
	for deadline := time.Now().Add(10 * time.Second); len(page.Events) < 4 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		page, err = stream.Read(t.Context(), redis.Controller(school), 0, 10)
		check(t, err)
	}
	var kinds []string
	for i, e := range page.Events {
		kinds = append(kinds, e.Kind)
		if e.Sequence != int64(i+1) || e.Previous != int64(i) || e.Fields[redis.FieldRevision] != strconv.Itoa(i+1) {
			t.Errorf("%d: %+v", i, e)
		}
	}
	if got := strings.Join(kinds, " "); got != "controller.changed activity.changed consent.given consent.withdrawn" || len(page.Gaps) > 0 {
		t.Fatalf("%s, gaps %v", got, page.Gaps)
	}
	gone := page.Events[3].Fields
	if id := given.GetName()[strings.LastIndex(given.GetName(), "/")+1:]; gone[redis.FieldConsent] != id || gone[redis.FieldActivity] != "photos" ||
		gone[redis.FieldSubject] != given.GetSubjectRef() {
		t.Errorf("the withdrawal says %v", gone)
	}
}

func TestMain(m *testing.M) { os.Exit(redistest.Main(pgtest.Around(m))) }
