package e2e

import (
	"context"
	"database/sql"
	"io/fs"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/certificate"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

const (
	fleetErasures = 200
	fleetExports  = 200
	fleetCallers  = 16
	fleetKills    = 25
	// stillness is how long work may stand still after its worker died: twice the lease.
	stillness = time.Minute
)

// TestFleetKill kills replicas at random while erasures and exports run. Each must be finished, exactly once.
func TestFleetKill(t *testing.T) {
	onStackOnly(t)
	r := seeded(t)
	var people []sample.Person
	f := newFleet(t, func(s *fleetSetting) {
		s.prepare = func(path string) {
			people = newcomers(t, path, fleetErasures+fleetExports)
			db, err := sql.Open("sqlite", path)
			must(t, err)
			defer db.Close()
			watchWrites(t, db)
		}
	})
	for _, p := range people {
		f.canaries = append(f.canaries, p.UniLogin, p.Email, p.DisplayName)
	}
	began := time.Now()
	still := f.watchStillness()
	load := f.manyRequests(people)
	var killed []string
	for !load.done() && len(killed) < fleetKills {
		time.Sleep(time.Duration(200+r.IntN(1300)) * time.Millisecond)
		service := []string{"erasure", "export", "consent", "erasure", "export"}[r.IntN(5)]
		n := r.IntN(replicas)
		if p := f.replicas[service][n]; p.lives() && f.replicas[service][1-n].lives() {
			p.kill()
			killed = append(killed, p.String())
		} else if dead := f.replicas[service]; r.IntN(2) == 0 { // it stays away for a while, or to the end
			for _, p := range dead {
				if !p.lives() {
					p.start()
					p.awaitReady()
				}
			}
		}
	}
	erasures, exports := load.wait(t)
	took := time.Since(began)
	longest := still.stop()
	t.Logf("%d kills (%v) over %d erasures and %d exports in %s; %d calls were made again; the longest that one stood still was %s",
		len(killed), tally(killed), len(erasures), len(exports), took.Round(time.Second), load.again.Load(), longest.Round(100*time.Millisecond))
	if len(killed) < 3 {
		t.Errorf("there were %d kills only", len(killed))
	}
	if longest > stillness {
		t.Errorf("work stood still for %s", longest)
	}
	f.finishedAllOnce(erasures, exports)
	f.logHasNoGap()
	nothingHappenedTwice(t, f.platform(), fleetErasures*newcomerLogins)
	f.packagesAreThose(len(exports))
}

func tally(names []string) map[string]int {
	n := map[string]int{}
	for _, name := range names {
		n[name]++
	}
	return n
}

// watched looks how long requests stand still that somebody should work on.
type watched struct {
	cancel  context.CancelFunc
	done    chan struct{}
	longest time.Duration
}

// watchStillness reads the services' own tables: what a person decides is not waited for.
func (f *fleet) watchStillness() *watched {
	ctx, cancel := context.WithCancel(f.t.Context())
	w := &watched{cancel: cancel, done: make(chan struct{})}
	conn := f.everything()
	go func() {
		defer close(w.done)
		type seen struct {
			state string
			since time.Time
		}
		last := map[string]seen{}
		for ctx.Err() == nil {
			time.Sleep(100 * time.Millisecond)
			rows, err := conn.Query(ctx, `SELECT id, state || revision || '/' || fence, state FROM erasure.erasure
				UNION ALL SELECT id, state || version || '/' || fence, state FROM export.export`)
			if err != nil {
				continue
			}
			now := time.Now()
			for rows.Next() {
				var id, mark, state string
				if rows.Scan(&id, &mark, &state) != nil {
					break
				}
				if last[id].state != mark {
					last[id] = seen{mark, now}
				}
				if slices.Contains([]string{"PENDING", "LOCATING", "COLLECTING", "PACKAGING", "PLANNING", "GRACE", "RUNNING", "VERIFYING"}, strings.ToUpper(state)) {
					w.longest = max(w.longest, now.Sub(last[id].since))
				}
			}
			rows.Close()
		}
	}()
	return w
}

func (w *watched) stop() time.Duration {
	w.cancel()
	<-w.done
	return w.longest
}

// finishedAllOnce checks the whole chain of each erasure and export, and the erasures' certificates.
func (f *fleet) finishedAllOnce(erasures, exports []string) {
	f.t.Helper()
	if len(erasures) != fleetErasures || len(exports) != fleetExports {
		f.t.Errorf("there are %d erasures and %d exports, want %d and %d", len(erasures), len(exports), fleetErasures, fleetExports)
	}
	actions := f.changes(len(erasures)*len(chain) + len(exports)*2)
	wrong := 0
	for _, name := range erasures {
		if !slices.Equal(actions[name], chain) {
			if wrong++; wrong <= 10 {
				f.t.Errorf("the log says of %s: %v", name, actions[name])
			}
		}
	}
	for _, name := range exports {
		if want := []string{"export.create", "export.complete"}; !slices.Equal(actions[name], want) {
			if wrong++; wrong <= 10 {
				f.t.Errorf("the log says of %s: %v", name, actions[name])
			}
		}
	}
	if len(actions) != len(erasures)+len(exports) {
		f.t.Errorf("the log knows %d erasures and exports, their callers %d", len(actions), len(erasures)+len(exports))
	}
	auditor, keys := f.as("auditor"), trust(f.t, f.CertificateKey, f.LogKey)
	for _, name := range erasures {
		file, err := auditor.Raw(f.t.Context(), http.MethodGet, "/v1/"+name+"/certificate", "", nil)
		must(f.t, err)
		report, err := certificate.Verify(file, keys)
		must(f.t, err)
		for _, d := range report.Statement.Systems[0].Datasets {
			if d.Dataset == "logins" && (d.Erased != newcomerLogins || d.Located != newcomerLogins) {
				f.t.Errorf("the certificate counts %d of %d logins, want %d", d.Erased, d.Located, newcomerLogins)
			}
		}
	}
	f.t.Logf("%d chains and %d certificates were checked", len(erasures)+len(exports), len(erasures))
}

// changes gives what the log says of each erasure and export: the changes that ended well, in the order of the log. It waits until
// there are so many.
func (f *fleet) changes(atLeast int) map[string][]string {
	f.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Second) {
		actions, n := map[string][]string{}, 0
		events := f.events("", 1)
		slices.SortFunc(events, func(a, b *auditv1.AuditEvent) int { return int(a.GetIndex() - b.GetIndex()) })
		for _, e := range events {
			about := strings.Contains(e.GetResource(), "/erasures/") || strings.Contains(e.GetResource(), "/exports/")
			change := strings.HasPrefix(e.GetAction(), "erasure.") || strings.HasPrefix(e.GetAction(), "export.")
			if about && change && e.GetOutcome() == auditv1.AuditEvent_OK && e.GetKind() != authv1.Rule_VIEW {
				actions[e.GetResource()] = append(actions[e.GetResource()], e.GetAction())
				n++
			}
		}
		if n >= atLeast || time.Now().After(deadline) {
			return actions
		}
	}
}

// packagesAreThose checks the folder of packages against the exports' rows.
func (f *fleet) packagesAreThose(n int) {
	f.t.Helper()
	conn := f.everything()
	rows, err := conn.Query(f.t.Context(), `SELECT package_file FROM export.export WHERE package_file <> ''`)
	must(f.t, err)
	named := map[string]bool{}
	for rows.Next() {
		var file string
		must(f.t, rows.Scan(&file))
		named[file] = true
	}
	must(f.t, rows.Err())
	files, orphans := 0, 0
	must(f.t, filepath.WalkDir(f.path("packages"), func(path string, d fs.DirEntry, err error) error {
		switch name := strings.TrimSuffix(d.Name(), filepath.Ext(path)); {
		case d.IsDir():
		case named[name]:
			files++
			delete(named, name)
		default:
			orphans++
		}
		return err
	}))
	if files != n || len(named) > 0 {
		f.t.Errorf("%d packages of %d exports lie in the folder; missing: %v", files, n, slices.Collect(maps.Keys(named)))
	}
	f.t.Logf("%d packages, and %d files that a kill has left for the tidying", files, orphans)
}
