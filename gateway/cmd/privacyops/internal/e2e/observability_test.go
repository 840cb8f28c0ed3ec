package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/privacyops/privacyops/libs/telemetry"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// deploy is the folder that operators are given.
const deploy = "../../../../../deploy"

// TestAlertRulesAndDashboards: each metric that an alert rule or a dashboard names is one that the suite gives, and each rule points
// to a runbook that is there.
func TestAlertRulesAndDashboards(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var scrapes []http.Handler // of all replicas
	w := newWorld(t, func(s *setting) {
		s.suite.Observe = func(_ string, tel *telemetry.Telemetry) {
			mu.Lock()
			defer mu.Unlock()
			scrapes = append(scrapes, tel.Metrics)
		}
	})
	w.as("dpo").approve(w.as("platform").planned(sample.Pupil()))
	given := map[string]bool{}
	mu.Lock()
	for _, h := range scrapes {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		for line := range strings.Lines(rec.Body.String()) {
			if name, _, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
				name, _, _ = strings.Cut(name, "{")
				given[name] = true
			}
		}
	}
	mu.Unlock()
	expressions := append(ruleExpressions(t), dashboardExpressions(t)...)
	if len(expressions) < 15 {
		t.Fatalf("only %d expressions were found", len(expressions))
	}
	for _, e := range expressions {
		names := metricsOf(e)
		if len(names) == 0 {
			t.Errorf("%q names no metric", e)
		}
		for _, n := range names {
			if !given[n] && n != "up" {
				t.Errorf("%q names %s, which nobody gives; there are %s", e, n, strings.Join(slices.Sorted(maps.Keys(given)), " "))
			}
		}
	}
}

var (
	// What stands in an expression besides metrics: labels, texts, numbers with units, functions and words.
	quoted   = regexp.MustCompile(`"[^"]*"`)
	braces   = regexp.MustCompile(`\{[^}]*\}`)
	grouping = regexp.MustCompile(`\b(by|without|on|ignoring)\s*\([^)]*\)`)
	ranges   = regexp.MustCompile(`\[[^\]]*\]`)
	word     = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\s*\(?`)
)

// metricsOf lists the metrics that an expression of Prometheus names.
func metricsOf(expr string) (out []string) {
	for _, drop := range []*regexp.Regexp{quoted, braces, grouping, ranges} {
		expr = drop.ReplaceAllString(expr, " ")
	}
	for _, w := range word.FindAllString(expr, -1) {
		name := strings.TrimSpace(w)
		if !strings.HasSuffix(name, "(") && !slices.Contains([]string{"and", "or", "unless", "bool"}, name) {
			out = append(out, name)
		}
	}
	return out
}

func TestMetricsOf(t *testing.T) {
	t.Parallel()
	got := metricsOf(`sum by (rule) (increase(audit_alerts_total{severity="a(b) c"}[5m])) > 0 and histogram_quantile(0.99, x_bucket) > 1e3`)
	if want := []string{"audit_alerts_total", "x_bucket"}; !slices.Equal(got[:2], want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func ruleExpressions(t *testing.T) (out []string) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	f, err := os.Open(filepath.Join(deploy, "alerts", "privacyops.rules.yaml"))
	must(t, err)
	defer f.Close()
	dec := yaml.NewDecoder(f)
	dec.KnownFields(true)
	must(t, dec.Decode(&file))
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			out = append(out, r.Expr)
			if r.Alert == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
				t.Errorf("%s/%s has no name, severity or summary", g.Name, r.Alert)
			}
			page, _, _ := strings.Cut(r.Annotations["runbook"], "#")
			if _, err := os.Stat(filepath.Join(deploy, page)); page == "" || err != nil {
				t.Errorf("%s points to the runbook %q: %v", r.Alert, r.Annotations["runbook"], err)
			}
		}
	}
	return out
}

func dashboardExpressions(t *testing.T) (out []string) {
	t.Helper()
	var board struct {
		Title, UID string
		Panels     []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	text, err := os.ReadFile(filepath.Join(deploy, "dashboards", "privacyops.json"))
	must(t, err)
	must(t, json.Unmarshal(text, &board))
	if board.Title == "" || board.UID == "" || len(board.Panels) == 0 {
		t.Error("the dashboard has no title, uid or panels")
	}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			out = append(out, target.Expr)
		}
	}
	return out
}
