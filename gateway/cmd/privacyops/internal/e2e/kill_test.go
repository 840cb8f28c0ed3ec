package e2e

import (
	"cmp"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/seed"
	"github.com/privacyops/privacyops/libs/certificate"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

const (
	kills = 20
	// extraRows are added for each pupil, so that an execution takes long enough to be hit.
	extraRows = 8000
)

// chain is the events of an erasure in their order.
var chain = []string{"erasure.create", "erasure.plan", "erasure.approve", "erasure.start", "erasure.execute", "erasure.executed",
	"erasure.verify", "erasure.complete"}

// reached says how many of the chain's events there are, at least and at most, in each state.
var reached = map[erasurev1.Erasure_State][2]int{
	erasurev1.Erasure_PLANNING: {1, 1}, erasurev1.Erasure_AWAITING_APPROVAL: {2, 2}, erasurev1.Erasure_GRACE: {3, 3},
	erasurev1.Erasure_RUNNING: {4, 5}, erasurev1.Erasure_VERIFYING: {6, 7}, erasurev1.Erasure_COMPLETED: {8, 8},
}

// TestKill kills the program at random moments of erasures. Each must be finished after the restart, exactly once.
func TestKill(t *testing.T) {
	t.Parallel()
	if onStack {
		t.Skip("replicas on PostgreSQL are killed in TestFleetKill; this one kills the embedded installation")
	}
	random := uint64(time.Now().UnixNano())
	t.Logf("seed %d", random)
	r := rand.New(rand.NewPCG(random, 0))
	c := newChild(t)
	pupils := watchedPlatform(t, c.world)
	db := c.world.platform()
	before, about := fingerprint(t, db), map[int64][]sample.Row{}
	for _, p := range pupils {
		about[p.Key] = rowsAbout(t, db, p)
	}
	c.start()

	states := map[string]int{}
	var erased []sample.Person
	for n := 0; n < kills; {
		p := pupils[len(erased)]
		erased = append(erased, p)
		e := c.world.as("platform").planned(p)
		c.world.as("dpo").approve(e)
		for again := true; again && n < kills; n++ {
			time.Sleep(time.Duration(5+r.IntN(1496)) * time.Millisecond)
			c.kill()
			states[stateOnDisk(t, c.world, e.GetName())]++
			c.start()
			state := c.world.chainFits(e.GetName())
			again = state != erasurev1.Erasure_COMPLETED && r.IntN(2) == 0
		}
		c.world.as("dpo").awaitErasure(e.GetName(), erasurev1.Erasure_COMPLETED)
		c.world.finishedOnce(e.GetName())
	}
	t.Logf("%d kills over %d erasures; at the kill the erasure was %v", kills, len(erased), states)
	c.world.logHasNoGap()
	nothingHappenedTwice(t, db, extraRows)
	onlyErasedChanged(t, before, fingerprint(t, db), erased, about)

	var values []string
	for _, p := range erased {
		values = append(values, p.Values()...)
	}
	s := newScanner(values...)
	for i, line := range c.words.lines() {
		s.look("line on standard error", fmt.Sprint(i), line)
	}
	if len(s.hits) > 0 {
		t.Errorf("the program's words name people: %v", s.hits)
	}
}

// stateOnDisk is where an erasure stood when the program was killed, to show what the kills hit.
func stateOnDisk(t *testing.T, w *world, name string) (state string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "erasure.db"))
	must(t, err)
	defer db.Close()
	must(t, db.QueryRowContext(t.Context(), "SELECT state FROM erasure WHERE id = ?", name[strings.LastIndex(name, "/")+1:]).Scan(&state))
	return state
}

