package rpc_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/historytest"
	"github.com/privacyops/privacyops/services/consent/internal/store" //nolint:depguard // what is on record is put there directly
)

// put writes into the database what handlers would have written.
func (s *suite) put(fn func(ctx context.Context, tx sqldb.Tx) error) {
	s.t.Helper()
	if err := s.db.Write(s.t.Context(), fn); err != nil {
		s.t.Fatal(err)
	}
}

// cell is one of the decision table, with an activity and a person of its own.
type cell struct {
	historytest.Case
	name string
	want historytest.Cell
	req  *pb.CheckLegalBasisRequest
}

func (s *suite) cells() (cells []cell) {
	s.t.Helper()
	table, err := historytest.ReadTable("../consent/testdata/decisions.md")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, situation := range historytest.Situations {
		row := table.Rows[slices.IndexFunc(table.Rows, func(r historytest.Row) bool { return r.Situation == situation.Name })]
		for _, basis := range table.Bases {
			id := "cell-" + strconv.Itoa(len(cells))
			c := situation.Case(basis, consent.ActivityID(id), consent.SubjectRef(s.ref(id)))
			cells = append(cells, cell{c, situation.Name + " under " + string(basis), row.Cells[basis], &pb.CheckLegalBasisRequest{
				Parent: "controllers/a", Subjects: pupil(id), Activity: id, Recipient: c.Question.Recipient, Location: c.Question.Location,
				DataCategories: c.Question.DataCategories}})
		}
	}
	return cells
}

// Every cell of the decision table is what a caller is answered: about now, from memory; and about this moment as of now, from the
// database.
func TestDecisionsAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	cells := s.cells()
	s.put(func(ctx context.Context, tx sqldb.Tx) error {
		if err := historytest.School(ctx, tx, store.Store{}, "a", historytest.Noon.Add(-240*time.Hour)); err != nil {
			return err
		}
		for _, c := range cells {
			if err := c.Write(ctx, tx, store.Store{}, "a"); err != nil {
				return err
			}
		}
		return nil
	})
	ask := func(c cell, when string) {
		d := must[*pb.Decision](t)(s.Basis.CheckLegalBasis(t.Context(), c.req))
		got := historytest.Cell{Allowed: d.GetDecision() == pb.Decision_ALLOW, Reason: consent.Reason(d.GetReason().String())}
		if got != c.want {
			t.Errorf("%s, %s: %+v, want %+v", c.name, when, got, c.want)
		}
		if d.GetExplanation().GetDa() == "" || d.GetExplanation().GetEn() == "" {
			t.Errorf("%s is not explained", c.name)
		}
	}
	for _, c := range cells {
		s.away.Store(c.Stale)
		ask(c, "now")
		if !c.Stale { // of the past nothing is said then
			c.req.AsOf = timestamppb.New(s.micro())
			ask(c, "as of now")
		}
	}
}
