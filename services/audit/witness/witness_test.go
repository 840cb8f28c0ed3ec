package witness

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "audit.test/log"

// signedLog is a log in memory, made with golang.org/x/mod alone.
type signedLog struct {
	signer note.Signer
	public string
	stored []tlog.Hash
}

func (l *signedLog) read(indexes []int64) (out []tlog.Hash, err error) {
	for _, i := range indexes {
		out = append(out, l.stored[i])
	}
	return out, nil
}

func newLog(tb testing.TB, name string, leaves ...string) *signedLog {
	tb.Helper()
	secret, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		tb.Fatal(err)
	}
	l := &signedLog{signer: signer, public: public}
	l.grow(tb, leaves...)
	return l
}

func (l *signedLog) grow(tb testing.TB, leaves ...string) {
	tb.Helper()
	for _, leaf := range leaves {
		n := tlog.StoredHashIndex(0, 0)
		for tlog.StoredHashCount(n) < int64(len(l.stored)) {
			n++
		}
		hashes, err := tlog.StoredHashes(n, []byte(leaf), tlog.HashReaderFunc(l.read))
		if err != nil {
			tb.Fatal(err)
		}
		l.stored = append(l.stored, hashes...)
	}
}

// fork is another log of the same key.
func (l *signedLog) fork(tb testing.TB, leaves ...string) *signedLog {
	tb.Helper()
	other := &signedLog{signer: l.signer, public: l.public}
	other.grow(tb, leaves...)
	return other
}

func numbered(from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint("leaf ", i))
	}
	return out
}

func (l *signedLog) checkpoint(tb testing.TB, size int64) []byte {
	tb.Helper()
	root, err := tlog.TreeHash(size, tlog.HashReaderFunc(l.read))
	if err != nil {
		tb.Fatal(err)
	}
	return l.sign(tb, fmt.Sprintf("%s\n%d\n%s\n", l.signer.Name(), size, base64.StdEncoding.EncodeToString(root[:])))
}

func (l *signedLog) sign(tb testing.TB, text string) []byte {
	tb.Helper()
	raw, err := note.Sign(&note.Note{Text: text}, l.signer)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// ask is the request to cosign a size, from another one.
func (l *signedLog) ask(tb testing.TB, old, size int64) string {
	tb.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "old %d\n", old)
	if old > 0 && old < size {
		path, err := tlog.ProveTree(size, old, tlog.HashReaderFunc(l.read))
		if err != nil {
			tb.Fatal(err)
		}
		for _, h := range path {
			fmt.Fprintf(&b, "%s\n", h)
		}
	}
	return b.String() + "\n" + string(l.checkpoint(tb, size))
}

// under is a witness under test.
type under struct {
	*Witness
	dir  string
	key  Key
	logs []string
	out  *bytes.Buffer
}

func start(tb testing.TB, logs ...*signedLog) *under {
	tb.Helper()
	u := &under{dir: tb.TempDir(), out: &bytes.Buffer{}}
	var err error
	if u.key, err = OpenKey(rand.Reader, filepath.Join(u.dir, "witness.key"), "witness.test"); err != nil {
		tb.Fatal(err)
	}
	for _, l := range logs {
		u.logs = append(u.logs, l.public)
	}
	u.open(tb)
	tb.Cleanup(func() { u.Close() })
	return u
}

func (u *under) open(tb testing.TB) {
	tb.Helper()
	var err error
	u.Witness, err = Open(Config{Dir: filepath.Join(u.dir, "seen"), Key: u.key, Logs: u.logs, Log: slog.New(slog.NewTextHandler(u.out, nil))})
	if err != nil {
		tb.Fatal(err)
	}
}

func (u *under) post(body string) *httptest.ResponseRecorder {
	rw := httptest.NewRecorder()
	u.ServeHTTP(rw, httptest.NewRequest(http.MethodPost, "/add-checkpoint", strings.NewReader(body)))
	return rw
}

func (u *under) expect(tb testing.TB, what, body string, status int) string {
	tb.Helper()
	resp := u.post(body)
	text := resp.Body.String()
	if resp.Code != status {
		tb.Errorf("%s: %d %q, want %d", what, resp.Code, text, status)
	}
	return text
}

