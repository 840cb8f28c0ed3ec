package export

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/privacyops/privacyops/libs/sqldb"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
	domain "github.com/privacyops/privacyops/services/export/internal/export"
)

// mortal is a process that dies at its n-th access to the store or the folder: from then on nothing it does has an effect.
type mortal struct {
	domain.Store
	domain.Packages
	left atomic.Int64
}

var errDead = errors.New("this process is dead")

func (m *mortal) live() error {
	if m.left.Add(-1) < 0 {
		return errDead
	}
	return nil
}

func (m *mortal) Take(ctx context.Context, ref domain.Ref, now time.Time, lease time.Duration) (*domain.Work, error) {
	if err := m.live(); err != nil {
		return nil, err
	}
	return m.Store.Take(ctx, ref, now, lease)
}

func (m *mortal) Save(ctx context.Context, w *domain.Work, e *domain.Event, release bool) error {
	if err := m.live(); err != nil {
		return err
	}
	return m.Store.Save(ctx, w, e, release)
}

func (m *mortal) Create(ctx context.Context, f domain.FileID, to string, now time.Time) (domain.Draft, error) {
	if err := m.live(); err != nil {
		return nil, err
	}
	d, err := m.Packages.Create(ctx, f, to, now)
	return mortalDraft{d, m}, err
}

func (m *mortal) Remove(ctx context.Context, f domain.FileID) error {
	if err := m.live(); err != nil {
		return err
	}
	return m.Packages.Remove(ctx, f)
}

type mortalDraft struct {
	domain.Draft
	m *mortal
}

func (d mortalDraft) Intake(s domain.SystemID) (domain.Intake, error) {
	if err := d.m.live(); err != nil {
		return nil, err
	}
	return d.Draft.Intake(s)
}

func (d mortalDraft) Finish(m *domain.Manifest) (domain.Package, string, error) {
	if err := d.m.live(); err != nil {
		return domain.Package{}, "", err
	}
	return d.Draft.Finish(m)
}

// Abort does nothing for the dead.
func (d mortalDraft) Abort() {
	if d.m.left.Load() >= 0 {
		d.Draft.Abort()
	}
}

func TestDeathAtEveryStep(t *testing.T) {
	t.Parallel()
	s := newSuite(t, learning(), support())
	whole, _ := s.contents(s.advance(s.create()))
	died := 0
	for n := int64(0); ; n++ {
		e := s.create()
		m := &mortal{Store: s.service.store, Packages: s.service.folder}
		m.left.Store(n)
		cfg := s.service.engine.Config
		cfg.Store, cfg.Packages = m, m
		engine, err := domain.NewEngine(cfg)
		check(t, err)
		more := true
		for more && err == nil {
			more, err = engine.Advance(context.Background(), ref(t, e))
		}
		if err == nil {
			break // it outlived the export
		}
		died++
		if got := s.advance(e); n > 0 && got.GetState() == exportv1.Export_READY && got.GetPackage() == nil {
			t.Fatalf("death %d: READY without a package", n)
		}
		s.clock.Advance(cfg.Lease)
		got := s.advance(e)
		if got.GetState() != exportv1.Export_READY {
			t.Fatalf("death %d: %v", n, got)
		}
		files, _ := s.contents(got)
		if diff := cmp.Diff(data(whole), data(files)); diff != "" {
			t.Errorf("death %d: the package is another one:\n%s", n, diff)
		}
		if w, err := s.service.store.Get(context.Background(), ref(t, got)); err != nil || !w.Identifiers.Empty() {
			t.Errorf("death %d: identifiers are left (%v)", n, err)
		}
	}
	if died < 10 {
		t.Errorf("only %d steps were interrupted", died)
	}
	check(t, s.service.tidy(context.Background()))
	if got := len(s.files()); got != died+2 {
		t.Errorf("%d files for %d exports", got, died+2)
	}
}

// data are the files that do not depend on the time or the name of the export.
func data(files map[string]string) map[string]string {
	files = maps.Clone(files)
	maps.DeleteFunc(files, func(name, _ string) bool {
		return name == "manifest.json" || name == "manifest.sig" || name == "README.html"
	})
	return files
}

