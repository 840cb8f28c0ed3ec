package audit_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

// pupilOf is the n-th identifier, whose pseudonym stands in one event, with a canary in its detail and in its resource.
func pupilOf(n int) string { return fmt.Sprintf("pupil%05d", n) }

func refOf(n int) string { return testKeyring().Subject("school-a", "UNILOGIN", pupilOf(n)) }

// school is a service that is a process of its own, and people in its log, of whom the first tenth will be erased.
type school struct {
	*process
	keysDatabase  string
	keyTime       time.Duration // of unwrapped keys in memory
	crowd, erased int
	log           auditv1.AuditLogClient
	// proofs of all entries: those of one person, in the people's order, then those that name an erased one and one from the end.
	proofs []*auditv1.Proof
	// keys as they were before anything was destroyed.
	keys []storedKey
}

func newSchool(t *testing.T, crowd int, keyTime time.Duration, keysDatabase string) *school {
	t.Helper()
	s := &school{process: startProcess(t, keysDatabase, keyTime), keysDatabase: keysDatabase, keyTime: keyTime, crowd: crowd, erased: crowd / 10}
	if keysDatabase == "" {
		s.keysDatabase = "sqlite:" + filepath.Join(s.dir, "audit-keys.db")
	}
	conn := s.as(t, "erasure")
	s.log = auditv1.NewAuditLogClient(conn)
	for _, id := range s.tell(t, auditv1.NewAuditIngestClient(conn)) {
		s.proofs = append(s.proofs, s.proof(t, id))
	}
	stored := s.storedKeys(t)
	for n := range crowd {
		s.keys = append(s.keys, stored[refOf(n)])
	}
	s.everybody(t)
	return s
}

