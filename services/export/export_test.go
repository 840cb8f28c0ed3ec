package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
	domain "github.com/privacyops/privacyops/services/export/internal/export"
	"github.com/privacyops/privacyops/services/export/internal/packaging"
)

func TestAccess(t *testing.T) {
	t.Parallel()
	s := newSuite(t, learning(), support())
	s.run()
	created := s.create()
	if created.GetState() != exportv1.Export_PENDING || created.GetLanguage() != "da" {
		t.Errorf("created as %v", created)
	}
	// One month from 2 March 2026, to the end of that day in Copenhagen: 2 April is Maundy Thursday, and what follows is Easter.
	if got, want := created.GetDueTime().AsTime(), time.Date(2026, 4, 7, 21, 59, 59, 0, time.UTC); !got.Equal(want) {
		t.Errorf("due %s, want %s", got, want)
	}
	e := s.await(created.GetName(), exportv1.Export_READY)
	if got := e.GetExpireTime().AsTime(); !got.Equal(start.Add(7 * 24 * time.Hour)) {
		t.Errorf("expires %s", got)
	}
	raw, err := s.read(e.GetName(), 0, 0)
	check(t, err)
	sum := sha256.Sum256(raw)
	if e.GetPackage().GetSha256() != hex.EncodeToString(sum[:]) || e.GetPackage().GetSizeBytes() != int64(len(raw)) ||
		e.GetPackage().GetContentType() != packaging.ZIP {
		t.Errorf("package %v does not describe %d bytes with hash %x", e.GetPackage(), len(raw), sum)
	}
	files, m := s.contents(e)
	verifyManifest(t, s, files, m)
	if !m.Complete || m.Subject != created.GetSubjectRef() {
		t.Errorf("manifest: complete %v, subject %q", m.Complete, m.Subject)
	}
	want := "\uFEFF\"name\",\"note\"\r\n\"" + canary + " Åse\",\"'=HYPERLINK(\"\"http://x\"\")\"\r\n"
	if got := files["data/learning/profile.csv"]; got != want {
		t.Errorf("profile.csv:\n%q\nwant\n%q", got, want)
	}
	var usage []map[string]any
	check(t, json.Unmarshal([]byte(files["data/learning/usage.json"]), &usage))
	if len(usage) != 2 || usage[0]["seconds"] != float64(-5) {
		t.Errorf("usage.json: %v", usage)
	}
	if got := files["data/learning/usage.csv"]; !strings.Contains(got, "\"2026-01-01\",\"'-5\",\"\"\r\n") || !strings.Contains(got, `"{""lat"":1}"`) {
		t.Errorf("usage.csv: %q", got)
	}
	if files["data/support/tickets.json"] == "" {
		t.Error("the support desk, found by an address that the learning platform added, is missing")
	}
}

// verifyManifest checks that the manifest lists every file as it is, and that its signature holds.
func verifyManifest(t *testing.T, s *suite, files map[string]string, m domain.Manifest) {
	t.Helper()
	listed := []string{"manifest.json", "manifest.sig"}
	for _, f := range m.Files {
		listed = append(listed, f.Path)
		sum := sha256.Sum256([]byte(files[f.Path]))
		if f.SHA256 != hex.EncodeToString(sum[:]) || f.Bytes != int64(len(files[f.Path])) {
			t.Errorf("%s is not as the manifest says", f.Path)
		}
	}
	slices.Sort(listed)
	var present []string
	for name := range files {
		present = append(present, name)
	}
	slices.Sort(present)
	if diff := cmp.Diff(listed, present); diff != "" {
		t.Errorf("manifest and package differ (-listed +present):\n%s", diff)
	}
	n, err := note.Open([]byte(files["manifest.sig"]), note.VerifierList(s.verifier))
	check(t, err)
	if n.Text != packaging.SignedText(sha256.Sum256([]byte(files["manifest.json"]))) {
		t.Errorf("the signature is over something else: %q", n.Text)
	}
}

func TestSearchInRounds(t *testing.T) {
	t.Parallel()
	l, d := learning(), support()
	s := newSuite(t, l, d)
	e := s.advance(s.create())
	if n := len(d.located); n != 2 {
		t.Fatalf("the support desk was asked %d times, want twice", n)
	}
	if len(d.located[0]) != 1 || len(d.located[1]) != 2 || len(d.asked[0].GetIdentifiers()) != 2 {
		t.Error("the address was not asked with in the second round and in the export")
	}
	shared := slices.IndexFunc(e.GetOmissions(), func(o *exportv1.Omission) bool { return o.GetGround() == domain.GroundShared })
	if shared < 0 || e.GetOmissions()[shared].GetCount() != 3 || e.GetOmissions()[shared].GetColumn() != "PHONE" {
		t.Errorf("the shared identifier is not reported: %v", e.GetOmissions())
	}
}

