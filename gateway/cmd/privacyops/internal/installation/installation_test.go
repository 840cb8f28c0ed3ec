package installation_test

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/installation"
	"github.com/privacyops/privacyops/libs/certificate"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/server"
)

const day = 24 * time.Hour

// begin is when an installation of the tests is made.
var begin = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

// run makes an installation and returns what it said.
func run(t *testing.T, o installation.Options) ([]string, error) {
	t.Helper()
	var said []string
	o.Tell = func(line string) { said = append(said, line) }
	if o.Origin == "" {
		o.Origin = "audit.vendor.example/log"
	}
	if o.Now.IsZero() {
		o.Now = begin
	}
	err := installation.Make(o)
	return said, err
}

// contents reads all files of a folder, by name.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, path))
		out[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// changed names the files that differ.
func changed(before, after map[string]string) (names []string) {
	for name, content := range after {
		if before[name] != content {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func begun(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "installation")
	if _, err := run(t, installation.Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestEverybodyGetsTheirOwn: each process has what it needs, nobody has what signs certificates, and others see nothing.
func TestEverybodyGetsTheirOwn(t *testing.T) {
	t.Parallel()
	dir := begun(t)
	want := []string{"authority/authority.crt", "authority/authority.key", "made", "migrate/authority.crt",
		"audit/log.key", "audit/log.key.pub", "export/manifest.key", "export/manifest.pub", "erasure/certificate.key", "erasure/certificate.pub"}
	for _, name := range []string{"audit", "consent", "export", "erasure", "participant", "gateway", "postgres", "redis"} {
		want = append(want, name+"/authority.crt", name+"/"+name+".crt", name+"/"+name+".key")
		if name != "postgres" && name != "redis" {
			want = append(want, name+"/master.key")
		}
	}
	files := contents(t, dir)
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(maps.Keys(files))); diff != "" {
		t.Error(diff)
	}
	signing := strings.TrimSpace(files["authority/authority.key"])
	for name, content := range files {
		if name != "authority/authority.key" && strings.Contains(content, signing) {
			t.Errorf("%s holds the authority's key", name)
		}
		if strings.HasSuffix(name, "/master.key") && content != files["audit/master.key"] {
			t.Errorf("%s is another master key", name)
		}
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm() != map[bool]fs.FileMode{true: 0o700, false: 0o600}[d.IsDir()] {
			t.Errorf("%s has mode %04o", path, info.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestServicesTakeWhatWasMade: the readers of the services read it.
func TestServicesTakeWhatWasMade(t *testing.T) {
	t.Parallel()
	dir := begun(t)
	for _, name := range []string{"audit", "consent", "export", "erasure", "participant", "gateway"} {
		files := server.In(filepath.Join(dir, name), name)
		if _, err := files.ServerTLS(); err != nil {
			t.Error(err)
		}
		if _, err := files.ClientTLS("audit"); err != nil {
			t.Error(err)
		}
		if _, err := keyring.Open(filepath.Join(dir, name, "master.key")); err != nil {
			t.Error(err)
		}
	}
	for file, name := range map[string]string{"audit/log.key": "audit.vendor.example/log", "export/manifest.key": "privacyops.internal/exports",
		"erasure/certificate.key": "privacyops.internal/certificates"} {
		secret, err := keyring.ReadSecret(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if signer, err := note.NewSigner(secret); err != nil || signer.Name() != name {
			t.Errorf("%s is no key of %s: %v", file, name, err)
		}
	}
	secret, err := keyring.ReadSecret(filepath.Join(dir, "erasure/certificate.key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certificate.ParseSigner(secret); err != nil {
		t.Error(err)
	}
}

// TestRunAgain: nothing that lasts is ever replaced; certificates are, when it is time.
func TestRunAgain(t *testing.T) {
	t.Parallel()
	var certificates []string
	for _, name := range []string{"audit", "consent", "erasure", "export", "gateway", "participant", "postgres", "redis"} {
		certificates = append(certificates, name+"/"+name+".crt", name+"/"+name+".key")
	}
	for name, tc := range map[string]struct {
		options installation.Options
		want    []string
	}{
		"the next day":         {installation.Options{Now: begin.Add(day)}, nil},
		"31 days before":       {installation.Options{Now: begin.Add(334*day - time.Hour)}, nil},
		"29 days before":       {installation.Options{Now: begin.Add(336 * day)}, certificates},
		"when asked to":        {installation.Options{Now: begin.Add(day), Renew: true}, certificates},
		"another name for one": {installation.Options{Now: begin.Add(day), Names: map[string][]string{"redis": {"redis.data"}}}, []string{"redis/redis.crt", "redis/redis.key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.options.Dir = begun(t)
			before := contents(t, tc.options.Dir)
			said, err := run(t, tc.options)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, changed(before, contents(t, tc.options.Dir))); diff != "" {
				t.Error(diff)
			}
			if !slices.Contains(said, "kept  master.key") || slices.Contains(said, "made  redis/redis.crt, which lasts a year") != (tc.want != nil) {
				t.Errorf("it said %q", said)
			}
		})
	}
}

// TestWhatIsLost: a copy is made again; what nothing can replace is not replaced, and nothing else is touched then.
func TestWhatIsLost(t *testing.T) {
	t.Parallel()
	remove := func(names ...string) func(dir string) error {
		return func(dir string) error {
			for _, n := range names {
				if err := os.Remove(filepath.Join(dir, n)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	masters := []string{"audit/master.key", "consent/master.key", "export/master.key", "erasure/master.key", "participant/master.key", "gateway/master.key"}
	for name, tc := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"one copy of the master key":   {remove("gateway/master.key"), ""},
		"a certificate":                {remove("export/export.crt"), ""},
		"all copies of the master key": {remove(masters...), "master.key"},
		"the key of certificates":      {remove("erasure/certificate.key"), "erasure/certificate.key"},
		"the key of manifests":         {remove("export/manifest.key"), "export/manifest.key"},
		"the key of the log":           {remove("audit/log.key"), "audit/log.key"},
		"the authority's key":          {remove("authority/authority.key"), "authority.key"},
		"two master keys": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "audit/master.key"), bytes.Repeat([]byte("A"), 43), 0o600)
		}, "another key"},
		"a secret that everybody can read":   {func(dir string) error { return os.Chmod(filepath.Join(dir, "export/manifest.key"), 0o644) }, "by others"},
		"a folder that everybody looks into": {func(dir string) error { return os.Chmod(filepath.Join(dir, "export"), 0o755) }, "0700"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := begun(t)
			whole := contents(t, dir)
			if err := tc.spoil(dir); err != nil {
				t.Fatal(err)
			}
			before := contents(t, dir)
			_, err := run(t, installation.Options{Dir: dir, Renew: tc.want != "" && tc.want != "authority.key"})
			after := contents(t, dir)
			if tc.want == "" {
				if err != nil || len(after) != len(whole) || after["gateway/master.key"] != whole["gateway/master.key"] {
					t.Errorf("it was not mended: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want a word on %s", err, tc.want)
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("something was changed: %s", diff)
			}
		})
	}
}

// TestNamesStay: who runs it again need not say the names again; who says others, or none, gets those.
func TestNamesStay(t *testing.T) {
	t.Parallel()
	dir := begun(t)
	for _, tc := range []struct {
		options installation.Options
		want    []string
	}{
		{installation.Options{Names: map[string][]string{"gateway": {"privacy.vendor.example", "privacy.local"}}}, []string{"privacy.vendor.example", "privacy.local"}},
		{installation.Options{}, []string{"privacy.vendor.example", "privacy.local"}},
		{installation.Options{Renew: true}, []string{"privacy.vendor.example", "privacy.local"}},
		{installation.Options{Names: map[string][]string{"gateway": {"privacy.local"}}}, []string{"privacy.local"}},
		{installation.Options{Names: map[string][]string{"gateway": nil}}, nil},
	} {
		tc.options.Dir = dir
		if _, err := run(t, tc.options); err != nil {
			t.Fatal(err)
		}
		if got := server.Names(filepath.Join(dir, "gateway"), "gateway"); !slices.Equal(got, tc.want) {
			t.Errorf("the certificate has %q, want %q", got, tc.want)
		}
	}
}

// TestNamesOfNobody are refused.
func TestNamesOfNobody(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "installation")
	if _, err := run(t, installation.Options{Dir: dir, Names: map[string][]string{"mail": {"mail.example"}}}); err == nil {
		t.Error("a certificate for nobody was ordered, and nobody said so")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was made all the same")
	}
}
