package certificate_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gowebpki/jcs"
	tlogfmt "github.com/transparency-dev/formats/log"

	"github.com/privacyops/privacyops/libs/certificate"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGolden(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	golden := filepath.Join("testdata", "certificate.json")
	if *update {
		if err := os.WriteFile(golden, f.file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(f.file)); diff != "" {
		t.Errorf("issued file differs from the golden one (-want +got):\n%s", diff)
	}
	report, err := certificate.Verify(want, f.trust())
	if err != nil {
		t.Fatal(err)
	}
	if !report.Pinned || report.Origin != logName || report.Index != 11 || report.TreeSize != 23 || len(report.Passed) != 8 {
		t.Errorf("report = %+v", report)
	}
	if diff := cmp.Diff(statement(), report.Statement); diff != "" {
		t.Errorf("statement changed on its way (-issued +verified):\n%s", diff)
	}
}

// TestEveryByte changes each byte of a certificate in four ways. It does not pin keys: the file alone must show the change.
func TestEveryByte(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	survived := 0
	try := func(i int, b byte) {
		if b == f.file[i] {
			return
		}
		changed := bytes.Clone(f.file)
		changed[i] = b
		_, err := certificate.Verify(changed, certificate.Trust{})
		var failed *certificate.VerifyError
		switch {
		case err == nil:
			survived++
			t.Errorf("byte %d: %q became %q and still verifies", i, f.file[i], b)
		case !errors.As(err, &failed) && !errors.Is(err, certificate.ErrUnusable):
			t.Errorf("byte %d: unexpected error %v", i, err)
		}
	}
	for i, b := range f.file {
		for _, mask := range []byte{0x01, 0x20, 0x80} {
			try(i, b^mask)
		}
		try(i, ' '+(b-' '+13+byte(i%71))%95)
	}
	t.Logf("%d bytes, 4 changes each, %d survived", len(f.file), survived)
}

func TestTruncatedAndExtended(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for n := range f.file {
		if _, err := certificate.Verify(f.file[:n], certificate.Trust{}); err == nil {
			t.Fatalf("the first %d bytes verify", n)
		}
	}
	for _, tail := range []string{"\n", " ", "{}", "\x00", string(f.file)} {
		if _, err := certificate.Verify(append(bytes.Clone(f.file), tail...), certificate.Trust{}); err == nil {
			t.Errorf("the file verifies with %q after it", tail)
		}
	}
}

// leaves calls visit with a function that replaces one value at a time, for every scalar below v.
func leaves(path string, v any, set func(any), visit func(path string, old any, set func(any))) {
	switch v := v.(type) {
	case map[string]any:
		for k, child := range v {
			leaves(path+"."+k, child, func(n any) { v[k] = n }, visit)
		}
	case []any:
		for i, child := range v {
			leaves(path+"[]", child, func(n any) { v[i] = n }, visit)
		}
	default:
		visit(path, v, set)
	}
}

// TestEveryField changes each value, writes the file canonically again and expects the signature to notice.
func TestEveryField(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var doc map[string]any
	if err := json.Unmarshal(f.file, &doc); err != nil {
		t.Fatal(err)
	}
	fields := 0
	leaves("", doc, nil, func(path string, old any, set func(any)) {
		fields++
		var replacements []any
		switch old := old.(type) {
		case string:
			replacements = []any{old + "A", "", "2026-01-01T00:00:00Z", "QUFBQQ=="}
		case float64:
			replacements = []any{old + 1, 0.0, 1e15}
		default:
			t.Fatalf("%s: unexpected %T", path, old)
		}
		for _, replacement := range replacements {
			if replacement == old {
				continue
			}
			set(replacement)
			raw, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			set(old)
			canonical, err := jcs.Transform(raw)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := certificate.Verify(append(canonical, '\n'), certificate.Trust{}); err == nil {
				t.Errorf("%s: %v became %v and still verifies", path, old, replacement)
			}
		}
	})
	if fields < 80 {
		t.Errorf("only %d fields were changed", fields)
	}
}

func TestUnusable(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"empty":         "",
		"text":          "hello\n",
		"other json":    `{"a":1}`,
		"later version": `{"format":"privacyops-erasure-certificate/v2"}`,
		"too large":     `"privacyops-erasure-certificate/v1"` + strings.Repeat(" ", certificate.MaxSize),
	} {
		if _, err := certificate.Verify([]byte(in), certificate.Trust{}); !errors.Is(err, certificate.ErrUnusable) {
			t.Errorf("%s: error = %v, want ErrUnusable", name, err)
		}
	}
	f := newFixture(t)
	for _, bad := range []string{"", "x", f.signer.VerifierKey() + "A", strings.ToUpper(f.log.key)} {
		_, err := certificate.Verify(f.file, certificate.Trust{LogKeys: []string{bad}})
		if !errors.Is(err, certificate.ErrTrust) {
			t.Errorf("pinned key %q: error = %v, want ErrTrust", bad, err)
		}
	}
}