func TestPortability(t *testing.T) {
	t.Parallel()
	l, d := learning(), support()
	s := newSuite(t, l, d)
	e := s.advance(s.create(func(r *exportv1.CreateExportRequest) { r.Kind, r.Language = exportv1.Export_PORTABILITY, "en" }))
	if e.GetState() != exportv1.Export_READY {
		t.Fatalf("export is %v", e)
	}
	files, m := s.contents(e)
	verifyManifest(t, s, files, m)
	var got []string
	for name := range files {
		if strings.HasSuffix(name, ".json") && strings.HasPrefix(name, "data/") {
			got = append(got, name)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"data/learning/essays.json", "data/learning/profile.json"}, got); diff != "" {
		t.Error(diff)
	}
	if len(d.asked) != 0 {
		t.Error("a system with nothing to take along was asked for data")
	}
	grounds := map[string]string{}
	for _, o := range e.GetOmissions() {
		grounds[o.GetDataset()] = o.GetGround()
	}
	if grounds["usage"] == "" || grounds["tickets"] != domain.GroundNotProvided {
		t.Errorf("omissions: %v", grounds)
	}
}

func TestRecipient(t *testing.T) {
	t.Parallel()
	s := newSuite(t, learning())
	key := identity(t)
	e := s.advance(s.create(func(r *exportv1.CreateExportRequest) { r.RecipientKey = key.Recipient().String() }))
	raw, err := s.read(e.GetName(), 0, 0)
	check(t, err)
	sum := sha256.Sum256(raw)
	if e.GetPackage().GetContentType() != packaging.Age || e.GetPackage().GetSha256() != hex.EncodeToString(sum[:]) {
		t.Errorf("package %v", e.GetPackage())
	}
	plain, err := age.Decrypt(bytes.NewReader(raw), key)
	check(t, err)
	zipped, err := io.ReadAll(plain)
	check(t, err)
	if unzip(t, zipped)["data/learning/profile.json"] == "" {
		t.Error("the recipient does not find the data")
	}
	w, err := s.service.store.Get(context.Background(), ref(t, e))
	check(t, err)
	if !w.Package.Secret.Empty() {
		t.Error("the service keeps a key to what only the recipient opens")
	}
}

func TestRanges(t *testing.T) {
	t.Parallel()
	l := learning()
	l.generate = func(yield func(*record) bool) {
		for range 3000 {
			if !yield(&record{Dataset: "noise", Json: noise(100)}) {
				return
			}
		}
	}
	s := newSuite(t, l)
	e := s.advance(s.create())
	whole, err := s.read(e.GetName(), 0, 0)
	check(t, err)
	size := int64(len(whole))
	if size < 200<<10 {
		t.Fatalf("the package has only %d bytes", size)
	}
	for _, r := range []struct{ offset, limit int64 }{
		{0, 1}, {1, 1}, {65535, 2}, {65536, 65536}, {65537, 131072}, {size - 1, 1}, {size - 1, 100}, {size, 5}, {100, 0}, {size - 70000, 0},
	} {
		got, err := s.read(e.GetName(), r.offset, r.limit)
		check(t, err)
		end := size
		if r.limit > 0 {
			end = min(size, r.offset+r.limit)
		}
		if !bytes.Equal(got, whole[r.offset:end]) {
			t.Errorf("range %v gives other bytes", r)
		}
	}
	if _, err := s.read(e.GetName(), size+1, 0); status.Code(err) != codes.InvalidArgument {
		t.Errorf("beyond the end: %v", err)
	}
}

