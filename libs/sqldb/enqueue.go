package sqldb

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/propagation"
)

const (
	// JobQueue is the queue that every job is put into.
	JobQueue = river.QueueDefault
	// JobMaxAttempts is the most attempts that a runner may make. Each runner has a
	// limit of its own below it, because only the side that works knows what to expect.
	JobMaxAttempts = 100
	// soon is how far ahead a job may lie and still be left to the runners, which look
	// several times a second. What is due later waits for the job table's scheduler,
	// which looks every five seconds.
	soon = 5 * time.Second
)

var kindPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{1,126}$`)

// jobArgs carries a Job through River, which otherwise has one Go type per kind.
type jobArgs struct {
	kind   string
	unique string
	json   json.RawMessage
}

// Kind makes jobArgs a river.JobArgs.
func (a jobArgs) Kind() string { return a.kind }

// MarshalJSON is what River stores in the job's row.
func (a jobArgs) MarshalJSON() ([]byte, error) { return a.json, nil }

// takeover is the job to add where the one with its key runs and its worker is dead.
func (job Job) takeover(result *rivertype.JobInsertResult) (next Job, again bool) {
	if job.TakeoverKey == "" || result == nil || !result.UniqueSkippedAsDuplicate || result.Job.State != rivertype.JobStateRunning {
		return job, false
	}
	job.UniqueKey, job.TakeoverKey = job.TakeoverKey, ""
	return job, true
}

// unfinished are the states in which a job keeps others with its key away.
var unfinished = []rivertype.JobState{
	rivertype.JobStateAvailable,
	rivertype.JobStatePending,
	rivertype.JobStateRetryable,
	rivertype.JobStateRunning,
	rivertype.JobStateScheduled,
}

// insertion translates a Job for River.
func insertion(ctx context.Context, job Job) (jobArgs, *river.InsertOpts, error) {
	if !kindPattern.MatchString(job.Kind) {
		return jobArgs{}, nil, errors.New("a kind is 2 to 127 letters, digits, dots, dashes and underscores")
	}
	encoded, err := encodeArgs(job.Args)
	if err != nil {
		return jobArgs{}, nil, err
	}
	metadata, err := traceMetadata(ctx)
	if err != nil {
		return jobArgs{}, nil, err
	}
	opts := &river.InsertOpts{Metadata: metadata, ScheduledAt: job.RunAt}
	if job.UniqueKey != "" {
		// ByQueue only switches uniqueness on: beforeInsert sets the key itself.
		opts.UniqueOpts = river.UniqueOpts{ByQueue: true, ByState: unfinished}
	}
	return jobArgs{kind: job.Kind, unique: job.UniqueKey, json: encoded}, opts, nil
}

func encodeArgs(args any) (json.RawMessage, error) {
	if args == nil {
		return json.RawMessage("{}"), nil
	}
	encoded, err := json.Marshal(args)
	if err != nil {
		return nil, fmt.Errorf("arguments of type %T cannot be written as JSON", args)
	}
	if !bytes.HasPrefix(encoded, []byte("{")) {
		return nil, fmt.Errorf("arguments of type %T are not a JSON object", args)
	}
	return encoded, nil
}

// traceMetadata is the job's metadata: the trace context of ctx under its W3C name.
// Baggage stays behind, nobody here knows what is in it.
func traceMetadata(ctx context.Context) ([]byte, error) {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return json.Marshal(map[string]string(carrier))
}

// newInsertClient makes the River client that inserts jobs and works none.
func newInsertClient[T any](driver riverdriver.Driver[T], cfg Config, schema string) (*river.Client[T], error) {
	return river.NewClient(driver, &river.Config{
		// Of two inserts closer together only the first is announced; the other waits
		// for the runners' next look.
		FetchCooldown: river.FetchCooldownMin,
		Hooks:         []rivertype.Hook{river.HookInsertBeginFunc(beforeInsert)},
		Logger:        cfg.Logger,
		MaxAttempts:   JobMaxAttempts,
		Schema:        schema,
	})
}

// beforeInsert settles what River's options cannot express.
func beforeInsert(_ context.Context, params *rivertype.JobInsertParams) error {
	args, ok := params.Args.(jobArgs)
	if !ok {
		return nil
	}
	if args.unique != "" {
		key := sha256.Sum256([]byte(args.kind + "\x00" + args.unique))
		params.UniqueKey = key[:]
	}
	if params.ScheduledAt != nil && time.Until(*params.ScheduledAt) <= soon {
		params.State = rivertype.JobStateAvailable
	}
	return nil
}
