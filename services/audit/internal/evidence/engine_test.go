package evidence_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/services/audit/internal/evidence"
)

// TestReady: what was asked for becomes a package that is there whole, is kept for its time, and opens with its own secret.
func TestReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	must(t, w.advance(false))
	row := w.row()
	if row.State != evidence.Ready || row.Events != entries-2 || !row.Expires.Equal(w.clock.Now().Add(evidence.Keep)) || w.checked != 1 {
		t.Fatalf("%+v, checked %d times", row, w.checked)
	}
	content, err := w.engine().Open(&row)
	must(t, err)
	defer content.Close()
	if got, err := io.ReadAll(io.NewSectionReader(content, 0, content.Size())); err != nil || int64(len(got)) != row.Package.Size {
		t.Errorf("%d bytes of %d: %v", len(got), row.Package.Size, err)
	}
	raw, err := os.ReadFile(w.folder.dir + "/" + string(row.Package.File) + ".age")
	must(t, err)
	if strings.Contains(string(raw), "events.jsonl") {
		t.Error("the package can be read on the disk")
	}
	must(t, w.advance(true)) // again, as a job may come twice
	if after := w.row(); after.Package.SHA256 != row.Package.SHA256 || w.checked != 1 {
		t.Error("what was ready was made anew")
	}
}

// TestFailures: whatever fails, at whatever place, there is no package and no file, what was asked for waits for another try or has
// failed for good with its reason, and a later try without the fault makes it.
func TestFailures(t *testing.T) {
	t.Parallel()
	type fault struct {
		set    func(*world)
		reason string // where it is final at once
		file   bool   // the file cannot be removed
	}
	part := func(name string) fault { return fault{set: func(w *world) { w.fault = name }} }
	faults := map[string]fault{
		"no controller":             {func(w *world) { w.fault, w.faultErr = "register", evidence.ErrNoController }, evidence.ReasonNoController, false},
		"the index has a gap":       {func(w *world) { w.fault = "gap" }, evidence.ReasonNotVerified, false},
		"the index has other bytes": {func(w *world) { w.fault = "another index" }, evidence.ReasonNotVerified, false},
		"a checkpoint of another":   {func(w *world) { w.fault = "checkpoint of another" }, evidence.ReasonNotVerified, false},
		"a certificate is none":     {func(w *world) { w.fault = "certificate" }, evidence.ReasonNotVerified, false},
		"it does not verify":        {func(w *world) { w.badCheck = true }, evidence.ReasonNotVerified, false},
		"the disk fails at the end": {set: func(w *world) { w.folder.finishErr = errFault }},
	}
	for _, name := range []string{"span", "head", "entries", "tile", "keys", "register", "versions", "certificates", "report", "spool"} {
		faults[name] = part(name)
	}
	for _, name := range []string{"get", "begin", "finish"} {
		faults["the database: "+name] = fault{set: func(w *world) { w.store.fault = name }}
	}
	for _, room := range []int{1, 1000, 100_000, 300_000, 315_000} {
		faults[fmt.Sprintf("the disk is full after %d bytes", room)] = fault{set: func(w *world) { w.folder.room = room }}
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			f.set(w)
			err := w.advance(false)
			row := w.row()
			switch {
			case row.Package != nil || len(w.folder.left(t)) != 0:
				t.Fatalf("it left %+v and the files %v", row.Package, w.folder.left(t))
			case f.reason != "":
				if err != nil || row.State != evidence.Failed || row.Reason != f.reason {
					t.Errorf("%s %s, %v", row.State, row.Reason, err)
				}
				return
			case err == nil, row.State == evidence.Failed:
				t.Fatalf("it is %s after a try that is not the last: %v", row.State, err)
			}
			w.fault, w.store.fault, w.folder.room, w.folder.finishErr = "", "", 0, nil
			must(t, w.advance(false))
			if row := w.row(); row.State != evidence.Ready || row.Package == nil || len(w.folder.left(t)) != 1 {
				t.Errorf("after the fault was over: %+v, files %v", row, w.folder.left(t))
			}
		})
	}
}

// TestLastTry: what fails at the last try has failed, and says why; where even that cannot be noted, the job fails.
func TestLastTry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.folder.room = 1000
	must(t, w.advance(true))
	if row := w.row(); row.State != evidence.Failed || row.Reason != evidence.ReasonUnavailable || row.Package != nil {
		t.Errorf("%+v", row)
	}
	w = newWorld(t)
	w.store.fault = "finish"
	if err := w.advance(true); !errors.Is(err, errFault) || w.row().State != evidence.Gathering {
		t.Errorf("%v, %s", err, w.row().State)
	}
	if err := w.engine().Advance(t.Context(), evidence.Ref{Controller: "south", ID: ref.ID}, true); err != nil {
		t.Errorf("evidence that is not there: %v", err)
	}
}

// TestStoppedAndGoingOn: a service that stops in the middle leaves nothing half done, and the next one makes it.
func TestStoppedAndGoingOn(t *testing.T) {
	t.Parallel()
	for _, at := range []uint64{1, 65, 129} {
		for _, last := range []bool{false, true} {
			w := newWorld(t)
			ctx, stop := context.WithCancel(t.Context())
			w.onEntries = func(after uint64) {
				if after == at { // the lines are being written: their pages begin one later than those of the entries
					stop()
				}
			}
			if err := w.engine().Advance(ctx, ref, last); err == nil || w.row().State != evidence.Gathering || len(w.folder.left(t)) != 0 {
				t.Fatalf("stopped at %d: %v, %s, files %v", at, err, w.row().State, w.folder.left(t))
			}
			w.onEntries = nil
			must(t, w.advance(false))
			if w.row().State != evidence.Ready || len(w.store.files) != 2 || w.store.files[0] == w.store.files[1] {
				t.Errorf("going on: %s, files %v", w.row().State, w.store.files)
			}
			stop()
		}
	}
}