func TestCancelRacesAdvance(t *testing.T) {
	t.Parallel()
	s := newSuite(t, learning(), support())
	ends := map[exportv1.Export_State]int{}
	began := time.Now()
	s.advance(s.create())
	alone := time.Since(began)
	const races = 30
	for i := range races {
		e := s.create()
		var wait sync.WaitGroup
		wait.Go(func() {
			for more := true; more; {
				var err error
				if more, err = s.service.engine.Advance(context.Background(), ref(t, e)); err != nil {
					t.Errorf("advance: %v", err)
				}
			}
		})
		wait.Go(func() {
			time.Sleep(2 * alone * time.Duration(i) / races) // from before its first step to after its last
			_, err := s.client.CancelExport(context.Background(), &exportv1.CancelExportRequest{Name: e.GetName()})
			if err != nil && !isReason(err, "EXPORT_FINISHED") {
				t.Errorf("cancel: %v", err)
			}
		})
		wait.Wait()
		w, err := s.service.store.Get(context.Background(), ref(t, e))
		check(t, err)
		ends[exportv1.Export_State(exportv1.Export_State_value[string(w.State)])]++
		switch {
		case w.State == domain.Cancelled && (w.Package != nil || !w.Identifiers.Empty() || w.Draft != ""):
			t.Errorf("cancelled, and something is left: %+v", w.Package)
		case w.State != domain.Cancelled && w.State != domain.Ready:
			t.Errorf("ended as %s", w.State)
		}
	}
	if len(ends) != 2 {
		t.Errorf("the race had one outcome only: %v", ends)
	}
	if got := len(s.files()); got != ends[exportv1.Export_READY]+1 {
		t.Errorf("%d files for %d packages", got, ends[exportv1.Export_READY]+1)
	}
}

func TestOvertakenWritesNothing(t *testing.T) {
	t.Parallel()
	s := newSuite(t, learning())
	e := s.create()
	old, err := s.service.store.Take(context.Background(), ref(t, e), start, time.Second)
	check(t, err)
	s.clock.Advance(time.Second)
	if got := s.advance(e); got.GetState() != exportv1.Export_READY {
		t.Fatalf("not taken over: %s", got.GetState())
	}
	old.State = domain.Failed
	if err := s.service.store.Save(context.Background(), old, nil, true); !errors.Is(err, domain.ErrFenced) {
		t.Errorf("the one who was overtaken writes: %v", err)
	}
	if err := s.service.store.Extend(context.Background(), old.Ref, old.Fence, start.Add(time.Hour)); !errors.Is(err, domain.ErrFenced) {
		t.Errorf("the one who was overtaken keeps its lease: %v", err)
	}
}

func TestNothingOnDiskIsReadable(t *testing.T) {
	t.Parallel()
	l := learning()
	s := newSuite(t, l, support())
	big := make([]string, 400)
	for i := range big {
		big[i] = fmt.Sprintf(`{"note":"%s %s"}`, canary, noise(1000)[10:1000])
	}
	l.records["big"] = big
	looks := 0
	l.during = func() {
		looks++
		if found := s.leaks(); len(found) > 0 {
			t.Errorf("while data comes in, it is readable in %v", found)
		}
	}
	for _, r := range []string{"", identity(t).Recipient().String()} {
		e := s.advance(s.create(func(req *exportv1.CreateExportRequest) { req.RecipientKey = r }))
		if e.GetState() != exportv1.Export_READY {
			t.Fatalf("export is %v", e)
		}
		if found := s.leaks(); len(found) > 0 {
			t.Errorf("afterwards the data is readable in %v", found)
		}
	}
	if looks == 0 {
		t.Error("nobody looked while data came in")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	const size, bound = 64 << 20, 40 << 20
	l := learning()
	l.generate = func(yield func(*record) bool) {
		object := noise(32 << 10)
		for sent := 0; sent < size; sent += len(object) {
			if !yield(&record{Dataset: "noise", Json: slices.Clone(object)}) {
				return
			}
		}
	}
	s := newSuite(t, l)
	e := s.create()
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var peak atomic.Uint64
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				peak.Store(max(peak.Load(), now.HeapInuse))
			}
		}
	})
	began := time.Now()
	e = s.advance(e)
	close(done)
	wait.Wait()
	if e.GetState() != exportv1.Export_READY || e.GetSystems()[0].GetBytes() < size {
		t.Fatalf("export is %v", e)
	}
	if grown := int64(peak.Load()) - int64(before.HeapInuse); grown > bound {
		t.Errorf("the heap grew by %d MiB for %d MiB of data", grown>>20, size>>20)
	}
	t.Logf("%d MiB in %s, heap at most %d MiB more", size>>20, time.Since(began).Round(time.Millisecond),
		(int64(peak.Load())-int64(before.HeapInuse))>>20)
}

