package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/privacyops/privacyops/libs/jobs"
	"github.com/privacyops/privacyops/libs/sqldb"
)

// A request is accepted in one transaction with the job that will see to it.
func ExampleRunner() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "jobs")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	db, err := sqldb.Open(ctx, sqldb.Config{URL: "sqlite:" + filepath.Join(dir, "erasure.db")})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(ctx, nil); err != nil {
		log.Fatal(err)
	}

	type locate struct {
		Request string `json:"request"`
	}
	done := make(chan struct{})
	runner, err := jobs.NewRunner(db, jobs.Config{
		Exclusive: true,
		Handlers: map[string]jobs.Handler{
			"erasure.locate": func(_ context.Context, job jobs.Job) error {
				var args locate
				if err := json.Unmarshal(job.Args, &args); err != nil {
					return jobs.Cancel(err)
				}
				fmt.Println("locating for", args.Request)
				close(done)
				return nil
			},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := runner.Start(ctx); err != nil {
		log.Fatal(err)
	}
	err = db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		tx.AfterCommit(func() { fmt.Println("accepted") })
		return tx.Enqueue(ctx, sqldb.Job{Kind: "erasure.locate", Args: locate{"e-42"}, UniqueKey: "e-42"})
	})
	if err != nil {
		log.Fatal(err)
	}
	<-done
	if err := runner.Stop(ctx); err != nil {
		log.Fatal(err)
	}
	// Unordered output:
	// accepted
	// locating for e-42
}