// TestEncoding rewrites the file in ways that most JSON readers take for the same document.
func TestEncoding(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	replaceOnce := func(old, replacement string) []byte {
		if !bytes.Contains(f.file, []byte(old)) {
			t.Fatalf("the file has no %q", old)
		}
		return bytes.Replace(f.file, []byte(old), []byte(replacement), 1)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, f.file, "", " "); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{
		"indented":             indented.Bytes(),
		"no line feed":         bytes.TrimSpace(f.file),
		"carriage return":      append(bytes.TrimSpace(f.file), "\r\n"...),
		"doubled member":       replaceOnce(`"channel":"MANUAL"`, `"channel":"MANUAL","channel":"MANUAL"`),
		"shadowing member":     replaceOnce(`"channel":"MANUAL"`, `"Channel":"ROSTER","channel":"MANUAL"`),
		"unknown member":       replaceOnce(`"channel":`, `"approved":true,"channel":`),
		"name in other case":   replaceOnce(`"channel":`, `"CHANNEL":`),
		"number as float":      replaceOnce(`"index":11`, `"index":11.0`),
		"number with exponent": replaceOnce(`"located":400`, `"located":4e2`),
		"number beyond 2^53":   replaceOnce(`"located":400`, `"located":9007199254740993`),
		"tree size beyond":     replaceOnce(`"treeSize":23`, `"treeSize":9007199254740993`),
		"negative number":      replaceOnce(`"located":400`, `"located":-400`),
		"number as string":     replaceOnce(`"index":11`, `"index":"11"`),
		"escaped letter":       replaceOnce(`"MANUAL"`, `"\u004dANUAL"`),
		"escaped slash":        replaceOnce(`controllers/north`, `controllers\/north`),
		"time with offset":     replaceOnce(`"2026-11-21T09:00:00Z"`, `"2026-11-21T10:00:00+01:00"`),
		"time with zeros":      replaceOnce(`"2026-11-21T09:00:00Z"`, `"2026-11-21T09:00:00.000Z"`),
		"null list":            replaceOnce(`"keptArticle":""`, `"keptArticle":null`),
		"bad UTF-8":            replaceOnce("æøå", "\xff\xfe"),
		"base64 line break":    replaceOnce(`"leaf":"`, `"leaf":"\n`),
	} {
		_, err := certificate.Verify(file, certificate.Trust{})
		var failed *certificate.VerifyError
		if !errors.As(err, &failed) || failed.Check != certificate.CheckEncoding {
			t.Errorf("%s: error = %v, want a failed %s", name, err, certificate.CheckEncoding)
		}
	}
}