// tell reports events about everybody, and returns their ids.
func (s *school) tell(t *testing.T, ingest auditv1.AuditIngestClient) (ids []string) {
	t.Helper()
	events := make([]*auditv1.ReportedEvent, 0, s.crowd+s.erased)
	for n := range s.crowd + s.erased {
		e := report("school-a", "erasure")
		e.SubjectRefs, e.Resource = []string{refOf(n % s.crowd)}, fmt.Sprintf("controllers/school-a/erasures/canary-resource-%05d", n)
		if n >= s.crowd {
			e.SubjectRefs = append(e.SubjectRefs, refOf(s.friend(n-s.crowd)))
		}
		e.Detail = map[string]string{"note": fmt.Sprintf("canary-detail-%05d", n)}
		events, ids = append(events, e), append(ids, e.GetId())
	}
	for some := range slices.Chunk(events, 100) {
		if _, err := ingest.AppendAuditEvents(context.Background(), &auditv1.AppendAuditEventsRequest{Events: some}); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

// friend is who stands in an entry together with the n-th person, who will be erased.
func (s *school) friend(n int) int { return s.crowd - 1 - n }

func (s *school) proof(t *testing.T, id string) *auditv1.Proof {
	t.Helper()
	p, err := s.log.GetAuditEventProof(context.Background(), &auditv1.GetAuditEventProofRequest{Name: "controllers/school-a/auditEvents/" + id})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// search searches as the school's data protection officer.
func (s *school) search(t *testing.T, req *auditv1.SearchAuditEventsRequest, people ...int) *auditv1.SearchAuditEventsResponse {
	t.Helper()
	for _, n := range people {
		req.Subjects = append(req.Subjects, &typev1.Subject{Type: typev1.Subject_UNILOGIN, Value: pupilOf(n)})
	}
	req.Parent = "controllers/school-a"
	resp, err := auditv1.NewAuditLogClient(s.as(t, "gateway")).SearchAuditEvents(s.token(t, "ane", "dpo", "school-a"), req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// everybody reads all events, so that all keys are used, and asks for some who will be erased.
func (s *school) everybody(t *testing.T) {
	t.Helper()
	for n := range 10 {
		if got := s.search(t, &auditv1.SearchAuditEventsRequest{}, n).GetEvents(); len(got) < 2 { // that one was asked for is an event too
			t.Fatalf("%d events name %d", len(got), n)
		}
	}
	for token, n := "", 0; ; {
		resp := s.search(t, &auditv1.SearchAuditEventsRequest{PageSize: 200, PageToken: token})
		n += len(resp.GetEvents())
		if token = resp.GetNextPageToken(); token == "" {
			if n < len(s.proofs) {
				t.Fatalf("%d events are shown, of %d", n, len(s.proofs))
			}
			return
		}
	}
}

// erase destroys the keys of the first tenth.
func (s *school) erase(t *testing.T) {
	t.Helper()
	client := auditv1.NewAuditKeysClient(s.as(t, "erasure"))
	for n := range s.erased {
		resp, err := client.DestroySubjectKeys(context.Background(), &auditv1.DestroySubjectKeysRequest{Parent: "controllers/school-a",
			SubjectRefs: []string{refOf(n)}, Erasure: "controllers/school-a/erasures/" + newID()})
		if err != nil || resp.GetDestroyed() != 1 {
			t.Fatalf("destroyed %d keys (%v)", resp.GetDestroyed(), err)
		}
	}
}

// storedKey is a key as the database of keys has it, and unwrapped.
type storedKey struct{ wrapped, secret []byte }

// storedKeys unwraps what stands in the database of keys, as whoever has the data folder can: the master key is in it.
func (s *school) storedKeys(t *testing.T) map[string]storedKey {
	t.Helper()
	db, err := sqldb.Open(context.Background(), sqldb.Config{URL: s.keysDatabase})
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
		rows, err := q.Query(ctx, `SELECT subject_ref, wrapped FROM subject_key WHERE controller = 'school-a' AND subject_ref LIKE 'sub%'`)
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

// sealedLeaf is what a leaf has that is sealed.
type sealedLeaf struct {
	ID, Controller string
	People         []string
	Sealed         []byte
}

func readLeaf(t *testing.T, leaf []byte) (l sealedLeaf) {
	t.Helper()
	if err := json.Unmarshal(leaf, &l); err != nil || len(l.Sealed) < 32 || len(l.People) == 0 {
		t.Fatalf("a leaf that is not sealed: %s (%v)", leaf, err)
	}
	return l
}

// decrypts opens the sealed part of a leaf with a key, by the standard library alone, and returns "" where it does not open.
func decrypts(t *testing.T, leaf, secret []byte) string {
	t.Helper()
	l := readLeaf(t, leaf)
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
	bound := []byte(l.ID + "\x00" + l.Controller + "\x00")
	for _, one := range l.People {
		var id []byte
		if _, err := fmt.Sscanf(one, "%x", &id); err != nil {
			t.Fatal(err)
		}
		bound = append(bound, id...)
	}
	plain, err := gcm.Open(nil, make([]byte, 12), l.Sealed[16:], bound)
	if err != nil {
		return ""
	}
	return string(plain)
}

// secrets are what the erased people's entries can be read with: the key of each, wrapped and not, the half of the wrapped one that is the
// key, and the key that it gives for the entry. Of the others it is the key alone.
func (s *school) secrets(t *testing.T) *needles {
	t.Helper()
	out := newNeedles()
	for n, key := range s.keys {
		if n >= s.erased {
			out.add("key of somebody else", n, key.secret)
			out.add("wrapped key of somebody else", n, key.wrapped)
			continue
		}
		l := newLock(readLeaf(t, s.proofs[n].GetLeaf()).Sealed)
		entry := l.derived(key.secret)
		if !l.fits(entry[:]) || !strings.Contains(decrypts(t, s.proofs[n].GetLeaf(), key.secret), refOf(n)) {
			t.Fatalf("entry %d does not open with the right key: the test tests nothing", n)
		}
		out.add("key", n, key.secret)
		out.add("key of an entry", n, entry[:])
		out.add("wrapped key", n, key.wrapped)
		out.add("ciphertext of a wrapped key", n, key.wrapped[40:72])
	}
	return out
}

// destroyedKinds are the secrets of erased people.
var destroyedKinds = []string{"key", "key of an entry", "wrapped key", "ciphertext of a wrapped key"}

// locks are the sealed parts of so many erased people.
func (s *school) locks(t *testing.T, most int) (out []lock) {
	t.Helper()
	for n := range min(s.erased, most) {
		out = append(out, newLock(readLeaf(t, s.proofs[n].GetLeaf()).Sealed))
	}
	return out
}