// TestKilled: a process that was killed leaves a part of a file, which no evidence refers to once the next one has begun.
func TestKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	must(t, w.store.Begin(t.Context(), ref, 1, "0190d3c0-0000-7000-8000-00000000dead"))
	d, err := w.folder.disk.Create("0190d3c0-0000-7000-8000-00000000dead")
	must(t, err)
	_, err = d.Write(make([]byte, 1<<20))
	must(t, err)
	must(t, w.advance(false))
	if row := w.row(); row.State != evidence.Ready || row.Package.File == "0190d3c0-0000-7000-8000-00000000dead" {
		t.Errorf("%+v", row)
	}
	if _, err := w.folder.Open("0190d3c0-0000-7000-8000-00000000dead", "x"); err == nil {
		t.Error("a part of a package opens")
	}
}

// TestEndedMeanwhile: a package that is ready too late is not there.
func TestEndedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.onEntries = func(after uint64) {
		if after == 129 {
			row := w.store.rows[ref]
			row.State = evidence.Expired
			w.store.rows[ref] = row
		}
	}
	if err := w.advance(false); err != nil || w.row().State != evidence.Expired || len(w.folder.left(t)) != 0 {
		t.Errorf("%v, %s, files %v", err, w.row().State, w.folder.left(t))
	}
}

// TestNotYet: gathering waits for the checkpoint that covers the period, and for a while for the witnesses.
func TestNotYet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.covered = entries - 1
	if err := w.advance(true); !errors.Is(err, evidence.ErrNotYet) || w.row().State != evidence.Pending {
		t.Errorf("not covered: %v, %s", err, w.row().State)
	}
	w.covered = total
	_, plain, err := note.GenerateKey(nil, "witness.example")
	must(t, err)
	key, err := cosignature.VKeyToCosignatureV1(plain)
	must(t, err)
	w.policy = fmt.Appendf(nil, "witness w %s\nquorum w\n", key)
	if err := w.advance(true); !errors.Is(err, evidence.ErrNotYet) || w.row().State != evidence.Pending {
		t.Errorf("not witnessed: %v, %s", err, w.row().State)
	}
	w.clock.Advance(evidence.WitnessTime)
	if err := w.advance(false); err != nil || w.row().State != evidence.Ready {
		t.Errorf("witnesses that are away: %v, %s", err, w.row().State)
	}
}

// TestExpire: the key goes first, so that a file which cannot be deleted cannot be read either.
func TestExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	must(t, w.advance(false))
	ready := w.row()
	must(t, w.engine().Expire(t.Context()))
	if w.row().State != evidence.Ready {
		t.Error("nothing was due")
	}
	ready.Reason = evidence.ReasonKeysDestroyed
	w.store.due = []*evidence.Evidence{&ready}
	w.store.fault = "expire"
	if err := w.engine().Expire(t.Context()); !errors.Is(err, errFault) || len(w.folder.left(t)) != 1 || w.row().Package == nil {
		t.Errorf("the database is away: %v, files %v", err, w.folder.left(t))
	}
	w.store.fault, w.folder.removeErr = "", errFault
	if err := w.engine().Expire(t.Context()); !errors.Is(err, errFault) || w.row().Package != nil || w.row().Reason != evidence.ReasonKeysDestroyed {
		t.Errorf("the disk is away: %v, %+v", err, w.row())
	}
	w.store.fault = "due"
	if err := w.engine().Expire(t.Context()); !errors.Is(err, errFault) {
		t.Errorf("what is due cannot be read: %v", err)
	}
}

// TestPeriods: what may be asked for.
func TestPeriods(t *testing.T) {
	t.Parallel()
	now := end.Add(time.Hour)
	for name, c := range map[string]struct {
		start, end time.Time
		field      string
	}{
		"a month":           {begin, end, ""},
		"before the GDPR":   {begin.AddDate(-10, 0, 0), end, "start_time"},
		"no time at all":    {begin, begin, "end_time"},
		"backwards":         {end, begin, "end_time"},
		"more than a year":  {begin.AddDate(-2, 0, 0), end, "end_time"},
		"what is to happen": {begin, now.Add(time.Microsecond), "end_time"},
	} {
		e, err := evidence.New(ref, c.start, c.end, "", now)
		var wrong *evidence.PeriodError
		switch {
		case c.field == "" && (err != nil || e.State != evidence.Pending || e.Language != "da"):
			t.Errorf("%s: %+v, %v", name, e, err)
		case c.field != "" && (!errors.As(err, &wrong) || wrong.Field != c.field):
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := evidence.ParseName(ref.Name()); err != nil || got != ref {
		t.Errorf("%v, %v", got, err)
	}
	for _, name := range []string{"", "controllers/north", "controllers//evidence/x", "controllers/north/evidence/", "x/north/evidence/y", ref.Name() + "/package"} {
		if _, err := evidence.ParseName(name); err == nil {
			t.Errorf("%q is a name", name)
		}
	}
}