// TestBase64TrailingBits sets the bits that the last base64 digit of the signature does not use.
func TestBase64TrailingBits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var c certificate.Certificate
	if err := json.Unmarshal(f.file, &c); err != nil {
		t.Fatal(err)
	}
	good := base64.StdEncoding.EncodeToString(c.Signature.Value) // 64 bytes: two digits of padding, four unused bits
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := good[len(good)-3]
	next := digits[strings.IndexByte(digits, last)+1]
	bad := good[:len(good)-3] + string(next) + "=="
	if same, err := base64.StdEncoding.DecodeString(bad); err != nil || !bytes.Equal(same, c.Signature.Value) {
		t.Fatal("the changed text does not decode to the same signature; the test proves nothing")
	}
	file := bytes.Replace(f.file, []byte(good), []byte(bad), 1)
	if _, err := certificate.Verify(file, f.trust()); err == nil {
		t.Error("a signature with unused bits set verifies")
	}
}

func TestKeySubstitution(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	// Somebody else signs the same statement under the same name, and keeps a log of their own under the same name.
	other := newSigner(t, signerName, 9)
	otherLog := newLog(t, logName, 8)
	for range 3 {
		otherLog.add(leaf(t, f.statement))
	}
	forged, err := certificate.Issue(f.statement, otherLog.prove(1), other)
	if err != nil {
		t.Fatal(err)
	}
	report, err := certificate.Verify(forged, certificate.Trust{})
	if err != nil || report.Pinned {
		t.Errorf("unpinned: pinned = %v, error = %v; want a whole file whose maker is not known", report.Pinned, err)
	}
	for _, tc := range []struct {
		name  string
		trust certificate.Trust
		want  certificate.Check
	}{
		{"both pinned", f.trust(), certificate.CheckSigningKey},
		{"certificate key pinned", certificate.Trust{CertificateKeys: f.trust().CertificateKeys}, certificate.CheckSigningKey},
		{"log key pinned", certificate.Trust{LogKeys: f.trust().LogKeys}, certificate.CheckLogKey},
	} {
		_, err := certificate.Verify(forged, tc.trust)
		wantCheck(t, tc.name, err, tc.want)
	}
	// With both keys of the forger beside ours, the forger is trusted: rotation of keys works like this.
	both := certificate.Trust{
		CertificateKeys: []string{f.signer.VerifierKey(), other.VerifierKey()},
		LogKeys:         []string{f.log.key, otherLog.key},
	}
	if report, err := certificate.Verify(forged, both); err != nil || !report.Pinned {
		t.Errorf("second pinned key: pinned = %v, error = %v", report.Pinned, err)
	}
}

func wantCheck(t *testing.T, name string, err error, want certificate.Check) {
	t.Helper()
	var failed *certificate.VerifyError
	if !errors.As(err, &failed) || failed.Check != want {
		t.Errorf("%s: error = %v, want a failed %s", name, err, want)
	}
}

