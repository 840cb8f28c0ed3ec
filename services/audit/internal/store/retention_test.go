package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/store/storetest"
)

// TestDrop removes the rows of a shard, and asks the database to remove others in the same way.
func TestDrop(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, drop)
}

func drop(t *testing.T, engine sqldb.Engine) {
	s, db := open(t, engine)
	ctx := context.Background()
	const many = removeRows + 100
	events := append(storetest.Events("school-a", 1, many-2), storetest.Decisions("school-b", many, 3), storetest.Event("", many+1))
	for len(events) > 0 {
		n := min(len(events), 2000)
		if _, err := storetest.Follow(ctx, s, storetest.Base, events[:n]...); err != nil {
			t.Fatal(err)
		}
		events = events[n:]
	}
	if _, err := storetest.Follow(ctx, s, storetest.Base.AddDate(1, 0, 0), storetest.Event("school-a", 90001), storetest.Decisions("school-a", 90002, 3)); err != nil {
		t.Fatal(err)
	}
	numbers, err := s.Numbers(ctx, many)
	if diff := cmp.Diff(map[audit.ControllerID]uint64{"school-a": many - 2, "school-b": 1, "": 1}, numbers); err != nil || diff != "" {
		t.Fatalf("numbers: %v %s", err, diff)
	}
	exec := func(statement string) error {
		return db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
			_, err := tx.Exec(ctx, statement)
			return err
		})
	}
	if exec(`INSERT INTO removal (position) VALUES (1)`) == nil {
		t.Error("an entry was removed without a tombstone")
	}
	stone := audit.Tombstone{Size: many, Numbers: numbers, End: time.Time{}}
	for range 2 { // again changes nothing
		if err := s.Drop(ctx, stone); err != nil {
			t.Fatal(err)
		}
	}
	for _, statement := range []string{
		`DELETE FROM entry`, `DELETE FROM entry_person`, `DELETE FROM entry_people`, `DELETE FROM entry_decisions`,
		fmt.Sprintf(`INSERT INTO removal (position) VALUES (%d)`, many+1), `UPDATE tombstone SET end_position = 99999`, `DELETE FROM tombstone`,
		`UPDATE entry SET outcome = 'DENIED'`,
	} {
		if exec(statement) == nil {
			t.Errorf("%s was carried out", statement)
		}
	}
	rows, err := s.Window(ctx, 0, 10)
	if err != nil || len(rows) != 2 || rows[0].Index != many {
		t.Errorf("%d rows are left, %v", len(rows), err)
	}
	if strays, err := s.Strays(ctx); err != nil || strays != 0 {
		t.Errorf("%d strays, %v", strays, err)
	}
	heads, err := s.Heads(ctx)
	if err != nil || heads.Next != many+2 || heads.Sequences["school-a"] != many || heads.Sequences["school-b"] != 1 {
		t.Errorf("heads %+v, %v", heads, err)
	}
	fresh, _ := open(t, engine)
	if err := fresh.Drop(ctx, stone); err != nil {
		t.Fatal(err)
	}
	if heads, err := fresh.Heads(ctx); err != nil || heads.Next != many || heads.Sequences["school-a"] != many-2 {
		t.Errorf("an index made anew: %+v, %v", heads, err)
	}
}
