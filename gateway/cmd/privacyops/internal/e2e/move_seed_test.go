package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"

	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/participant"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// What the installation holds that is moved.
const (
	movedConsents = 10_000
	movedPeople   = 500 // who gave them
)

// trouble is what a platform has with a person.
type trouble string

const (
	mute     trouble = "MUTE"     // it does not answer when it is asked what it holds
	restless trouble = "RESTLESS" // it names another identifier each time
	stuck    trouble = "STUCK"    // it begins to erase and does not come back
	broken   trouble = "BROKEN"   // it fails to erase
	unsure   trouble = "UNSURE"   // it begins to look for what is left and does not come back
)

// troubled is a platform that has trouble with some people, so that their erasures stay where they are.
type troubled struct {
	participant.Participant
	with *sync.Map     // user name to trouble
	free chan struct{} // closed: what is stuck goes on
}

func (p troubled) trouble(s participant.Subject) trouble {
	for _, id := range s.Identifiers {
		if v, ok := p.with.Load(id.Value); ok {
			return v.(trouble)
		}
	}
	return ""
}

// Locate fails, or never settles.
func (p troubled) Locate(ctx context.Context, s participant.Subject) (participant.Location, error) {
	what := p.trouble(s)
	if what == mute {
		return participant.Location{}, errors.New("no answer")
	}
	l, err := p.Participant.Locate(ctx, s)
	if what == restless {
		l.Further = append(l.Further, participant.Identifier{Type: "STUDENT_NUMBER", Value: fmt.Sprint(1000 + len(s.Identifiers))})
	}
	return l, err
}

// Erase fails, or waits.
func (p troubled) Erase(ctx context.Context, r participant.EraseRequest) (participant.EraseResult, error) {
	what := p.trouble(r.Subject)
	if what == broken {
		return participant.EraseResult{}, errors.New("no answer")
	}
	if what == stuck {
		if err := p.wait(ctx); err != nil {
			return participant.EraseResult{}, err
		}
	}
	return p.Participant.Erase(ctx, r)
}

// Verify waits.
func (p troubled) Verify(ctx context.Context, r participant.VerifyRequest) (participant.VerifyResult, error) {
	if p.trouble(r.Subject) == unsure {
		if err := p.wait(ctx); err != nil {
			return participant.VerifyResult{}, err
		}
	}
	return p.Participant.Verify(ctx, r)
}

func (p troubled) wait(ctx context.Context) error {
	select {
	case <-p.free:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// manyPupils are pupils of the school, one for each erasure: none that the sample is told around, and none whom somebody else's
// support ticket mentions, which an erasure cannot reach and says so.
func manyPupils(t *testing.T, db *sql.DB, n int) (out []sample.Person) {
	t.Helper()
	eachRow(t, db, func(rows *sql.Rows) error {
		p := sample.Person{Controller: sample.Controller}
		err := rows.Scan(&p.UniLogin)
		out = append(out, p)
		return err
	}, `SELECT unilogin FROM users u WHERE school = ? AND role = 'elev' AND id NOT IN (?, ?) AND NOT EXISTS (
			SELECT 1 FROM support_tickets WHERE instr(body, u.unilogin) OR instr(body, u.display_name) OR instr(body, u.email)
			OR contact_phone = u.phone OR contact_email = u.email)
		ORDER BY id DESC LIMIT ?`,
		sample.Controller, sample.Pupil().Key, sample.Sibling().Key, n)
	if len(out) != n {
		t.Fatalf("the school has %d pupils, and %d are needed", len(out), n)
	}
	return out
}

// gracePeriod changes how long the school's approved erasures can be called back.
func (w *world) gracePeriod(d time.Duration) {
	w.t.Helper()
	if err := w.as("dpo").Call(w.t.Context(), http.MethodPatch, school+"?updateMask=gracePeriod",
		&consentv1.Controller{Name: "controllers/" + sample.Controller, GracePeriod: durationpb.New(d)}, nil); err != nil {
		w.t.Fatalf("change the grace period: %v", err)
	}
}

// giveConsents gives consents of people who are not on the platform, many at a time, and gives their user names and some of
// the requests with their answers.
func (w *world) giveConsents() (people []string, requests []*consentv1.GiveConsentRequest, answers []*consentv1.Consent) {
	w.t.Helper()
	for i := range movedPeople {
		people = append(people, fmt.Sprintf("flyt%04d", i))
	}
	platform := w.as("platform")
	platform.HTTP = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: crowd}}
	defer platform.HTTP.CloseIdleConnections()
	var mu sync.Mutex
	each(movedConsents, func(i int) {
		req := &consentv1.GiveConsentRequest{Subject: &typev1.Subject{Type: typev1.Subject_UNILOGIN, Value: people[i%movedPeople]},
			Activity: "photo-sharing", GivenBy: &consentv1.GivenBy{Capacity: consentv1.GivenBy_GUARDIAN, Reference: fmt.Sprintf("guardian-%d", i)},
			Evidence: "sha256:11aa"}
		if i%100 == 0 {
			req.RequestId = uuid.NewString()
		}
		given := &consentv1.Consent{}
		if err := platform.Post(w.t.Context(), school+"/consents", req, given); err != nil {
			w.t.Errorf("consent %d: %v", i, err)
		}
		if i%1000 == 0 {
			if err := platform.Post(w.t.Context(), "/v1/"+given.GetName()+":withdraw", nil, nil); err != nil {
				w.t.Errorf("withdraw consent %d: %v", i, err)
			}
		}
		if req.GetRequestId() != "" {
			mu.Lock()
			defer mu.Unlock()
			requests, answers = append(requests, req), append(answers, given)
		}
	})
	return people, requests, answers
}