// TestDishonestIssuer signs, with the right key, what the log does not bear out.
func TestDishonestIssuer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	another := newLog(t, "another.example/log", 2)
	for _, e := range f.log.entries {
		another.add(e)
	}
	oldHead := f.log.checkpoint(logName, 20)
	for _, tc := range []struct {
		name   string
		change func(*certificate.Statement, *certificate.Log)
		want   certificate.Check
	}{
		{"statement changed after it was logged", func(s *certificate.Statement, _ *certificate.Log) { s.Ground = "UNLAWFUL" }, certificate.CheckLeaf},
		{"proof of another leaf", func(_ *certificate.Statement, l *certificate.Log) { *l = f.log.prove(12) }, certificate.CheckLeaf},
		{"hashes of another leaf", func(_ *certificate.Statement, l *certificate.Log) { l.Hashes = f.log.prove(12).Hashes }, certificate.CheckInclusion},
		{"another index", func(_ *certificate.Statement, l *certificate.Log) { l.Index = 10 }, certificate.CheckInclusion},
		{"index beyond the tree", func(_ *certificate.Statement, l *certificate.Log) { l.Index = 23 }, certificate.CheckInclusion},
		{"no hashes", func(_ *certificate.Statement, l *certificate.Log) { l.Hashes = nil }, certificate.CheckInclusion},
		{"a hash too many", func(_ *certificate.Statement, l *certificate.Log) { l.Hashes = append(l.Hashes, l.Hashes[0]) }, certificate.CheckInclusion},
		{"a leaf that was never logged", func(s *certificate.Statement, l *certificate.Log) { l.Leaf = append([]byte(" "), leaf(t, *s)...) }, certificate.CheckInclusion},
		{"tree size of another checkpoint", func(_ *certificate.Statement, l *certificate.Log) { l.Checkpoint = oldHead }, certificate.CheckCheckpoint},
		{"checkpoint of another log", func(_ *certificate.Statement, l *certificate.Log) { l.Checkpoint = another.prove(11).Checkpoint }, certificate.CheckCheckpoint},
		{"checkpoint under another origin", func(_ *certificate.Statement, l *certificate.Log) {
			l.Checkpoint = f.log.checkpoint("other.example/audit", 23)
		}, certificate.CheckCheckpoint},
		{"checkpoint of a short hash", func(_ *certificate.Statement, l *certificate.Log) {
			l.Checkpoint = f.log.signed(tlogfmt.Checkpoint{Origin: logName, Size: 23, Hash: []byte("short")})
		}, certificate.CheckCheckpoint},
		{"checkpoint without signature", func(_ *certificate.Statement, l *certificate.Log) {
			l.Checkpoint, _, _ = strings.Cut(l.Checkpoint, "—")
		}, certificate.CheckCheckpoint},
		{"log key of nonsense", func(_ *certificate.Statement, l *certificate.Log) { l.Key = "nonsense" }, certificate.CheckLogKey},
		{"log key in capitals", func(_ *certificate.Statement, l *certificate.Log) { l.Key = capitalHash(l.Key) }, certificate.CheckLogKey},
		{"index beyond 2^53", func(_ *certificate.Statement, l *certificate.Log) { l.Index = 1 << 54 }, certificate.CheckEncoding},
	} {
		s, l := statement(), f.proof
		l.Hashes = append([][]byte(nil), l.Hashes...)
		tc.change(&s, &l)
		_, err := certificate.Issue(s, l, f.signer)
		wantCheck(t, tc.name, err, tc.want)
	}
}

// capitalHash writes the key's hash in capitals, which another reader of such keys would accept.
func capitalHash(key string) string {
	parts := strings.SplitN(key, "+", 3)
	return parts[0] + "+" + strings.ToUpper(parts[1]) + "+" + parts[2]
}

func TestLeafForms(t *testing.T) {
	t.Parallel()
	s := statement()
	hash, err := certificate.StatementHash(s)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		leaf string
		ok   bool
	}{
		"plain":               {`{"detail":{"statementSha256":"` + hash + `"}}`, true},
		"with spaces":         {` { "detail" : { "statementSha256" : "` + hash + `" } } `, true},
		"not json":            {`detail: ` + hash, false},
		"a list":              {`["` + hash + `"]`, false},
		"no detail":           {`{"statementSha256":"` + hash + `"}`, false},
		"detail no object":    {`{"detail":"` + hash + `"}`, false},
		"other case":          {`{"Detail":{"statementSha256":"` + hash + `"}}`, false},
		"doubled detail":      {`{"detail":{"statementSha256":"x"},"detail":{"statementSha256":"` + hash + `"}}`, false},
		"doubled hash":        {`{"detail":{"statementSha256":"x","statementSha256":"` + hash + `"}}`, false},
		"hash in capitals":    {`{"detail":{"statementSha256":"` + strings.ToUpper(hash) + `"}}`, false},
		"hash of another one": {`{"detail":{"statementSha256":"` + strings.Repeat("0", 64) + `"}}`, false},
		"more after it":       {`{"detail":{"statementSha256":"` + hash + `"}}{}`, false},
	} {
		log := newLog(t, logName, 2)
		log.add([]byte(tc.leaf))
		_, err := certificate.Issue(s, log.prove(0), newSigner(t, signerName, 1))
		if tc.ok && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !tc.ok {
			wantCheck(t, name, err, certificate.CheckLeaf)
		}
	}
}
