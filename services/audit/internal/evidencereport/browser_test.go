package evidencereport_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/privacyops/privacyops/services/audit/internal/evidencereport"
)

// TestInBrowser opens the report in Chromium without a head, as wide as a desk and as a telephone, and looks for what its charts draw.
// The same page without its drawings, and a blank one, must not pass. It is one language, whichever, or with PRIVACYOPS_TEST_LANGUAGES=all each:
//
//	PRIVACYOPS_TEST_LANGUAGES=all go test -run InBrowser ./services/audit/internal/evidencereport
func TestInBrowser(t *testing.T) {
	t.Parallel()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium on this machine to open the report in")
	}
	languages := []string{"da", "en"}
	if os.Getenv("PRIVACYOPS_TEST_LANGUAGES") != "all" {
		languages = []string{languages[rand.IntN(len(languages))]}
		t.Logf("in %q", languages)
	}
	for _, language := range languages {
		page := render(t, func(w io.Writer) error {
			return evidencereport.Reporter{}.Page(w, manifest(language), figures(), language)
		})
		for _, width := range []int{1200, 500} { // a window of Chromium's is never narrower
			name := fmt.Sprintf("report.%s.%d.png", language, width)
			if err := drawn(page, screenshot(t, browser, page, width, name)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		hidden := bytes.Replace(page, []byte("</style>"), []byte("svg { visibility: hidden; }</style>"), 1)
		if drawn(page, screenshot(t, browser, hidden, 1200, "")) == nil {
			t.Error("a report whose charts are not drawn passes")
		}
		if drawn(page, screenshot(t, browser, []byte("<!doctype html><title>blank</title>"), 1200, "")) == nil {
			t.Error("a blank page passes")
		}
	}
}

// screenshot opens a page. With KEEP_SCREENSHOTS, a folder, the picture stays there under the name.
func screenshot(t *testing.T, browser string, page []byte, width int, name string) image.Image {
	t.Helper()
	dir := t.TempDir()
	file, shot := filepath.Join(dir, "page.html"), filepath.Join(dir, "page.png")
	if err := os.WriteFile(file, page, 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1",
		"--user-data-dir="+filepath.Join(dir, "profile"), fmt.Sprintf("--window-size=%d,4200", width), "--screenshot="+shot, "file://"+file)
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	raw, err := os.ReadFile(shot)
	if err != nil {
		t.Fatal(err)
	}
	if keep := os.Getenv("KEEP_SCREENSHOTS"); keep != "" && name != "" {
		if err := os.WriteFile(filepath.Join(keep, name), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	picture, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

var (
	colours  = regexp.MustCompile(`\.(c-[a-z]+) \{ fill: #([0-9a-f]{6}); \}`)
	timeline = regexp.MustCompile(`(?s)<svg id="timeline".*?</svg>`)
	bars     = regexp.MustCompile(`<rect class="(c-[a-z]+)"[^>]* width="([0-9.]+)" height="([0-9.]+)"`)
)

// drawn compares a picture with what the page's timeline says: each colour must be there, on at least an eighth of the area that its bars
// have in the drawing, as on a narrow screen most of it is outside.
func drawn(page []byte, picture image.Image) error {
	want, have := map[string]float64{}, map[uint32]int{} // by class, and by colour
	for _, bar := range bars.FindAllSubmatch(timeline.Find(page), -1) {
		width, err1 := strconv.ParseFloat(string(bar[2]), 64)
		height, err2 := strconv.ParseFloat(string(bar[3]), 64)
		if err1 != nil || err2 != nil {
			return fmt.Errorf("a bar that is none: %s", bar[0])
		}
		want[string(bar[1])] += width * height
	}
	if len(want) < 2 {
		return fmt.Errorf("%d colours in the timeline", len(want))
	}
	b := picture.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, blue, _ := picture.At(x, y).RGBA()
			have[r>>8<<16|g>>8<<8|blue>>8]++
		}
	}
	for _, c := range colours.FindAllSubmatch(page, -1) {
		colour, err := strconv.ParseUint(string(c[2]), 16, 32)
		if err != nil {
			return err
		}
		if n, area := have[uint32(colour)], want[string(c[1])]/8; float64(n) < area {
			return fmt.Errorf("%d pixels of %s, want %.0f", n, c[1], area)
		}
	}
	return nil
}
