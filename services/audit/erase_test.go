package audit_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
)

// erasureSize is how many people the erasure's test has, and how long the service keeps their keys in memory: fewer and shorter than where it
// is installed, unless PRIVACYOPS_TEST_PEOPLE says how many.
func erasureSize() (people int, keyTime time.Duration) {
	if n, err := strconv.Atoi(os.Getenv("PRIVACYOPS_TEST_PEOPLE")); err == nil {
		return n, keys.KeyTime
	}
	return 500, shortKeyTime
}

// shortKeyTime is long enough that keys are in memory still while a test looks for those which are to be there.
const shortKeyTime = 16 * time.Second

// TestErasure erases a tenth of the people, with the whole service as a process of its own: proofs taken before still verify, nobody
// erased is found, and what was sealed of them opens with nothing that is in the data folder or, after the time of the key cache, in a core dump.
//
// All who are erased are looked for by what would open their entries, at each byte of all files and of the dump, in four encodings: no key that
// there could be is left out, as only that one opens. Then, without knowing what a key looks like, all that could be one is tried on the
// entries of some: PRIVACYOPS_TEST_LOCKS says of how many; all of 500 take some hours. In full:
//
//	PRIVACYOPS_TEST_PEOPLE=5000 go test -timeout 20m -run 'TestErasure$' ./services/audit
func TestErasure(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for the time of the key cache")
	}
	t.Parallel()
	people, keyTime := erasureSize()
	s := newSchool(t, people, keyTime, "")
	wanted := s.secrets(t)
	before := wanted.in(s.dump(t)...)
	if got := before.count("key") + before.count("wrapped key"); got < s.erased {
		t.Errorf("of keys in use only %d are found in memory: the test looks in the wrong place", got)
	}
	s.erase(t)
	s.search(t, &auditv1.SearchAuditEventsRequest{}, s.erased) // somebody else's key is in use, however long that has taken
	if got := wanted.in(s.dump(t)...); got.count("key") > 0 || got.count("key of an entry") > 0 || got.count("key of somebody else") == 0 {
		t.Errorf("right after the destruction: %d keys of erased people, %d of their entries, %d of others", got.count("key"), got.count("key of an entry"),
			got.count("key of somebody else"))
	}
	s.proofsHold(t)
	s.nothingFound(t)
	s.gone(t)
	used := time.Now()
	time.Sleep(forgotten)
	s.nothingInTheOpen(t)
	files := s.files(t)
	s.nothingLeft(t, "the files", wanted.in(files...))
	if got := wanted.in(files...).count("wrapped key of somebody else"); got != s.crowd-s.erased {
		t.Errorf("of %d wrapped keys that are kept the files have %d: the test looks in the wrong place", s.crowd-s.erased, got)
	}
	most, err := strconv.Atoi(os.Getenv("PRIVACYOPS_TEST_LOCKS"))
	if err != nil {
		most = 1
	}
	locks, began := s.locks(t, most), time.Now()
	inFiles, fitted := trials(files, 1, locks)
	took := time.Since(began)
	time.Sleep(time.Until(used.Add(s.keyTime + 6*time.Second)))
	memory := s.dump(t)
	s.nothingLeft(t, "memory", wanted.in(memory...))
	if got := wanted.in(memory...).count("key of somebody else"); got != 0 {
		t.Errorf("%d keys are in memory after %s", got, s.keyTime)
	}
	began = time.Now()
	inMemory, more := trials(memory, 8, locks)
	t.Logf("%d candidates in files and %d in memory, each tried on %d entries as the key of the person and of the entry, in %s", inFiles, inMemory, len(locks), took+time.Since(began))
	if fitted+more != 0 || inFiles < 10_000 || inMemory < 10_000 {
		t.Errorf("%d keys in files and %d in memory open entries of erased people", fitted, more)
	}
}

// TestErasurePostgres is the same, of fewer people, with the keys in PostgreSQL: what is the service's. What the server keeps of deleted rows
// until autovacuum, and in its write-ahead log, is in the runbook.
func TestErasurePostgres(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for the time of the key cache")
	}
	t.Parallel()
	s := newSchool(t, 200, shortKeyTime, enginetest.URL(t, sqldb.Postgres))
	if settings, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), "environ")); err == nil && !bytes.Contains(settings, []byte("clobberfree=1")) {
		t.Error("the runtime does not overwrite what it frees")
	}
	wanted := s.secrets(t)
	s.erase(t)
	s.proofsHold(t)
	s.nothingFound(t)
	s.gone(t)
	s.nothingLeft(t, "the files", wanted.in(s.files(t)...))
	time.Sleep(s.keyTime)
	s.memoryForgets(t, "memory", wanted)
	s.serverForgets(t, wanted)
}

