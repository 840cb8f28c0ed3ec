package audit_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/privacyops/privacyops/libs/sqldb"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

const (
	crowd  = 5000
	erased = crowd / 10
)

// pupilOf is the n-th identifier, whose pseudonym stands in one event, with a canary in its detail and in its resource.
func pupilOf(n int) string { return fmt.Sprintf("pupil%05d", n) }

func refOf(n int) string { return testKeyring().Subject("school-a", "UNILOGIN", pupilOf(n)) }

// told reports events about the whole crowd and returns their ids.
func told(t *testing.T, s *suite) []string {
	t.Helper()
	ingest := auditv1.NewAuditIngestClient(s.as(t, "erasure"))
	ids := make([]string, crowd)
	for n := 0; n < crowd; n += 100 {
		req := &auditv1.AppendAuditEventsRequest{}
		for i := n; i < n+100; i++ {
			e := report("school-a", "erasure")
			e.SubjectRefs, e.Resource = []string{refOf(i)}, fmt.Sprintf("controllers/school-a/erasures/canary-resource-%05d", i)
			e.Detail = map[string]string{"note": fmt.Sprintf("canary-detail-%05d", i)}
			ids[i], req.Events = e.GetId(), append(req.Events, e)
		}
		if _, err := ingest.AppendAuditEvents(context.Background(), req); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

// storedKey is a key as the database of keys has it, and unwrapped.
type storedKey struct{ wrapped, secret []byte }

// storedKeys unwraps what stands in the database of keys, as whoever has the data folder can: the master key is in it.
func storedKeys(t *testing.T, s *suite) map[string]storedKey {
	t.Helper()
	db, err := sqldb.Open(context.Background(), sqldb.Config{URL: "sqlite:" + filepath.Join(s.dir, "audit-keys.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	out := map[string]storedKey{}
	err = db.Read(context.Background(), func(ctx context.Context, q sqldb.Querier) error {
		var over []byte
		if err := q.QueryRow(ctx, `SELECT wrapped FROM controller_key WHERE controller = 'school-a'`).Scan(&over); err != nil {
			return err
		}
		envelope, err := testKeyring().OpenEnvelope("controllers/school-a/auditKeys", over)
		if err != nil {
			return err
		}
		rows, err := q.Query(ctx, `SELECT subject_ref, wrapped FROM subject_key WHERE controller = 'school-a'`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var ref string
			var wrapped []byte
			if err := rows.Scan(&ref, &wrapped); err != nil {
				return err
			}
			plain, err := envelope.Open(wrapped)
			if err != nil {
				return err
			}
			out[ref] = storedKey{wrapped, plain[16:]}
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// decrypts opens the sealed part of a leaf with one key, by the standard library alone, and returns "" where it does not open.
func decrypts(t *testing.T, leaf, secret []byte) string {
	t.Helper()
	var l struct {
		ID, Controller string
		People         []string
		Sealed         []byte
	}
	if err := json.Unmarshal(leaf, &l); err != nil || len(l.Sealed) < 32 || len(l.People) != 1 {
		t.Fatalf("a leaf that is not sealed: %s (%v)", leaf, err)
	}
	key, err := hkdf.Key(sha256.New, secret, l.Sealed[:16], "privacyops.audit.sealed.v1", 32)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	var id []byte
	if _, err := fmt.Sscanf(l.People[0], "%x", &id); err != nil {
		t.Fatal(err)
	}
	plain, err := gcm.Open(nil, make([]byte, 12), l.Sealed[16:], append([]byte(l.ID+"\x00"+l.Controller+"\x00"), id...))
	if err != nil {
		return ""
	}
	return string(plain)
}

// filesOf reads all files of a folder that have a name with this in it.
func filesOf(t *testing.T, dir, in string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, in) {
			return err
		}
		out[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestErasure erases a tenth of a school: all proofs taken before still verify, nobody erased is found, and nothing of them opens with
// any key that there is.
func TestErasure(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes proofs of thousands of events")
	}
	t.Parallel()
	s := newSuite(t)
	ids, conn := told(t, s), s.as(t, "erasure")
	log := auditv1.NewAuditLogClient(conn)
	proofs := make([]*auditv1.Proof, crowd)
	for n, id := range ids {
		var err error
		if proofs[n], err = log.GetAuditEventProof(context.Background(), &auditv1.GetAuditEventProofRequest{Name: "controllers/school-a/auditEvents/" + id}); err != nil {
			t.Fatal(err)
		}
	}
	before := storedKeys(t, s)
	if got := decrypts(t, proofs[0].GetLeaf(), before[refOf(0)].secret); !strings.Contains(got, "canary-detail-00000") || !strings.Contains(got, refOf(0)) {
		t.Fatalf("with the right key an entry opens to %q: the test tests nothing", got)
	}
	for path, content := range filesOf(t, s.dir, "") {
		if bytes.Contains(content, []byte("canary-")) || strings.Contains(path, "/log/") && bytes.Contains(content, []byte(refOf(7))) {
			t.Errorf("%s holds a canary in the open", path)
		}
	}
	keysClient := auditv1.NewAuditKeysClient(conn)
	for n := range erased {
		resp, err := keysClient.DestroySubjectKeys(context.Background(), &auditv1.DestroySubjectKeysRequest{Parent: "controllers/school-a",
			SubjectRefs: []string{refOf(n)}, Erasure: "controllers/school-a/erasures/" + newID()})
		if err != nil || resp.GetDestroyed() != 1 {
			t.Fatalf("destroyed %d keys (%v)", resp.GetDestroyed(), err)
		}
	}
	for _, p := range proofs {
		checkProof(t, p)
	}
	nothingFound(t, s)
	nothingOpens(t, s, before, proofs)
}

// nothingFound searches for people who were erased and people who were not.
func nothingFound(t *testing.T, s *suite) {
	t.Helper()
	log, ctx := auditv1.NewAuditLogClient(s.as(t, "gateway")), s.token(t, "ane", "dpo", "school-a")
	search := func(filter string, people ...int) []*auditv1.AuditEvent {
		req := &auditv1.SearchAuditEventsRequest{Parent: "controllers/school-a", Filter: filter, PageSize: 10}
		for _, n := range people {
			req.Subjects = append(req.Subjects, &typev1.Subject{Type: typev1.Subject_UNILOGIN, Value: pupilOf(n)})
		}
		resp, err := log.SearchAuditEvents(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetEvents()
	}
	for n := range erased {
		if got := search("", n); len(got) != 0 {
			t.Errorf("erased, and found: %v", got)
		}
	}
	if got := search("", erased); len(got) == 0 || got[0].GetErased() || got[len(got)-1].GetDetail()["note"] != fmt.Sprintf("canary-detail-%05d", erased) {
		t.Errorf("not erased, and shown as %v", got)
	}
	if got := search(`resource = "controllers/school-a/erasures/canary-resource-04999"`); len(got) != 1 {
		t.Errorf("by resource: %v", got)
	}
	if got := search(`action = "key.destroy"`); len(got) != 10 || len(got[0].GetSubjectRefs()) != 0 || got[0].GetActor().GetRef() != "erasure" {
		t.Errorf("destructions: %v", got)
	}
}

// nothingOpens looks for the destroyed keys, raw and wrapped, in all files, and tries all keys that are left on what was sealed.
func nothingOpens(t *testing.T, s *suite, before map[string]storedKey, proofs []*auditv1.Proof) {
	t.Helper()
	after := storedKeys(t, s)
	if len(after) < crowd-erased {
		t.Fatalf("%d keys are left", len(after))
	}
	files := filesOf(t, s.dir, "")
	for n := range erased {
		key := before[refOf(n)]
		if _, left := after[refOf(n)]; left {
			t.Errorf("the key of %d is left", n)
		}
		for path, content := range files {
			if bytes.Contains(content, key.secret) || bytes.Contains(content, key.wrapped) {
				t.Errorf("%s holds the key of %d", path, n)
			}
		}
	}
	alive := 0
	for path, content := range files {
		if strings.Contains(path, "audit-keys.db") && bytes.Contains(content, before[refOf(erased)].wrapped) {
			alive++
		}
	}
	if alive == 0 {
		t.Error("a key that was not destroyed is in no file: the test looks in the wrong place")
	}
	for n := 0; n < erased; n += 50 {
		for ref, key := range after {
			if got := decrypts(t, proofs[n].GetLeaf(), key.secret); got != "" {
				t.Errorf("entry %d opens with the key of %s", n, ref)
			}
		}
	}
}

// TestOffBoarding destroys a controller's key: nobody in its part of the log can be read, and another controller's is as before.
func TestOffBoarding(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	conn := s.as(t, "erasure")
	for _, c := range []string{"school-a", "school-b"} {
		if _, err := auditv1.NewAuditIngestClient(conn).AppendAuditEvents(context.Background(), &auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{report(c, "erasure")}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []bool{true, false} {
		resp, err := auditv1.NewAuditKeysClient(conn).DestroyControllerKey(context.Background(), &auditv1.DestroyControllerKeyRequest{
			Parent: "controllers/school-a", Termination: "controllers/school-a/termination"})
		if err != nil || resp.GetDestroyed() != want {
			t.Fatalf("destroyed: %t, want %t (%v)", resp.GetDestroyed(), want, err)
		}
	}
	for c, want := range map[string]bool{"school-a": true, "school-b": false} {
		resp, err := auditv1.NewAuditLogClient(s.as(t, "gateway")).SearchAuditEvents(s.token(t, "ane", "dpo", c),
			&auditv1.SearchAuditEventsRequest{Parent: "controllers/" + c, Filter: `action = "erasure.approve"`})
		if err != nil || len(resp.GetEvents()) != 1 || resp.GetEvents()[0].GetErased() != want || (resp.GetEvents()[0].GetResource() == "") != want {
			t.Errorf("%s: %v, %v", c, resp.GetEvents(), err)
		}
	}
	_, err := auditv1.NewAuditKeysClient(conn).DestroySubjectKeys(context.Background(), &auditv1.DestroySubjectKeysRequest{Parent: "controllers/school-b",
		SubjectRefs: []string{"sub_1"}, Erasure: "controllers/school-a/erasures/" + newID()})
	if err == nil {
		t.Error("one controller's erasure destroys another one's keys")
	}
}