func TestPartialIsTriedAgain(t *testing.T) {
	t.Parallel()
	l, d := learning(), support()
	l.fail(status.Error(codes.Unavailable, canary))
	s := newSuite(t, l, d)
	e := s.advance(s.create())
	if e.GetState() != exportv1.Export_PARTIAL {
		t.Fatalf("export is %s", e.GetState())
	}
	if e.GetSystems()[0].GetState() != exportv1.SystemExport_FAILED || !strings.Contains(e.GetSystems()[0].GetMessage(), "could not be reached") ||
		strings.Contains(e.String(), canary) {
		t.Errorf("systems: %v", e.GetSystems())
	}
	files, m := s.contents(e)
	if files["data/support/tickets.json"] == "" || m.Complete {
		t.Error("the package of what there is lacks the support desk, or claims to be complete")
	}
	if got := s.advance(e); got.GetUpdateTime().AsTime().After(e.GetUpdateTime().AsTime()) {
		t.Error("tried again before its pause was over")
	}
	s.clock.Advance(time.Minute)
	if got := s.advance(e); got.GetState() != exportv1.Export_PARTIAL {
		t.Errorf("export is %s while the system is missing", got.GetState())
	}
	l.fail(nil)
	s.clock.Advance(time.Hour)
	e = s.advance(e)
	if e.GetState() != exportv1.Export_READY {
		t.Fatalf("export is %s after the system came back", e.GetState())
	}
	if files, m := s.contents(e); files["data/learning/profile.json"] == "" || !m.Complete {
		t.Error("the new package lacks the system")
	}
	if n := len(s.files()); n != 1 {
		t.Errorf("%d files, want the new package alone", n)
	}
}

func TestPartialEndsAtItsTime(t *testing.T) {
	t.Parallel()
	l := learning()
	l.fail(status.Error(codes.Unavailable, ""))
	s := newSuite(t, l, support())
	e := s.advance(s.create())
	s.clock.Set(e.GetDueTime().AsTime())
	e = s.advance(e)
	w, err := s.service.store.Get(context.Background(), ref(t, e))
	check(t, err)
	if w.State != domain.Partial || !w.Settled || !w.Identifiers.Empty() || len(w.Identifiers.Data) > 0 {
		t.Errorf("at its time: %s, settled %v, identifiers kept %v", w.State, w.Settled, !w.Identifiers.Empty())
	}
	if _, err := s.read(e.GetName(), 0, 0); err != nil {
		t.Errorf("its package cannot be fetched: %v", err)
	}
	if got := s.recorded("export.fail"); got.GetReason() != "INCOMPLETE" || got.GetDetail()["missing"] != "1" {
		t.Errorf("event %v", got)
	}
}

func TestIncompleteAnswer(t *testing.T) {
	t.Parallel()
	l := learning()
	l.cut = true
	s := newSuite(t, l, support())
	e := s.advance(s.create())
	if e.GetState() != exportv1.Export_PARTIAL || !strings.Contains(e.GetSystems()[0].GetMessage(), "Incomplete answer") {
		t.Fatalf("export is %v", e)
	}
	files, _ := s.contents(e)
	for name := range files {
		if strings.HasPrefix(name, "data/learning") {
			t.Errorf("half an answer is in the package: %s", name)
		}
	}
}

func TestUnknownParticipant(t *testing.T) {
	t.Parallel()
	s := newSuite(t, learning())
	delete(s.systems, "learning")
	e := s.advance(s.create())
	if m := e.GetSystems()[0].GetMessage(); !strings.Contains(m, `"learning"`) || !strings.Contains(m, "configured") {
		t.Errorf("message %q does not say what to do", m)
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	s := newSuite(t, learning())
	s.run()
	e := s.await(s.create().GetName(), exportv1.Export_READY)
	s.clock.Advance(7*24*time.Hour - time.Second)
	if _, err := s.read(e.GetName(), 0, 0); err != nil {
		t.Fatalf("a second before its end: %v", err)
	}
	s.clock.Advance(time.Second)
	if _, err := s.read(e.GetName(), 0, 0); !isReason(err, "PACKAGE_EXPIRED") {
		t.Errorf("at its end: %v", err)
	}
	e = s.await(e.GetName(), exportv1.Export_EXPIRED)
	if _, err := s.read(e.GetName(), 0, 0); !isReason(err, "PACKAGE_EXPIRED") {
		t.Errorf("after its end: %v", err)
	}
	if s.recorded("export.expire").GetDetail()["sha256"] == "" || e.GetPackage() != nil {
		t.Error("expiry is not recorded, or the package is still shown")
	}
	for end := time.Now().Add(5 * time.Second); len(s.files()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("files are left: %v", s.files())
		}
	}
	w, err := s.service.store.Get(context.Background(), ref(t, e))
	check(t, err)
	if w.Package != nil || !w.Identifiers.Empty() {
		t.Error("keys are left")
	}
}
