package participant_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/participant"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// silent is a participant that is never asked.
type silent struct{ participant.Participant }

func TestNewRefusesAConfigurationThatIsNotWhole(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*participant.Config)
		want   string
	}{
		"no clock":         {func(c *participant.Config) { c.Clock = nil }, "clock and telemetry"},
		"no ledger":        {func(c *participant.Config) { c.LedgerDir = "" }, "ledger directory"},
		"no controllers":   {func(c *participant.Config) { c.Systems[0].Controllers = nil }, "name the controllers"},
		"a bad name":       {func(c *participant.Config) { c.Systems[0].Name = "../lms" }, "system name"},
		"a bad controller": {func(c *participant.Config) { c.Systems[0].Controllers = []string{"Skole A"} }, "controller id"},
		"a name twice":     {func(c *participant.Config) { c.Systems = append(c.Systems, c.Systems[0]) }, "two systems"},
		"nobody speaks": {func(c *participant.Config) {
			c.Native = []participant.System{{Name: "sis", Controllers: []string{"a"}}}
		}, "a participant is required"},
		"a database of no engine": {func(c *participant.Config) { c.Systems[0].Database = "mysql://u:secret@h/d" }, "a database is"},
		"a database that is gone": {func(c *participant.Config) { c.Systems[0].Database += ".gone" }, "learning-platform"},
		"a map that is gone":      {func(c *participant.Config) { c.Systems[0].DataMap += ".gone" }, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &suite{dir: t.TempDir()}
			cfg := s.config(t)
			c.change(&cfg)
			_, err := participant.New(t.Context(), cfg)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a word on %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Error("the error repeats the password of the database")
			}
		})
	}
}

func TestATypoInTheDataMapStopsTheStart(t *testing.T) {
	t.Parallel()
	s := &suite{dir: t.TempDir()}
	cfg := s.config(t)
	text := strings.Replace(string(sample.DataMap), "table: submission_files", "table: submission_fils", 1)
	if err := os.WriteFile(cfg.Systems[0].DataMap, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := participant.New(t.Context(), cfg)
	line := 1 + strings.Count(text[:strings.Index(text, "submission_fils")], "\n")
	want := sample.System + ".yaml:" + strconv.Itoa(line) + ":12: "
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `did you mean "submission_files"?`) {
		t.Errorf("got %v, want the place %q and what was meant", err, want)
	}
}

func TestTheLedgerIsForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	s := start(t)
	for path, want := range map[string]os.FileMode{"ledger": 0o700, filepath.Join("ledger", sample.System+".db"): 0o600} {
		info, err := os.Stat(filepath.Join(s.dir, path))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
}

// answering is a platform's own participant that says whether it answers.
type answering struct {
	silent
	err error
}

func (a *answering) Ready(context.Context) error { return a.err }

func TestReadyAsksWhoeverCanTell(t *testing.T) {
	t.Parallel()
	own := &answering{}
	s := start(t, func(c *participant.Config) {
		c.Native = []participant.System{{Name: "sis", Participant: own, Controllers: []string{sample.Controller}}}
		c.Wrap = func(_ string, p participant.Participant) participant.Participant { return silent{p} }
	})
	if err := s.service.Ready(t.Context()); err != nil {
		t.Errorf("ready systems: %v", err)
	}
	down := errors.New("no answer")
	own = &answering{err: down}
	cfg := (&suite{dir: t.TempDir()}).config(t)
	cfg.Native = []participant.System{{Name: "sis", Participant: own, Controllers: []string{sample.Controller}}}
	service, err := participant.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = service.Close() })
	if err := service.Ready(t.Context()); !errors.Is(err, down) || !strings.Contains(err.Error(), "sis") {
		t.Errorf("got %v, want the system that does not answer", err)
	}
}

func TestWrapSeesEverySystem(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	start(t, func(c *participant.Config) {
		c.Native = []participant.System{{Name: "sis", Participant: silent{}, Controllers: []string{sample.Controller}}}
		c.Wrap = func(name string, p participant.Participant) participant.Participant {
			seen[name] = true
			return p
		}
	})
	if !seen["sis"] || !seen[sample.System] || len(seen) != 2 {
		t.Errorf("wrapped %v", seen)
	}
}

// TestReadSystems: the list is read whole, by nobody but its owner, and a word that nobody knows is no setting.
func TestReadSystems(t *testing.T) {
	t.Parallel()
	const list = "- name: lms\n  dataMap: /maps/lms.yaml\n  database: postgres://reader@db/lms\n  controllers: [north, south]\n"
	for name, tc := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"as it should be":       {list, 0o600, ""},
		"everybody may read it": {list, 0o644, "mode"},
		"a word too many":       {list + "  colour: red\n", 0o600, "colour"},
		"no list":               {"name: lms\n", 0o600, "systems.yaml"},
	} {
		path := filepath.Join(t.TempDir(), "systems.yaml")
		if err := errors.Join(os.WriteFile(path, []byte(tc.text), 0o600), os.Chmod(path, tc.mode)); err != nil {
			t.Fatal(err)
		}
		got, err := participant.ReadSystems(path)
		if tc.want != "" {
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %v, want a word on %q", name, err, tc.want)
			}
			continue
		}
		want := []participant.SystemConfig{{Name: "lms", DataMap: "/maps/lms.yaml", Database: "postgres://reader@db/lms", Controllers: []string{"north", "south"}}}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}