// serverForgets does what the runbook says, and looks at the server's tables. Its write-ahead log has the rows until it is recycled.
func (s *school) serverForgets(t *testing.T, wanted *needles) {
	t.Helper()
	ctx := context.Background()
	address, err := url.Parse(s.keysDatabase)
	if err != nil {
		t.Fatal(err)
	}
	query := address.Query()
	schema := pgx.Identifier{query.Get("schema")}.Sanitize()
	query.Del("schema")
	address.RawQuery = query.Encode()
	conn, err := pgx.Connect(ctx, address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var dir string
	if err := conn.QueryRow(ctx, `SHOW data_directory`).Scan(&dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadDir(filepath.Join(dir, "base")); err != nil {
		t.Logf("the server's files cannot be read here: %v", err)
		return
	}
	tables := func() [][]byte { return slices.Collect(maps.Values(filesOf(t, dir, "/base/"))) }
	for _, statement := range []string{"CHECKPOINT", "VACUUM FULL " + schema + ".subject_key, " + schema + ".controller_key", "CHECKPOINT"} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
		if got := wanted.in(tables()...); got.count("wrapped key of somebody else") == 0 {
			t.Error("a key that is kept is in no table: the test looks in the wrong place")
		} else {
			t.Logf("%s: %d wrapped keys of erased people", statement, got.count("wrapped key"))
		}
	}
	s.nothingLeft(t, "the server's tables", wanted.in(tables()...))
}

// TestErasureFindsSabotage: rows that are deleted around the service, and without care, are found in its memory and in the files, both by
// what they are and by trying.
func TestErasureFindsSabotage(t *testing.T) {
	t.Parallel()
	s := newSchool(t, 200, keys.KeyTime, "")
	db, err := sql.Open("sqlite", strings.TrimPrefix(s.keysDatabase, "sqlite:")+"?_pragma=secure_delete(0)&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for n := range s.erased {
		if _, err := db.Exec(`DELETE FROM subject_key WHERE subject_ref = $1`, refOf(n)); err != nil {
			t.Fatal(err)
		}
	}
	wanted, memory := s.secrets(t), s.dump(t)
	if got := wanted.in(s.files(t)...); got.count("wrapped key") == 0 || got.count("ciphertext of a wrapped key") == 0 {
		t.Errorf("found in files: %v", got)
	}
	if got := wanted.in(memory...); got.count("key") < s.erased/2 {
		t.Errorf("found in memory: %v", got)
	}
	if _, fitted := trials(memory, 8, s.locks(t, 2)); fitted == 0 {
		t.Error("no key in memory fits")
	}
}

// files are all files of the data folder.
func (s *school) files(t *testing.T) [][]byte {
	t.Helper()
	return slices.Collect(maps.Values(filesOf(t, s.dir, "")))
}

func (s *school) nothingLeft(t *testing.T, where string, got found) {
	t.Helper()
	for _, kind := range destroyedKinds {
		if n := got.count(kind); n != 0 {
			t.Errorf("%s: %q of %d erased people", where, kind, n)
		}
	}
}

// memoryForgets looks at dumps of the service's memory until nothing is left in one, for at most a minute, which is how long keys may be
// remembered anyhow.
func (s *school) memoryForgets(t *testing.T, where string, wanted *needles) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(3 * time.Second) {
		got := wanted.in(s.dump(t)...)
		if !slices.ContainsFunc(destroyedKinds, func(kind string) bool { return got.count(kind) > 0 }) || time.Now().After(deadline) {
			s.nothingLeft(t, where, got)
			return
		}
	}
}

// gone looks at the rows, and tries all keys that are left on all that was sealed.
func (s *school) gone(t *testing.T) {
	t.Helper()
	after := s.storedKeys(t)
	if len(after) < s.crowd-s.erased {
		t.Fatalf("%d keys are left", len(after))
	}
	locks := s.locks(t, s.erased)
	for n := range locks {
		if _, left := after[refOf(n)]; left {
			t.Errorf("the key of %d is left", n)
		}
		for ref, key := range after {
			if entry := locks[n].derived(key.secret); locks[n].fits(entry[:]) {
				t.Errorf("entry %d opens with the key of %s", n, ref)
			}
		}
		if got := decrypts(t, s.proofs[s.crowd+n].GetLeaf(), after[refOf(s.friend(n))].secret); got != "" {
			t.Errorf("an entry about two people opens with the key of the one who was not erased: %s", got)
		}
	}
	if got := decrypts(t, s.proofs[s.erased].GetLeaf(), after[refOf(s.erased)].secret); !strings.Contains(got, "canary-detail") {
		t.Errorf("somebody else's entry does not open either: %q", got)
	}
}

