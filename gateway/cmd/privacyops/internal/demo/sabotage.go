package demo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	_ "modernc.org/sqlite" // the sample platform's engine

	"github.com/privacyops/privacyops/services/participant"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// SkipRow is the sabotage of a participant that says it has erased everything, and leaves one row.
const SkipRow = "erase-skips-a-row"

// saboteur gives the wrapper that breaks the demonstration's participant. No other program knows it.
func saboteur(name, database string, pupil sample.Person) (func(string, participant.Participant) participant.Participant, error) {
	if name != SkipRow {
		return nil, fmt.Errorf("there is no sabotage %q; there is %q", name, SkipRow)
	}
	return func(_ string, p participant.Participant) participant.Participant {
		return &skipping{Participant: p, database: database, pupil: pupil}
	}, nil
}

// skipping is a participant that puts one row back after it has erased.
type skipping struct {
	participant.Participant
	database string
	pupil    sample.Person
}

const skipped = "submission_files"

// Erase erases, and puts one file of a submission back: two joins away from the person, where it is easily missed.
func (s *skipping) Erase(ctx context.Context, r participant.EraseRequest) (participant.EraseResult, error) {
	db, err := sql.Open("sqlite", "file:"+s.database+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return participant.EraseResult{}, err
	}
	defer db.Close()
	columns, row, err := readRow(ctx, db, `SELECT f.* FROM submission_files f JOIN submissions s ON f.submission = s.id WHERE s.pupil = ? LIMIT 1`, s.pupil.Key)
	if err != nil {
		return participant.EraseResult{}, err
	}
	result, err := s.Participant.Erase(ctx, r)
	if err != nil || row == nil {
		return result, err
	}
	marks := strings.TrimSuffix(strings.Repeat("?,", len(columns)), ",")
	//nolint:gosec // the names come from the catalogue of the sample
	_, err = db.ExecContext(ctx, `INSERT INTO `+skipped+` (`+strings.Join(columns, ",")+`) VALUES (`+marks+`)`, row...)
	return result, err
}

func readRow(ctx context.Context, db *sql.DB, query string, args ...any) (columns []string, row []any, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	if columns, err = rows.Columns(); err != nil || !rows.Next() {
		return columns, nil, errors.Join(err, rows.Err())
	}
	row = make([]any, len(columns))
	into := make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	return columns, row, errors.Join(rows.Scan(into...), rows.Err())
}