// TestProtocol walks a log through the protocol's answers.
func TestProtocol(t *testing.T) {
	t.Parallel()
	l, stranger := newLog(t, origin, numbered(0, 50)...), newLog(t, "other.test/log", "x")
	impostor := newLog(t, origin, numbered(0, 50)...)
	u := start(t, l)
	u.cosigns(t, l, 0, 10)
	u.cosigns(t, l, 10, 33)
	u.cosigns(t, l, 33, 33)

	fork := l.fork(t, append(numbered(0, 20), numbered(120, 150)...)...)
	size33, size34 := l.ask(t, 33, 33), l.ask(t, 33, 34)
	for _, tt := range []struct {
		name, body string
		status     int
	}{
		{"empty", "", 400},
		{"no blank line", "old 33\n" + string(l.checkpoint(t, 33)[:20]), 400},
		{"no size", "old \n\n" + string(l.checkpoint(t, 33)), 400},
		{"leading zero", strings.Replace(size33, "old 33", "old 033", 1), 400},
		{"sign", strings.Replace(size33, "old 33", "old +33", 1), 400},
		{"another word", strings.Replace(size33, "old", "new", 1), 400},
		{"hash too short", strings.Replace(size34, "\n", "\nAAAA\n", 1), 400},
		{"64 hashes", "old 33\n" + strings.Repeat(base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n", 64) + "\n" + string(l.checkpoint(t, 34)), 400},
		{"too long", "old 33\n\n" + strings.Repeat("x", maxRequest), 400},
		{"size larger than the checkpoint's", l.ask(t, 34, 33), 400},
		{"another log", stranger.ask(t, 0, 1), 404},
		{"another key", impostor.ask(t, 33, 34), 403},
		{"signature cut off", size34[:len(size34)-20], 403},
		{"root no hash", "old 33\n\n" + string(l.sign(t, origin+"\n34\nAAAA\n")), 400},
		{"size no size", "old 33\n\n" + string(l.sign(t, origin+"\n034\n"+base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n")), 400},
		{"stale", l.ask(t, 10, 50), 409},
		{"from the beginning again", l.ask(t, 0, 50), 409},
		{"rolled back", l.ask(t, 10, 20), 409},
		{"fork of the same size", fork.ask(t, 33, 33), 409},
		{"fork that grew", fork.ask(t, 33, 50), 422},
		{"proof where none belongs", strings.Replace(size33, "\n", "\n"+base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n", 1), 422},
		{"proof left out", "old 33\n\n" + string(l.checkpoint(t, 34)), 422},
	} {
		u.expect(t, tt.name, tt.body, tt.status)
	}
	if got := u.expect(t, "known size", l.ask(t, 0, 50), 409); got != "33\n" {
		t.Errorf("the known size is told as %q", got)
	}
	if kind := u.post(l.ask(t, 0, 50)).Header().Get("Content-Type"); kind != "text/x.tlog.size" {
		t.Errorf("content type %q", kind)
	}
	if kind := u.post(fork.ask(t, 33, 33)).Header().Get("Content-Type"); kind == "text/x.tlog.size" {
		t.Error("a fork is answered like a stale size, which asks the log to try again")
	}
	if !strings.Contains(u.out.String(), "FORK") || strings.Contains(u.out.String(), "other.test") {
		t.Errorf("the witness' log: %s", u.out)
	}
	u.cosigns(t, l, 33, 50) // nothing of all this moved it
}

// cosigns expects a cosignature that verifies with the published key.
func (u *under) cosigns(tb testing.TB, l *signedLog, old, size int64) {
	tb.Helper()
	line := u.expect(tb, fmt.Sprintf("%d to %d", old, size), l.ask(tb, old, size), http.StatusOK)
	v, err := cosignature.NewVerifierForCosignatureV1(u.key.Public)
	if err != nil {
		tb.Fatal(err)
	}
	n, err := note.Open(append(l.checkpoint(tb, size), line...), note.VerifierList(v))
	if err != nil || len(n.Sigs) != 1 {
		tb.Fatalf("the cosignature %q does not verify: %v", line, err)
	}
	if at, err := cosignature.CoSigV1Timestamp(n.Sigs[0]); err != nil || at.Unix() < 1_700_000_000 {
		tb.Errorf("timestamp %v, %v", at, err)
	}
}

// TestNeverGoesBack: what was cosigned is known after a restart, and a folder has one witness.
func TestNeverGoesBack(t *testing.T) {
	t.Parallel()
	l := newLog(t, origin, numbered(0, 20)...)
	u := start(t, l)
	u.cosigns(t, l, 0, 20)
	if _, err := Open(Config{Dir: filepath.Join(u.dir, "seen"), Key: u.key, Logs: u.logs, Log: slog.Default()}); !errors.Is(err, ErrInUse) {
		t.Errorf("a second witness on the folder: %v", err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	u.open(t)
	u.expect(t, "the log begins anew", l.ask(t, 0, 5), http.StatusConflict)
	u.expect(t, "a fork", l.fork(t, numbered(100, 120)...).ask(t, 20, 20), http.StatusConflict)
	u.cosigns(t, l, 20, 20)

	// A kept checkpoint that was altered is not trusted.
	u.Close()
	files, err := filepath.Glob(filepath.Join(u.dir, "seen", "*.checkpoint"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.WriteFile(files[0], bytes.Replace(l.checkpoint(t, 20), []byte("\n20\n"), []byte("\n10\n"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: filepath.Join(u.dir, "seen"), Key: u.key, Logs: u.logs, Log: slog.Default()}); err == nil {
		t.Error("an altered memory is trusted")
	}
}

// TestKeepsBeforeItAnswers: where what was seen cannot be kept, nothing is cosigned.
func TestKeepsBeforeItAnswers(t *testing.T) {
	t.Parallel()
	l := newLog(t, origin, numbered(0, 20)...)
	u := start(t, l)
	if err := os.RemoveAll(filepath.Join(u.dir, "seen")); err != nil {
		t.Fatal(err)
	}
	u.expect(t, "no disk", l.ask(t, 0, 20), http.StatusInternalServerError)
	if err := os.Mkdir(filepath.Join(u.dir, "seen"), 0o750); err != nil {
		t.Fatal(err)
	}
	u.cosigns(t, l, 0, 5)
}

// TestTwoHeadsAtOnce: of two logs that claim the same place at the same time, one is cosigned.
func TestTwoHeadsAtOnce(t *testing.T) {
	t.Parallel()
	for range 30 {
		l := newLog(t, origin, numbered(0, 9)...)
		fork := l.fork(t, numbered(100, 109)...)
		u := start(t, l)
		var wait sync.WaitGroup
		statuses := make([]int, 2)
		for i, body := range []string{l.ask(t, 0, 9), fork.ask(t, 0, 9)} {
			wait.Go(func() { statuses[i] = u.post(body).Code })
		}
		wait.Wait()
		if statuses[0]+statuses[1] != http.StatusOK+http.StatusConflict {
			t.Fatalf("answers %v: want one 200 and one 409", statuses)
		}
	}
}

// TestMutatedRequests changes every bit of sound requests: none but the sound one is ever cosigned, and nothing moves the witness.
func TestMutatedRequests(t *testing.T) {
	t.Parallel()
	seed := uint64(environment("PRIVACYOPS_TEST_SEED", 1))
	random := mathrand.New(mathrand.NewPCG(seed, 6))
	runs, missed := 0, 0
	for range environment("PRIVACYOPS_TEST_PROOFS", 3) {
		size := 2 + random.Int64N(300)
		old := 1 + random.Int64N(size-1)
		l := newLog(t, origin, numbered(0, int(size))...)
		u := start(t, l)
		u.cosigns(t, l, 0, old)
		sound := l.ask(t, old, size)
		for bit := range len(sound) * 8 {
			bad := []byte(sound)
			bad[bit/8] ^= 1 << (bit % 8)
			runs++
			if status := u.post(string(bad)).Code; status < 400 || status >= 500 {
				missed++
				t.Errorf("size %d to %d, bit %d: %d", old, size, bit, status)
			}
		}
		u.cosigns(t, l, old, size)
	}
	t.Logf("seed %d: %d mutated requests, %d cosigned", seed, runs, missed)
}

func environment(name string, quick int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return quick
}

func TestAbout(t *testing.T) {
	t.Parallel()
	l := newLog(t, origin, "a")
	u := start(t, l)
	u.cosigns(t, l, 0, 1)
	rw := httptest.NewRecorder()
	u.ServeHTTP(rw, httptest.NewRequest(http.MethodGet, "/", nil))
	want := "witness witness.test\nkey " + u.key.Public + "\nlog audit.test/log seen 1\n"
	if rw.Code != http.StatusOK || rw.Body.String() != want {
		t.Errorf("%d %q, want %q", rw.Code, rw.Body, want)
	}
	rw = httptest.NewRecorder()
	u.ServeHTTP(rw, httptest.NewRequest(http.MethodGet, "/add-checkpoint", nil))
	if rw.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET add-checkpoint: %d", rw.Code)
	}
}

func TestOpenKey(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "witness.key")
	made, err := OpenKey(rand.Reader, file, "w.test")
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenKey(rand.Reader, file, "w.test")
	if err != nil || again.Public != made.Public {
		t.Errorf("read again: %q, %v", again.Public, err)
	}
	public, err := os.ReadFile(file + ".pub")
	if err != nil || strings.TrimSpace(string(public)) != made.Public {
		t.Errorf("public file %q, %v", public, err)
	}
	if _, err := OpenKey(rand.Reader, file, "other.test"); err == nil {
		t.Error("another witness' key is taken")
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKey(rand.Reader, file, "w.test"); err == nil {
		t.Error("a secret that others can read is taken")
	}
}

func FuzzParseRequest(f *testing.F) {
	l := newLog(f, origin, numbered(0, 9)...)
	f.Add([]byte(l.ask(f, 3, 9)))
	f.Add([]byte("old 0\n\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseRequest(body)
		if err != nil {
			return
		}
		again := fmt.Appendf(nil, "old %d\n", r.old)
		for _, h := range r.proof {
			again = fmt.Appendf(again, "%s\n", base64.StdEncoding.EncodeToString(h))
		}
		if again = append(append(again, '\n'), r.checkpoint...); !bytes.Equal(again, body) {
			t.Errorf("%q was read as %q", body, again)
		}
	})
}