// proofsHold checks all proofs taken before, and that the log has the same leaves still.
func (s *school) proofsHold(t *testing.T) {
	t.Helper()
	for n, p := range s.proofs {
		checkProof(t, p)
		if n < s.crowd && n >= s.erased {
			continue
		}
		if now := s.proof(t, readLeaf(t, p.GetLeaf()).ID); !bytes.Equal(now.GetLeaf(), p.GetLeaf()) || now.GetIndex() != p.GetIndex() {
			t.Errorf("entry %d is another one now", n)
		} else if n%50 == 0 {
			checkProof(t, now)
		}
	}
}

// nothingFound searches for people who were erased and people who were not.
func (s *school) nothingFound(t *testing.T) {
	t.Helper()
	few := func() *auditv1.SearchAuditEventsRequest { return &auditv1.SearchAuditEventsRequest{PageSize: 10} }
	for n := range s.erased {
		if got := s.search(t, few(), n).GetEvents(); len(got) != 0 {
			t.Errorf("erased, and found: %v", got)
		}
	}
	got := s.search(t, few(), s.erased).GetEvents()
	if len(got) == 0 || got[0].GetErased() || got[len(got)-1].GetDetail()["note"] != fmt.Sprintf("canary-detail-%05d", s.erased) {
		t.Errorf("not erased, and shown as %v", got)
	}
	got = s.search(t, &auditv1.SearchAuditEventsRequest{PageSize: 10, Filter: `action = "erasure.approve"`}, s.friend(0)).GetEvents()
	if len(got) != 2 || !got[0].GetErased() || got[1].GetErased() || len(got[0].GetSubjectRefs()) != 0 {
		t.Errorf("who stood in an entry with somebody who was erased: %v", got)
	}
	byResource := few()
	byResource.Filter = fmt.Sprintf(`resource = "controllers/school-a/erasures/canary-resource-%05d"`, s.crowd-1)
	if got := s.search(t, byResource).GetEvents(); len(got) != 1 {
		t.Errorf("by resource: %v", got)
	}
	destructions := few()
	destructions.Filter = `action = "key.destroy"`
	if got := s.search(t, destructions).GetEvents(); len(got) != 10 || len(got[0].GetSubjectRefs()) != 0 || got[0].GetActor().GetRef() != "erasure" {
		t.Errorf("destructions: %v", got)
	}
}

// nothingInTheOpen looks for people and what was said of them, in whatever the service has written: tiles, index, write-ahead logs, its
// log, spans and metrics. The pseudonyms of the living stand with their keys,
// and in the outbox when somebody has asked for them.
func (s *school) nothingInTheOpen(t *testing.T) {
	t.Helper()
	written := filesOf(t, s.dir, "")
	maps.Copy(written, filesOf(t, s.out, ""))
	written["metrics"] = s.metrics(t)
	if said := string(written[s.out+"/stdout"]); strings.Count(said, "AppendAuditEvents") == 0 {
		t.Error("the service has written no spans: the test looks in the wrong place")
	}
	names := newNeedles()
	for n := range s.crowd {
		names.add("pupil", n, []byte(pupilOf(n)))
		names.add("pseudonym", n, []byte(refOf(n)))
	}
	for n := range s.crowd + s.erased {
		names.add("canary", n, fmt.Appendf(nil, "canary-detail-%05d", n))
		names.add("canary", n, fmt.Appendf(nil, "canary-resource-%05d", n))
	}
	for path, content := range written {
		got := names.in(content)
		kept := strings.Contains(path, "audit-keys.db") || strings.Contains(path, "audit.db") // the outbox of what was asked
		if got.count("pupil") > 0 || got.count("canary") > 0 || !kept && got.count("pseudonym") > 0 {
			t.Errorf("%s names people: %d identifiers, %d pseudonyms, %d canaries", path, got.count("pupil"), got.count("pseudonym"), got.count("canary"))
		}
		left := 0
		for n := range got["pseudonym"] {
			if n < s.erased {
				left++
			}
		}
		if left > 0 && kept { // in free space of the index over pseudonyms, where pages were divided: see the runbook
			t.Logf("%s has the pseudonyms of %d who were erased, of %d", path, left, s.erased)
		}
		if left > s.erased/20 || left > 0 && !strings.HasSuffix(path, "audit-keys.db") {
			t.Errorf("%s has the pseudonyms of %d who were erased", path, left)
		}
	}
}
