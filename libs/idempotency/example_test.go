package idempotency_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/sqldb"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// A client that got no answer sends its request again: it is carried out once.
func ExampleOnce() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "idempotency")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	db, err := sqldb.Open(ctx, sqldb.Config{URL: "sqlite:" + filepath.Join(dir, "consent.db")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	master, err := keyring.New(make([]byte, keyring.KeySize)) // a real one comes from a file
	if err != nil {
		fmt.Println(err)
		return
	}
	replies, err := idempotency.New(ctx, db, master, clock.System())
	if err != nil {
		fmt.Println(err)
		return
	}

	body := &consentv1.CreateActivityRequest{Parent: "controllers/north-school", RequestId: "0f8fad5b-d9cb-469f-a165-70867728950e"}
	request := idempotency.Request{Controller: "north-school", Method: "CreateActivity", ID: body.GetRequestId(), Body: body}
	for range 3 {
		activity, err := idempotency.Once(ctx, replies, request, &consentv1.Activity{}, func(context.Context, sqldb.Tx) (*consentv1.Activity, error) {
			fmt.Println("creating")
			return &consentv1.Activity{Name: "controllers/north-school/activities/teaching"}, nil
		})
		fmt.Println(activity.GetName(), err)
	}
	// Output:
	// creating
	// controllers/north-school/activities/teaching <nil>
	// controllers/north-school/activities/teaching <nil>
	// controllers/north-school/activities/teaching <nil>
}
