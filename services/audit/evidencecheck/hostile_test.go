package evidencecheck

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

// zipped makes a ZIP of members with the names, each with some words in it, which change makes other headers of.
func zipped(t testing.TB, change func(*zip.FileHeader), names ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, name := range names {
		h := &zip.FileHeader{Name: name, Method: zip.Store, CompressedSize64: 5, UncompressedSize64: 5}
		if change != nil {
			change(h)
		}
		to, err := z.CreateRaw(h)
		must(t, err)
		_, err = to.Write([]byte("words"))
		must(t, err)
	}
	must(t, z.Close())
	return out.Bytes()
}

// crowded is a ZIP whose list has that many members, none of which is there. Where it lies, its end tells of fewer.
func crowded(members int, lies bool) []byte {
	header := make([]byte, 46, 47)
	copy(header, "PK\x01\x02")
	header[28] = 1
	header = append(header, 'x')
	list := bytes.Repeat(header, members)
	end, word := make([]byte, 22), binary.LittleEndian
	copy(end, "PK\x05\x06")
	word.PutUint16(end[8:], uint16(members))
	word.PutUint16(end[10:], uint16(members))
	word.PutUint32(end[12:], uint32(len(list)))
	if lies {
		word.PutUint32(end[12:], 47*20)
	}
	return append(list, end...)
}

// TestHostileFiles: files that are made to harm who opens them are refused at once, with little memory, as what they are.
func TestHostileFiles(t *testing.T) { //nolint:paralleltest // it measures what is allocated
	manifest := dossier.ManifestPath
	long := make([]byte, 98) // the long end, its finder, and the short end that sends there
	copy(long, "PK\x06\x06")
	copy(long[76:], "PK\x05\x06")
	for i := 8; i < 20; i++ {
		long[76+i] = 0xff
	}
	for i := 32; i < 40; i++ {
		long[i] = 0xf0 // that many members
	}
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"a million members":          {crowded(1_000_000, false), "too many members"},
		"a million that are denied":  {crowded(1_000_000, true), ""},
		"more members than numbers":  {long, "too many members"},
		"a bomb":                     {zipped(t, func(h *zip.FileHeader) { h.UncompressedSize64 = 1 << 45 }, manifest), "unpack to more than it can"},
		"out of the folder":          {zipped(t, nil, manifest, "../../etc/passwd"), "somewhere else"},
		"from the root":              {zipped(t, nil, manifest, "/etc/passwd"), "somewhere else"},
		"a roundabout way":           {zipped(t, nil, manifest, "certificates/../../x"), "somewhere else"},
		"to another drive":           {zipped(t, nil, manifest, `C:\autoexec.bat`), "somewhere else"},
		"backwards for some":         {zipped(t, nil, manifest, `..\x`), "somewhere else"},
		"no name":                    {zipped(t, nil, manifest, ""), "somewhere else"},
		"twice":                      {zipped(t, nil, manifest, manifest), "twice"},
		"a package in a ZIP":         {zipped(t, nil, "evidence.zip"), ""},
		"a ZIP with nothing in it":   {zipped(t, nil), ""},
		"the end of a ZIP, no more":  {append(make([]byte, 10), "PK\x05\x06"...), ""},
		"a list that is pointed out": {append([]byte("PK\x05\x06"), bytes.Repeat([]byte{0xfe}, 18)...), ""},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := check(c.file, Trust{})
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want one that says %q", name, err, c.says)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
			t.Errorf("%s took %d KiB", name, used>>10)
		}
	}
}

