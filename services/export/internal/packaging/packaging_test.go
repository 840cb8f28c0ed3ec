package packaging

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/services/export/internal/export"
)

const fileID = export.FileID("0190d3c0-0000-7000-8000-000000000001")

var when = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func folder(t *testing.T) *Folder {
	t.Helper()
	private, _, err := note.GenerateKey(nil, "exports.test")
	check(t, err)
	f, err := Open(t.TempDir(), private)
	check(t, err)
	return f
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pack makes a package of one system's records, given as dataset and object by turns.
func pack(t *testing.T, f *Folder, to string, columns map[string][]string, records ...string) (export.Package, string) {
	t.Helper()
	d, err := f.Create(context.Background(), fileID, to, when)
	check(t, err)
	defer d.Abort()
	in, err := d.Intake("lms")
	check(t, err)
	defer in.Drop()
	for pair := range slices.Chunk(records, 2) {
		check(t, in.Record(pair[0], []byte(pair[1])))
	}
	check(t, in.Keep(columns))
	p, secret, err := d.Finish(&export.Manifest{Format: export.Format})
	check(t, err)
	return p, secret
}

func open(t *testing.T, f *Folder, p export.Package, secret string) map[string]string {
	t.Helper()
	r, err := f.Read(p.File, secret)
	check(t, err)
	defer r.Close()
	z, err := zip.NewReader(r, r.Size())
	check(t, err)
	out := map[string]string{}
	for _, e := range z.File {
		in, err := e.Open()
		check(t, err)
		text, err := io.ReadAll(in)
		check(t, err)
		out[e.Name] = string(text)
	}
	return out
}

func TestHostileNames(t *testing.T) {
	t.Parallel()
	hostile := []string{
		"../../etc/passwd", "..", ".", "/abs", `..\..\win`, "CON", "nul.txt", "a\x00b", "Æbler/og pærer", strings.Repeat("x", 300),
		"=cmd()", "a b", "con", "A", "a", "a:b", "trailing.", "\u202Egpj.exe", "....//....//x", "-rf", "<script>",
	}
	var records []string
	for _, name := range hostile {
		records = append(records, name, `{"x":1}`)
	}
	f := folder(t)
	p, secret := pack(t, f, "", nil, records...)
	files := open(t, f, p, secret)
	if got, want := len(files), 2*len(hostile)+3; got != want {
		t.Errorf("%d files, want %d", got, want)
	}
	folded := map[string]bool{}
	for name := range files {
		if !filepath.IsLocal(name) || filepath.Clean(name) != name || strings.ContainsAny(name, "\\:*?\"<>|\x00 ") || len(name) > 120 {
			t.Errorf("hostile file name %q", name)
		}
		stem, _, _ := strings.Cut(filepath.Base(name), ".")
		if reserved[strings.ToLower(stem)] || folded[strings.ToLower(name)] {
			t.Errorf("%q is a device, or twice on a file system that ignores case", name)
		}
		folded[strings.ToLower(name)] = true
	}
}

func TestCells(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "plain": "plain", "=1+1": "'=1+1", "+45 12": "'+45 12", "-5": "'-5", "@SUM": "'@SUM", "\tx": "'\tx", "\rx": "'\rx",
		"\nx": "'\nx", "\x00=": "'\x00=", "＝1": "'＝1", "＠x": "'＠x", "'=1": "'=1", "a=1": "a=1", "ø=": "ø=", "\xff=": "\xff=",
	} {
		if got := harmless(in); got != want {
			t.Errorf("harmless(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	f := folder(t)
	p, secret := pack(t, f, "", map[string][]string{"d": {"b", "=a", "b"}},
		"d", `{"=a":"one; =two","extra":[1, 2]}`,
		"d", `{"b":null,"=a":"say \"hi\"\nthere","b":true}`)
	files := open(t, f, p, secret)
	text, found := strings.CutPrefix(files["data/lms/d.csv"], byteOrderMark)
	if !found {
		t.Error("no byte order mark")
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	check(t, err)
	want := [][]string{{"b", "'=a", "extra"}, {"", "one; =two", "[1,2]"}, {"true", "say \"hi\"\nthere", ""}}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
	// A program that splits at semicolons must not find a cell that begins with the formula.
	for _, part := range strings.Split(text, ";") {
		if strings.HasPrefix(part, "=") {
			t.Errorf("split at semicolons, a cell is %q", part)
		}
	}
	var array []json.RawMessage
	check(t, json.Unmarshal([]byte(files["data/lms/d.json"]), &array))
	if len(array) != 2 || string(array[1]) != `{"b":null,"=a":"say \"hi\"\nthere","b":true}` {
		t.Errorf("JSON: %s", array)
	}
}

func FuzzTable(f *testing.F) {
	f.Add("a", "=1", "b")
	f.Add("=x", "-1\r\n", "\"")
	f.Fuzz(func(t *testing.T, column, value, other string) {
		object, err := json.Marshal(map[string]string{column: value, "other": other})
		check(t, err)
		set := newColumnSet(maxColumns)
		check(t, set.learn(object))
		var out bytes.Buffer
		check(t, writeCSV(&out, set.order(nil), func(fn func([]byte) error) error { return fn(object) }))
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(out.String(), byteOrderMark))).ReadAll()
		if err != nil || len(rows) != 2 || len(rows[0]) != len(rows[1]) {
			t.Fatalf("not a table of two rows: %v, %v", rows, err)
		}
		for _, cell := range slices.Concat(rows...) {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r\n\x00") {
				t.Errorf("a cell begins as a formula: %q", cell)
			}
		}
	})
}

func FuzzMembers(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1}`, ` { "a" : [1,{"b":"}"}] , "c\\" : "\"," } `, `{"a":"\u0041\\"}`, `{"a":tru}`, `{"a":1,}`, `{"a"`, `{"":null,"":{}}`, `[]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, object []byte) {
		got := map[string]any{}
		err := members(object, func(name string, value []byte) error {
			var v any
			if err := json.Unmarshal(value, &v); err != nil {
				return err
			}
			if s, ok := v.(string); ok && utf8.Valid(value) && cell(value) != s {
				t.Errorf("cell of %q is %q", value, cell(value))
			}
			got[name] = v
			return nil
		})
		var want map[string]any
		if json.Unmarshal(object, &want) != nil || want == nil || !utf8.Valid(object) {
			return // only JSON objects in UTF-8 get here; for others it is enough not to fail badly
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q (%v): %s", object, err, diff)
		}
	})
}