// erasures are what was asked for, by where it stands.
type erasures map[erasurev1.Erasure_State][]string

// eraseInAllStates leaves erasures in every state that can be reached without waiting for a month.
func (w *world) eraseInAllStates(pupils []sample.Person, with *sync.Map) erasures {
	w.t.Helper()
	platform, dpo, out := w.as("platform"), w.as("dpo"), erasures{}
	nothing := func(*erasurev1.Erasure) {}
	approved := func(e *erasurev1.Erasure) { dpo.approve(e) }
	type group struct {
		n     int
		with  trouble
		then  func(*erasurev1.Erasure)
		state erasurev1.Erasure_State
	}
	for _, round := range []struct {
		grace  time.Duration // what applies when an erasure is planned
		groups []group
	}{
		{0, []group{
			{10, "", approved, erasurev1.Erasure_COMPLETED},
			{5, broken, approved, erasurev1.Erasure_PARTIAL},
			{10, "", func(e *erasurev1.Erasure) {
				dpo.post("/v1/"+e.GetName()+":reject", &erasurev1.RejectErasureRequest{Name: e.GetName(), Reason: "it is still needed"}, nil)
			}, erasurev1.Erasure_REJECTED},
			{10, "", func(e *erasurev1.Erasure) {
				dpo.post("/v1/"+e.GetName()+":cancel", &erasurev1.CancelErasureRequest{Name: e.GetName(), Reason: "asked by mistake"}, nil)
			}, erasurev1.Erasure_CANCELLED},
			{5, mute, nothing, erasurev1.Erasure_PLANNING},
			{3, restless, nothing, erasurev1.Erasure_FAILED},
		}},
		{time.Hour, []group{{15, "", approved, erasurev1.Erasure_GRACE}}},
		{movedGrace, []group{{39, "", nothing, erasurev1.Erasure_AWAITING_APPROVAL}}},
		{0, []group{{2, stuck, approved, erasurev1.Erasure_RUNNING}, {1, unsure, approved, erasurev1.Erasure_VERIFYING}}},
	} {
		w.gracePeriod(round.grace)
		for _, g := range round.groups { // all are asked for before any is waited for: they are planned side by side
			for range g.n {
				p, e := pupils[0], newErasure()
				pupils = pupils[1:]
				if g.with != "" {
					with.Store(p.UniLogin, g.with)
				}
				platform.post(school+"/erasures", &erasurev1.CreateErasureRequest{Subject: uniLogin(p), Ground: erasurev1.Erasure_NO_LONGER_NECESSARY}, e)
				out[g.state] = append(out[g.state], e.GetName())
			}
		}
		for _, g := range round.groups {
			for _, name := range out[g.state] {
				if g.with != mute && g.with != restless {
					g.then(dpo.awaitErasure(name, erasurev1.Erasure_AWAITING_APPROVAL))
				}
			}
			for _, name := range out[g.state] {
				dpo.awaitErasure(name, g.state)
			}
		}
	}
	return out
}

// exportsAndRoster leave three packages and a roster, and give the roster's name.
func (w *world) exportsAndRoster() (roster string) {
	w.t.Helper()
	dpo := w.as("dpo")
	for range 3 {
		e := &exportv1.Export{}
		dpo.post(school+"/exports", &exportv1.CreateExportRequest{Subject: uniLogin(sample.Pupil()), Kind: exportv1.Export_ACCESS, Language: "da"}, e)
		watch(dpo, "/v1/"+e.GetName()+":watch", func() *exportv1.Export { return &exportv1.Export{} }, func(m *exportv1.Export) bool {
			return m.GetState() == exportv1.Export_READY
		})
	}
	var extract strings.Builder
	must(w.t, sample.Roster(&extract, sample.RosterOptions{School: sample.OtherController}))
	r := &erasurev1.Roster{}
	importRoster(w.t, w.caller("platform", sample.OtherController, "platform"), "/v1/controllers/"+sample.OtherController, extract.String(), r)
	return r.GetName()
}