// watchedPlatform builds the sample platform with many more rows for some pupils, and with triggers that note each row that is
// deleted and each cell that is written. It gives the pupils.
func watchedPlatform(t *testing.T, w *world) []sample.Person {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(w.database), 0o700))
	_, _, err := seed.Platform(t.Context(), filepath.Dir(w.database))
	must(t, err)
	db, err := sql.Open("sqlite", w.database)
	must(t, err)
	defer db.Close()
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	pupils := pupilsOf(t, db)
	for _, p := range pupils {
		exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO logins (person, at, ip, user_agent) SELECT ?, '2026-09-01T08:00:00Z', '192.0.2.1', 'test' FROM n`, extraRows, p.Key)
		exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO forum_posts (thread, author, body, posted_at) SELECT 1, ?, 'Et indlæg', '2026-09-01T08:00:00Z' FROM n`, extraRows/4, p.Key)
	}
	watchWrites(t, db)
	return pupils
}

// watchWrites makes a platform note, by triggers of its own, each row that is deleted and each cell that is written.
func watchWrites(t *testing.T, db *sql.DB) {
	t.Helper()
	exec := func(query string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	exec(`CREATE TABLE writes (what TEXT NOT NULL, place TEXT NOT NULL, row INTEGER NOT NULL)`)
	var triggers []string
	seen := map[string]bool{}
	eachRow(t, db, func(rows *sql.Rows) error {
		var table, column string
		err := rows.Scan(&table, &column)
		if !seen[table] {
			seen[table] = true
			triggers = append(triggers, fmt.Sprintf(`CREATE TRIGGER gone_%[1]s AFTER DELETE ON %[1]s BEGIN INSERT INTO writes VALUES ('delete', '%[1]s', OLD.rowid); END`, table))
		}
		triggers = append(triggers, fmt.Sprintf(`CREATE TRIGGER set_%[1]s_%[2]s AFTER UPDATE OF %[2]s ON %[1]s BEGIN INSERT INTO writes VALUES ('update', '%[1]s.%[2]s', OLD.rowid); END`, table, column))
		return err
	}, `SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name <> 'writes'`)
	for _, trigger := range triggers {
		exec(trigger)
	}
}

// pupilsOf are pupils of the school, as many as there may be erasures.
func pupilsOf(t *testing.T, db *sql.DB) (out []sample.Person) {
	t.Helper()
	eachRow(t, db, func(rows *sql.Rows) error {
		var p sample.Person
		err := rows.Scan(&p.Key, &p.Controller, &p.UniLogin, &p.LocalPersonID, &p.Email, &p.Phone, &p.DisplayName)
		out = append(out, p)
		return err
	}, `SELECT id, school, unilogin, local_id, email, phone, display_name FROM users
		WHERE school = ? AND role = 'elev' AND id <> ? ORDER BY id DESC LIMIT ?`, sample.Controller, sample.Pupil().Key, kills)
	return out
}

// chain reads the events of changes that the erasure service made to an erasure, in the order of the log: those that ended
// well by their actions, and the others.
func (w *world) chain(name string, atLeast int) (actions []string, failed []*auditv1.AuditEvent) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		actions, failed = nil, nil
		events := w.events(`resource = "`+name+`"`, atLeast)
		slices.SortFunc(events, func(a, b *auditv1.AuditEvent) int { return cmp.Compare(a.GetIndex(), b.GetIndex()) })
		for _, e := range events {
			switch {
			case e.GetOutcome() != auditv1.AuditEvent_OK:
				failed = append(failed, e)
			case e.GetService() == "erasure" && e.GetKind() != authv1.Rule_VIEW:
				actions = append(actions, e.GetAction())
			}
		}
		if len(actions) >= atLeast || time.Now().After(deadline) {
			return actions, failed
		}
	}
}

// chainFits checks, while the erasure may go on, that the log has exactly the events of its state: those of the state seen
// before, at most those of the state seen afterwards.
func (w *world) chainFits(name string) erasurev1.Erasure_State {
	w.t.Helper()
	first, last, dpo := newErasure(), newErasure(), w.as("dpo")
	dpo.get("/v1/"+name, first)
	least, known := reached[first.GetState()]
	actions, _ := w.chain(name, least[0])
	dpo.get("/v1/"+name, last)
	most := reached[last.GetState()]
	if n := len(actions); !known || n < least[0] || n > most[1] || !slices.Equal(actions, chain[:min(n, len(chain))]) {
		w.t.Errorf("the erasure was %s, then %s, and the log says %v", first.GetState(), last.GetState(), actions)
	}
	return first.GetState()
}

