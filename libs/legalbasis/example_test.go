package legalbasis_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/privacyops/privacyops/libs/legalbasis"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

// A photo service asks before it prints a class photo. It keeps answers while the suite's watch shows that they hold, and stops printing
// as soon as a guardian has withdrawn consent.
func Example() {
	suite := photoSchool() // stands for https://privacy.example
	defer suite.Close()

	client, err := legalbasis.New(legalbasis.Config{
		Service: &legalbasis.REST{
			Base:  suite.URL,
			Token: func(context.Context) (string, error) { return "the access token, fetched anew when it ends", nil },
		},
		Controller: "skole-1",
		Broken:     func(err error) { log.Print("the watch has ended, every question is asked: ", err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() { _ = client.Run(ctx) }() // follows the school's changes; its error is always nil
	for !client.Fresh() {
		time.Sleep(time.Millisecond)
	}

	question := &consentv1.CheckLegalBasisRequest{
		Subject:        &typev1.Subject{Type: typev1.Subject_UNILOGIN, Value: "u000007"},
		Activity:       "class-photos",
		Recipient:      "photo-service",
		DataCategories: []string{"image"},
	}
	for range 2 {
		answer, err := client.Check(ctx, question)
		switch {
		case err != nil:
			fmt.Println("nothing is known, so nothing is printed")
		case answer.Allowed():
			// Keep the decision's id with what you do: the controller's log has the same.
			fmt.Println("print;", answer.GetReason(), answer.GetDecisionId(), "kept:", answer.Kept)
		default:
			fmt.Println("do not print:", answer.GetExplanation().GetEn())
		}
	}
	stop()

	// Output:
	// print; CONSENT_HOLDS 0198c3a0-0000-7000-8000-000000000001 kept: false
	// print; CONSENT_HOLDS 0198c3a0-0000-7000-8000-000000000001 kept: true
}

// photoSchool answers like a suite with one consent.
func photoSchool() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/controllers/skole-1/legalBasis:check", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"decision":"ALLOW","reason":"CONSENT_HOLDS","activity":"class-photos","subjectRefs":["sub_7"],
			"decisionId":"0198c3a0-0000-7000-8000-000000000001"}`)
	})
	mux.HandleFunc("GET /v1/controllers/skole-1/legalBasis:watch", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"resumeToken":"1","changeTime":%q}`+"\n", time.Now().UTC().Format(time.RFC3339Nano))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	return httptest.NewServer(mux)
}