func TestRegisterFailures(t *testing.T) {
	t.Parallel()
	s := newSuite(t, learning())
	passing, gone := s.create(), s.create()
	s.register.fail(status.Error(codes.Unavailable, ""))
	if _, err := s.service.engine.Advance(context.Background(), ref(t, passing)); err == nil {
		t.Error("an unreachable register went unnoticed")
	}
	if got := s.get(passing.GetName()); got.GetState() != exportv1.Export_PENDING {
		t.Errorf("export is %s", got.GetState())
	}
	s.register.fail(status.Error(codes.NotFound, ""))
	if _, err := s.service.engine.Advance(context.Background(), ref(t, gone)); err == nil {
		t.Error("a controller that is gone went unnoticed")
	}
	if got := s.get(gone.GetName()); got.GetState() != exportv1.Export_FAILED {
		t.Errorf("export of a controller that is gone is %s", got.GetState())
	}
	if got := s.recorded("export.fail"); got.GetReason() != "NO_CONTROLLER" {
		t.Errorf("event %v", got)
	}
	s.register.fail(nil)
	s.clock.Advance(10 * time.Second)
	if got := s.advance(passing); got.GetState() != exportv1.Export_READY {
		t.Errorf("export is %s after the register came back", got.GetState())
	}
}

func TestOutOfTime(t *testing.T) {
	t.Parallel()
	s := newSuite(t, learning())
	e := s.create()
	s.register.fail(status.Error(codes.Unavailable, ""))
	s.clock.Set(e.GetDueTime().AsTime())
	if _, err := s.service.engine.Advance(context.Background(), ref(t, e)); err == nil {
		t.Error("an unreachable register went unnoticed")
	}
	if got := s.get(e.GetName()); got.GetState() != exportv1.Export_FAILED {
		t.Errorf("at its time the export is %s", got.GetState())
	}
}

func TestStopPutsWorkBack(t *testing.T) {
	t.Parallel()
	l := learning()
	s := newSuite(t, l)
	hold := make(chan struct{})
	l.during = sync.OnceFunc(func() { <-hold })
	e := s.create()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		for more := true; more; {
			var err error
			if more, err = s.service.engine.Advance(ctx, ref(t, e)); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	s.await(e.GetName(), exportv1.Export_COLLECTING)
	for len(s.files()) == 0 {
		time.Sleep(time.Millisecond)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("stopped with %v", err)
	}
	close(hold)
	if n := len(s.files()); n != 0 {
		t.Errorf("%d files are left", n)
	}
	// No lease has to run out: the clock stands still.
	if got := s.advance(e); got.GetState() != exportv1.Export_READY {
		t.Errorf("afterwards the export is %s", got.GetState())
	}
}

func TestTidyRemovesOrphans(t *testing.T) {
	t.Parallel()
	s := newSuite(t, learning())
	e := s.advance(s.create())
	_, err := s.service.folder.Create(context.Background(), domain.FileID(s.cfg.NewID()), "", start)
	check(t, err)
	if len(s.files()) != 2 {
		t.Fatalf("files %v", s.files())
	}
	check(t, s.service.tidy(context.Background()))
	if len(s.files()) != 1 {
		t.Errorf("files %v", s.files())
	}
	if _, err := s.read(e.GetName(), 0, 0); err != nil {
		t.Errorf("the package went too: %v", err)
	}
}

func TestRestartTakesUpAtOnce(t *testing.T) {
	t.Parallel()
	s := newSuite(t, learning())
	e := s.create()
	// A process that died right after it took the export: its lease stands, and the clock too.
	_, err := s.service.store.Take(context.Background(), ref(t, e), start, time.Hour)
	check(t, err)
	stop := s.run()
	s.await(e.GetName(), exportv1.Export_READY)
	second, err := New(context.Background(), s.cfg)
	check(t, err)
	defer second.Close()
	if err := second.Run(context.Background()); !errors.Is(err, sqldb.ErrLocked) {
		t.Errorf("a second exclusive replica: %v", err)
	}
	stop()
}

func TestSweepFindsWhatHasNoJob(t *testing.T) {
	t.Parallel()
	s := newSuite(t, learning())
	e := s.create()
	// Its job is gone, whoever did that.
	check(t, s.service.db.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM river_job`)
		return err
	}))
	s.run()
	s.await(e.GetName(), exportv1.Export_READY)
}