// TestHostilePackages: those whose maker has a log of his own, so that all is signed, are refused too.
func TestHostilePackages(t *testing.T) { //nolint:paralleltest // it measures what is allocated
	w := newWorld(t, 4)
	many := strings.Repeat("{},", 10_000_000)
	for name, c := range map[string]struct {
		change func(string, []byte) []byte
		raw    func([]byte) []byte
		more   string
		says   string
		bound  uint64 // MiB
	}{
		"millions of files in the manifest": {raw: func(m []byte) []byte {
			return bytes.Replace(m, []byte(`"files": [`), []byte(`"files": [`+many), 1)
		}, says: "lists more than the package has", bound: 200},
		"a file that is no file of a package": {more: "setup.exe", says: "is no file of an evidence package", bound: 8},
		"a certificate's name that is none":   {more: "certificates/a.html", says: "is no file of an evidence package", bound: 8},
		"an entry of any length": {change: func(path string, raw []byte) []byte {
			if path == dossier.LeavesPath {
				return append(raw[:8:8], append([]byte{0x7f, 0xff, 0xff, 0xff}, raw[12:]...)...)
			}
			return raw
		}, says: "cannot be read behind", bound: 8},
		"a line of any length": {change: func(path string, raw []byte) []byte {
			if path == dossier.EventsPath {
				return bytes.Repeat([]byte{'a'}, 64<<20)
			}
			return raw
		}, says: "an event has no line", bound: 32},
		"a page of any length": {change: func(path string, raw []byte) []byte {
			if path == dossier.DanishPath {
				return append(raw, make([]byte, 64<<20)...)
			}
			return raw
		}, says: "larger than such a file can be", bound: 32},
	} {
		file := w.signed(c.change, c.raw, c.more)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := check(file, Trust{LogKeys: []string{w.key}})
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want one that says %q", name, err, c.says)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > c.bound<<20 {
			t.Errorf("%s took %d MiB", name, used>>20)
		}
	}
}

// signed makes the package anew like forged, with one member more where there is a name for it, and with a manifest that raw may turn
// into anything before it is signed.
func (w *world) signed(change func(string, []byte) []byte, raw func([]byte) []byte, more string) []byte {
	w.Helper()
	if change == nil {
		change = func(_ string, raw []byte) []byte { return raw }
	}
	file := w.forgedWith(change, nil, more)
	if raw != nil {
		return w.resigned(file, raw)
	}
	return file
}

// resigned puts another manifest in a package and signs that.
func (w *world) resigned(file []byte, raw func([]byte) []byte) []byte {
	w.Helper()
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	must(w, err)
	var out bytes.Buffer
	again := zip.NewWriter(&out)
	var manifest []byte
	for _, f := range z.File {
		switch f.Name {
		case dossier.ManifestPath:
			manifest = raw(w.content(f))
			w.store(again, f.Name, manifest)
		case dossier.SignaturePath:
			w.store(again, f.Name, w.note(dossier.SignedText(manifest)))
		default:
			must(w, again.Copy(f))
		}
	}
	must(w, again.Close())
	return out.Bytes()
}

func (w *world) content(f *zip.File) []byte {
	w.Helper()
	r, err := f.Open()
	must(w, err)
	raw, err := io.ReadAll(r)
	must(w, err)
	return raw
}

func (w *world) store(z *zip.Writer, path string, raw []byte) {
	w.Helper()
	to, err := z.CreateHeader(&zip.FileHeader{Name: path, Method: zip.Store, Modified: begin.AddDate(-46, 0, 0)})
	must(w, err)
	_, err = to.Write(raw)
	must(w, err)
}

// TestManyMembers: a package with more certificates than a ZIP of the short form can list is read as well.
func TestManyMembers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it lists 70,000 members; left out with -short")
	}
	var out bytes.Buffer
	to := dossier.NewWriter(&out)
	for i := range 70_000 {
		must(t, to.Member(fmt.Sprintf("%s%d.json", dossier.CertificateFolder, i), func(io.Writer) error { return nil }))
	}
	w := newWorld(t, 2)
	must(t, to.Finish(&dossier.Manifest{Format: dossier.Format}, w.signer))
	c, err := dossier.OpenContainer(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil || len(c.Members) != 70_002 {
		t.Fatal(len(c.Members), err)
	}
}
