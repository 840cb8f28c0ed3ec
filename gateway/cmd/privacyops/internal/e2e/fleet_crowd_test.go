package e2e

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/privacyops/privacyops/services/participant/sample"
)

// newcomerLogins are how many logins each newcomer has.
const newcomerLogins = 50

// newcomers adds pupils to the sample school, each with rows of their own and nothing in common, and gives them.
func newcomers(t *testing.T, path string, n int) (out []sample.Person) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	must(t, err)
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	must(t, err)
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := tx.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	for i := range n {
		p := sample.Person{Key: int64(100_000 + i), Controller: sample.Controller, Role: "elev", UniLogin: fmt.Sprintf("crowdq%05d", i),
			LocalPersonID: fmt.Sprintf("crowdx-%05d", i), Email: fmt.Sprintf("crowdq%05d@pupil.example", i),
			FirstName: fmt.Sprintf("Crowdfirst%05d", i), LastName: fmt.Sprintf("Crowdlast%05d", i)}
		p.DisplayName = p.FirstName + " " + p.LastName
		exec(`INSERT INTO users (id, school, unilogin, local_id, role, first_name, last_name, display_name, email, created_at)
			VALUES (?, ?, ?, ?, 'elev', ?, ?, ?, ?, '2026-08-01T08:00:00Z')`, p.Key, p.Controller, p.UniLogin, p.LocalPersonID, p.FirstName, p.LastName, p.DisplayName, p.Email)
		exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO logins (person, at, ip, user_agent) SELECT ?, '2026-09-01T08:00:00Z', '192.0.2.1', 'test' FROM n`, newcomerLogins, p.Key)
		exec(`INSERT INTO forum_posts (thread, author, body, posted_at) VALUES (1, ?, 'Et indlæg', '2026-09-01T08:00:00Z')`, p.Key)
		out = append(out, p)
	}
	must(t, tx.Commit())
	return out
}
