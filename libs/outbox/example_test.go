package outbox_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
)

// A change and its event commit in one transaction. If either fails, neither happened.
func ExampleOutbox_Record() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "outbox")
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
	o, err := outbox.New(ctx, outbox.Config{Service: "consent", DB: db, Clock: clock.System(),
		NewID: func() string { return uuid.Must(uuid.NewV7()).String() }})
	if err != nil {
		fmt.Println(err)
		return
	}

	err = db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		// … the statements of the change, and then:
		_, err := o.Record(ctx, tx, outbox.Event{Controller: "north-school", Action: "consent.withdraw", Kind: outbox.Modify,
			Resource: "controllers/north-school/consents/7", SubjectRefs: []string{"sub_5c0de1"}})
		return err
	})
	waiting, perr := o.Pending(ctx)
	fmt.Println(waiting, err, perr)
	// Output: 1 <nil> <nil>
}
