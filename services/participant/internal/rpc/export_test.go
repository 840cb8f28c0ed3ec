package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/fault"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// sink is the sending side of an export.
type sink struct {
	grpc.ServerStream
	ctx  context.Context
	sent []*participantv1.ExportChunk
	err  error
}

func (s *sink) Context() context.Context { return s.ctx }

func (s *sink) Send(c *participantv1.ExportChunk) error {
	s.sent = append(s.sent, c)
	return s.err
}

func export(ctx context.Context, t testing.TB, a *answers, out *sink) error {
	t.Helper()
	s, _, _ := serve(t, a, nil)
	out.ctx = ctx
	return s.Export(&participantv1.ExportRequest{Participant: "lms", Controller: "school", Identifiers: ids()}, out)
}

func record(dataset string, size int) participant.Record {
	text, _ := json.Marshal(strings.Repeat("x", size))
	return participant.Record{Dataset: dataset, Columns: []participant.Field{{Name: "body", Value: text}}}
}

func TestChunksAreBoundedAndLoseNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 2000), rapid.IntRange(100<<10, 600<<10)), 0, 12).Draw(r, "sizes")
		w := &chunks{chunk: &participantv1.ExportChunk{}, done: func(string, int64) {}}
		var sent []*participantv1.ExportChunk
		w.send = func(c *participantv1.ExportChunk) error {
			sent = append(sent, c)
			return nil
		}
		for i, n := range sizes {
			if err := w.add(record(fmt.Sprintf("d%d", i/4), n)); err != nil {
				r.Fatal(err)
			}
		}
		if err := w.finish([]participant.Omission{{Dataset: "d0", Count: 1}}); err != nil {
			r.Fatal(err)
		}
		var got []int
		for i, c := range sent {
			if c.GetComplete() != (i == len(sent)-1) || (len(c.GetOmissions()) > 0) != c.GetComplete() {
				r.Fatalf("chunk %d of %d: complete %v, %d omissions", i, len(sent), c.GetComplete(), len(c.GetOmissions()))
			}
			if n := proto.Size(c); n > chunkBytes+1024 && len(c.GetRecords()) > 1 {
				r.Fatalf("a chunk of %d records has %d bytes", len(c.GetRecords()), n)
			}
			for _, rec := range c.GetRecords() {
				if want := fmt.Sprintf("d%d", len(got)/4); rec.GetDataset() != want {
					r.Fatalf("record %d is of dataset %s, want %s", len(got), rec.GetDataset(), want)
				}
				got = append(got, len(rec.GetJson())-len(`{"body":""}`))
			}
		}
		if diff := cmp.Diff(append([]int{}, sizes...), append([]int{}, got...)); diff != "" {
			r.Fatalf("records (-given +sent):\n%s", diff)
		}
	})
}

func TestAnExportThatFailsIsNotComplete(t *testing.T) {
	t.Parallel()
	out := &sink{}
	err := export(t.Context(), t, &answers{records: []participant.Record{record("d", 300<<10), record("d", 10)}, err: participant.ErrInvalid}, out)
	if !fault.Is(err, "INVALID_ARGUMENT") {
		t.Errorf("got %v", err)
	}
	for _, c := range out.sent {
		if c.GetComplete() {
			t.Error("a chunk says that the export is complete")
		}
	}
}

func TestACallerWhoIsGoneStopsTheExport(t *testing.T) {
	t.Parallel()
	gone := status.Error(codes.Unavailable, "transport is closing")
	out := &sink{err: gone}
	err := export(t.Context(), t, &answers{records: []participant.Record{record("d", 300<<10), record("d", 300<<10), record("d", 300<<10)}}, out)
	if !errors.Is(err, gone) || len(out.sent) != 1 {
		t.Errorf("after %d chunks: %v", len(out.sent), err)
	}
}

func TestARecordThatFitsNoMessageIsRefusedAloud(t *testing.T) {
	t.Parallel()
	err := export(t.Context(), t, &answers{records: []participant.Record{record("films", recordBytes)}}, &sink{})
	if !fault.Is(err, "RECORD_TOO_LARGE") || fault.From(err).Metadata()["dataset"] != "films" {
		t.Errorf("got %v", err)
	}
}

func TestRecordsKeepTheOrderOfTheirColumns(t *testing.T) {
	t.Parallel()
	got, err := objectOf(participant.Record{Dataset: "d", Columns: []participant.Field{
		{Name: "z", Value: json.RawMessage(`1`)}, {Name: `a"<&>` + "\n", Value: json.RawMessage(`{"b":[null]}`)}, {Name: "å", Value: json.RawMessage(`"ø"`)}}})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"z":1,"a\"<&>\n":{"b":[null]},"å":"ø"}`; string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, err := objectOf(participant.Record{Dataset: "d"}); err != nil || string(got) != "{}" {
		t.Errorf("no columns: %s, %v", got, err)
	}
	if _, err := objectOf(participant.Record{Dataset: "d", Columns: []participant.Field{{Name: "a", Value: json.RawMessage(`nul`)}}}); err == nil {
		t.Error("a cell that is no JSON went out")
	}
}