// finishedOnce checks the whole chain of an erasure, and its certificate.
func (w *world) finishedOnce(name string) {
	w.t.Helper()
	actions, failed := w.chain(name, len(chain))
	if !slices.Equal(actions, chain) || len(failed) > 0 {
		w.t.Errorf("the log says %v, and %d steps that failed: %v", actions, len(failed), failed)
	}
	file, err := w.as("auditor").Raw(w.t.Context(), http.MethodGet, "/v1/"+name+"/certificate", "", nil)
	must(w.t, err)
	report, err := certificate.Verify(file, trust(w.t, w.CertificateKey, w.LogKey))
	must(w.t, err)
	for _, d := range report.Statement.Systems[0].Datasets {
		if d.Dataset == "logins" && (d.Erased < extraRows || d.Erased != d.Located) {
			w.t.Errorf("the certificate counts %d of %d logins", d.Erased, d.Located)
		}
	}
}

// logHasNoGap checks that every event of the school stands in the log once, with numbers that leave none out.
func (w *world) logHasNoGap() {
	w.t.Helper()
	events := w.events("", 1)
	type entry struct {
		number int64
		action string
	}
	entries, ids := map[int64]entry{}, map[string]bool{}
	numbers := make([]int64, 0, len(events))
	for _, e := range events {
		this := entry{e.GetControllerSequence(), e.GetAction()}
		other, taken := entries[e.GetIndex()]
		// Decisions that were given together share an entry of the log, and its number.
		if ids[e.GetName()] || taken && (this != other || this.action != "legal_basis.check") {
			w.t.Errorf("the event %s at index %d stands twice in the log", e.GetName(), e.GetIndex())
		}
		ids[e.GetName()] = true
		if !taken {
			entries[e.GetIndex()], numbers = this, append(numbers, this.number)
		}
	}
	slices.Sort(numbers)
	for i, n := range numbers {
		if n != int64(i)+1 {
			w.t.Fatalf("the controller's events are numbered …%v after %d", numbers[max(0, i-3):i+1], i)
		}
	}
}

// nothingHappenedTwice asks the platform's own triggers.
func nothingHappenedTwice(t *testing.T, db *sql.DB, atLeast int) {
	t.Helper()
	eachRow(t, db, func(rows *sql.Rows) error {
		var what, place string
		var row, n int64
		err := rows.Scan(&what, &place, &row, &n)
		t.Errorf("%d times %s of %s, row %d", n, what, place, row)
		return err
	}, `SELECT what, place, row, COUNT(*) FROM writes GROUP BY what, place, row HAVING COUNT(*) > 1 LIMIT 10`)
	var n int
	must(t, db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM writes").Scan(&n))
	if n < atLeast {
		t.Errorf("the triggers noted %d writes only", n)
	}
	t.Logf("the platform's triggers noted %d writes, none of them twice", n)
}

// onlyErasedChanged compares all rows of the platform with before: exactly the erased people's may have changed.
func onlyErasedChanged(t *testing.T, before, now sample.Prints, erased []sample.Person, about map[int64][]sample.Row) {
	t.Helper()
	delete(before, "writes")
	delete(now, "writes")
	want := map[sample.Row]bool{}
	for _, p := range erased {
		for _, row := range about[p.Key] {
			want[row] = true
		}
	}
	changes := before.Changes(now)
	for _, row := range changes {
		if !want[row] {
			t.Errorf("the row %s of %s has changed, which is none of the erased people's", row.Key, row.Table)
		}
		delete(want, row)
	}
	if len(want) > 0 {
		t.Errorf("%d rows of erased people are as they were", len(want))
	}
	t.Logf("%d rows have changed, all of them the erased people's", len(changes))
}