func TestAlteredPackageDoesNotOpen(t *testing.T) {
	t.Parallel()
	f := folder(t)
	p, secret := pack(t, f, "", nil, "d", `{"x":1}`)
	path, err := f.path(p.File)
	check(t, err)
	whole, err := os.ReadFile(path)
	check(t, err)
	for _, at := range []int{10, len(whole) / 2, len(whole) - 1} {
		damaged := slices.Clone(whole)
		damaged[at] ^= 1
		check(t, os.WriteFile(path, damaged, 0o600))
		if r, err := f.Read(p.File, secret); err == nil {
			if _, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size())); err == nil {
				t.Errorf("byte %d altered, and nobody noticed", at)
			}
			r.Close()
		}
	}
	check(t, os.WriteFile(path, whole[:len(whole)-40], 0o600))
	if _, err := f.Read(p.File, secret); err == nil {
		t.Error("a package that is cut short opens")
	}
	other, err := age.GenerateX25519Identity()
	check(t, err)
	if _, err := f.Read(p.File, other.String()); err == nil {
		t.Error("another key opens the package")
	}
}

func TestRecipients(t *testing.T) {
	t.Parallel()
	x, err := age.GenerateX25519Identity()
	check(t, err)
	h, err := age.GenerateHybridIdentity()
	check(t, err)
	for to, identity := range map[string]age.Identity{x.Recipient().String(): x, h.Recipient().String(): h} {
		f := folder(t)
		if !ValidRecipient(to) {
			t.Fatalf("recipient %.12s… is refused", to)
		}
		p, secret := pack(t, f, to, nil, "d", `{"x":1}`)
		if secret != "" || p.ContentType != Age {
			t.Errorf("secret %q, type %s", secret, p.ContentType)
		}
		r, err := f.Read(p.File, "")
		check(t, err)
		if _, err := age.Decrypt(io.NewSectionReader(r, 0, r.Size()), identity); err != nil {
			t.Errorf("the recipient cannot open it: %v", err)
		}
		r.Close()
	}
	if ValidRecipient("age1xyz") || ValidRecipient("") || ValidRecipient(x.String()) {
		t.Error("what is no recipient passes")
	}
}

func TestAbandonedDraftLeavesNothing(t *testing.T) {
	t.Parallel()
	f := folder(t)
	ctx, cancel := context.WithCancel(context.Background())
	d, err := f.Create(ctx, fileID, "", when)
	check(t, err)
	in, err := d.Intake("lms")
	check(t, err)
	cancel()
	if err := in.Record("d", []byte(`{"x":1}`)); err == nil {
		t.Error("a draft goes on after its context has ended")
	}
	if _, _, err := d.Finish(&export.Manifest{}); err == nil {
		t.Error("a package was finished after its context has ended")
	}
	in.Drop()
	d.Abort()
	if left, err := os.ReadDir(f.dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v (%v)", left, err)
	}
}

func TestFileNamesAreOurs(t *testing.T) {
	t.Parallel()
	f := folder(t)
	for _, id := range []export.FileID{"", "../x", "a/b", "0190d3c0-0000-7000-8000-00000000000g"} {
		if _, err := f.Create(context.Background(), id, "", when); err == nil {
			t.Errorf("file %q was created", id)
		}
		if err := f.Remove(context.Background(), id); err == nil {
			t.Errorf("file %q was removed", id)
		}
	}
	check(t, f.Remove(context.Background(), fileID)) // one that is not there
}
