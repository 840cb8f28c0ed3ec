package storetest

import (
	"context"
	"errors"
	"testing" //nolint:depguard // a conformance kit: every engine's tests call it
	"time"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/export/internal/export"
	"github.com/privacyops/privacyops/services/export/internal/store"
)

func everythingComesBack(t *testing.T, o Opened) {
	w := work(t, "north", 1)
	o.insert(t, w)
	got, err := o.Get(context.Background(), w.Ref)
	check(t, err)
	same(t, w, got)

	w = o.take(t, w.Ref, now)
	w.State, w.Systems = export.Partial, []export.System{{System: "lms", DisplayName: "Læring", Participant: "p", Mandatory: true,
		State: export.SystemFailed, Records: 3, Bytes: 4, Message: "Look.", Digest: "d", Located: map[string]int64{"a": 1}}}
	w.Omissions = []export.Omission{{System: "lms", Dataset: "a", Column: "b", Count: 2, Ground: "g", Article: "x"}}
	w.Updated, w.Next, w.Failures, w.Draft = now.Add(time.Hour), now.Add(2*time.Hour), 3, "draft"
	w.Expires = now.Add(time.Minute)
	w.Package = &export.Package{File: "file", SHA256: "sum", Size: 1 << 40, ContentType: "application/zip",
		Secret: export.Sealed{Key: []byte{0, 1}, Data: []byte{2}}}
	check(t, o.Save(context.Background(), w, nil, false))
	got, err = o.Get(context.Background(), w.Ref)
	check(t, err)
	same(t, w, got)
	if len(*o.Changed) != 2 {
		t.Errorf("%d changes were told of, want 2", len(*o.Changed))
	}
}

func absentIsMissing(t *testing.T, o Opened) {
	o.insert(t, work(t, "north", 1))
	for _, ref := range []export.Ref{{Controller: "south", ID: id(1)}, {Controller: "north", ID: id(2)}} {
		_, err := o.Get(context.Background(), ref)
		want(t, err, export.ErrMissing)
		_, err = o.Take(context.Background(), ref, now, lease)
		want(t, err, export.ErrMissing)
		err = o.DB.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) error {
			_, _, err := o.Cancel(ctx, tx, ref, now)
			return err
		})
		want(t, err, export.ErrMissing)
	}
}

func listsNewestFirst(t *testing.T, o Opened) {
	o.insert(t, work(t, "north", 2), work(t, "north", 1), work(t, "south", 4), work(t, "north", 3))
	for _, c := range []struct {
		before export.ID
		limit  int
		want   []export.ID
	}{
		{"", 10, []export.ID{id(3), id(2), id(1)}},
		{"", 2, []export.ID{id(3), id(2)}},
		{id(3), 10, []export.ID{id(2), id(1)}},
		{id(1), 10, nil},
	} {
		found, err := o.List(context.Background(), "north", c.before, c.limit)
		check(t, err)
		var got []export.ID
		for _, w := range found {
			got = append(got, w.ID)
		}
		if len(got) != len(c.want) {
			t.Fatalf("before %q, at most %d: %v, want %v", c.before, c.limit, got, c.want)
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("before %q, at most %d: %v, want %v", c.before, c.limit, got, c.want)
			}
		}
	}
}

func takeExcludes(t *testing.T, o Opened) {
	w := work(t, "north", 1)
	o.insert(t, w)
	first := o.take(t, w.Ref, now)
	_, err := o.Take(context.Background(), w.Ref, now.Add(lease-time.Second), lease)
	want(t, err, export.ErrIdle)
	if second := o.take(t, w.Ref, now.Add(lease)); second.Fence <= first.Fence {
		t.Errorf("fence %d after %d", second.Fence, first.Fence)
	}
}

func takeWaits(t *testing.T, o Opened) {
	w := work(t, "north", 1)
	o.insert(t, w)
	w = o.take(t, w.Ref, now)
	w.Next = now.Add(time.Hour)
	check(t, o.Save(context.Background(), w, nil, true))
	_, err := o.Take(context.Background(), w.Ref, now.Add(time.Hour-time.Second), lease)
	want(t, err, export.ErrIdle)
	w = o.take(t, w.Ref, now.Add(time.Hour))
	w.Settled = true
	check(t, o.Save(context.Background(), w, nil, true))
	_, err = o.Take(context.Background(), w.Ref, now.Add(10*time.Hour), lease)
	want(t, err, export.ErrIdle)
}

func saveIsFenced(t *testing.T, o Opened) {
	w := work(t, "north", 1)
	o.insert(t, w)
	old := o.take(t, w.Ref, now)
	next := o.take(t, w.Ref, now.Add(lease))
	old.State = export.Failed
	want(t, o.Save(context.Background(), old, &export.Event{Action: "export.fail"}, true), export.ErrFenced)
	got, err := o.Get(context.Background(), w.Ref)
	check(t, err)
	same(t, next, got)
	if len(o.Recorder.Events) != 0 {
		t.Error("an event was recorded for what was not written")
	}
	next.State = export.Locating
	check(t, o.Save(context.Background(), next, nil, false))
	check(t, o.Save(context.Background(), next, nil, false))
}

func saveAndEventAreOne(t *testing.T, o Opened) {
	w := work(t, "north", 1)
	o.insert(t, w)
	w = o.take(t, w.Ref, now)
	w.State = export.Locating
	o.Recorder.Err = errors.New("no room")
	if err := o.Save(context.Background(), w, &export.Event{Action: "export.complete"}, true); err == nil {
		t.Error("saved without its event")
	}
	if got, err := o.Get(context.Background(), w.Ref); err != nil || got.State != export.Pending {
		t.Errorf("the change stands without its event (%v)", err)
	}
	o.Recorder.Err = nil
	check(t, o.Save(context.Background(), w, &export.Event{Action: "export.fail", Failed: true, Reason: "WHY",
		Detail: map[string]string{"systems": "2"}}, true))
	e := o.Recorder.Events[0]
	if e.Controller != "north" || e.Resource != w.Name() || e.Outcome != outbox.Failed || e.Kind != outbox.Export || e.Reason != "WHY" ||
		len(e.SubjectRefs) != 1 || e.SubjectRefs[0] != w.SubjectRef || e.Detail["systems"] != "2" {
		t.Errorf("event %+v", e)
	}
}

func extendIsFenced(t *testing.T, o Opened) {
	w := work(t, "north", 1)
	o.insert(t, w)
	w = o.take(t, w.Ref, now)
	check(t, o.Extend(context.Background(), w.Ref, w.Fence, now.Add(2*lease)))
	_, err := o.Take(context.Background(), w.Ref, now.Add(lease), lease)
	want(t, err, export.ErrIdle)
	want(t, o.Extend(context.Background(), w.Ref, w.Fence-1, now.Add(3*lease)), export.ErrFenced)
}

func (o Opened) cancel(ref export.Ref) (w *export.Work, files []export.FileID, err error) {
	err = o.DB.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) error {
		w, files, err = o.Cancel(ctx, tx, ref, now)
		return err
	})
	return w, files, err
}

func cancelWins(t *testing.T, o Opened) {
	w := work(t, "north", 1)
	o.insert(t, w)
	w = o.take(t, w.Ref, now)
	w.State, w.Draft = export.Partial, "draft"
	w.Package = &export.Package{File: "file", Secret: export.Sealed{Key: []byte{1}, Data: []byte{2}}}
	check(t, o.Save(context.Background(), w, nil, false))
	got, files, err := o.cancel(w.Ref)
	check(t, err)
	if len(files) != 2 || files[0] != "draft" || files[1] != "file" {
		t.Errorf("orphans %v", files)
	}
	if got.State != export.Cancelled || got.Package != nil || !got.Identifiers.Empty() || len(got.Identifiers.Data) > 0 || !got.Settled {
		t.Errorf("cancelled as %+v", got)
	}
	want(t, o.Save(context.Background(), w, nil, true), export.ErrFenced)
	again, _, err := o.cancel(w.Ref)
	check(t, err)
	if again.State != export.Cancelled {
		t.Errorf("again: %s", again.State)
	}
}

func cancelRefuses(t *testing.T, o Opened) {
	w := work(t, "north", 1)
	o.insert(t, w)
	w = o.take(t, w.Ref, now)
	w.State, w.Settled = export.Ready, true
	check(t, o.Save(context.Background(), w, nil, true))
	_, _, err := o.cancel(w.Ref)
	want(t, err, export.ErrFinished)
	if got, err := o.Get(context.Background(), w.Ref); err != nil || got.State != export.Ready || got.Fence != w.Fence {
		t.Errorf("a refused cancel changed something (%v)", err)
	}
}

func expiryHasItsTime(t *testing.T, o Opened) {
	w := work(t, "north", 1)
	o.insert(t, w)
	w = o.take(t, w.Ref, now)
	w.State, w.Settled, w.Expires, w.Package = export.Ready, true, now.Add(time.Hour), &export.Package{File: "file"}
	check(t, o.Save(context.Background(), w, nil, true))
	_, err := o.TakeExpired(context.Background(), w.Ref, now.Add(time.Hour-time.Second))
	want(t, err, export.ErrIdle)
	got, err := o.TakeExpired(context.Background(), w.Ref, now.Add(time.Hour))
	check(t, err)
	if got.Fence <= w.Fence {
		t.Error("the fence was not raised")
	}
	got.Package = nil
	check(t, o.Save(context.Background(), got, &export.Event{Action: store.JobExpire}, true))
	if o.Recorder.Events[0].Kind != outbox.Delete {
		t.Errorf("event %+v", o.Recorder.Events[0])
	}
	_, err = o.TakeExpired(context.Background(), w.Ref, now.Add(2*time.Hour))
	want(t, err, export.ErrIdle)
}

func sweepFindsDue(t *testing.T, o Opened) {
	due, held, later, done := work(t, "north", 1), work(t, "north", 2), work(t, "south", 3), work(t, "south", 4)
	o.insert(t, due, held, later, done)
	before := o.jobs(t, store.JobAdvance)
	// What was inserted has its job; what was taken since has another fence, and so another key.
	for _, w := range []*export.Work{due, held, later, done} {
		*w = *o.take(t, w.Ref, now)
	}
	later.Next = now.Add(time.Hour)
	done.Settled, done.Expires, done.Package = true, now, &export.Package{File: "f"}
	for _, w := range []*export.Work{due, later, done} {
		check(t, o.Save(context.Background(), w, nil, true))
	}
	for range 2 {
		check(t, o.Sweep(context.Background(), now))
	}
	if got := o.jobs(t, store.JobAdvance) - before; got != 1 {
		t.Errorf("%d exports were taken up, want 1", got)
	}
	if got := o.jobs(t, store.JobExpire); got != 1 {
		t.Errorf("%d packages expire, want 1", got)
	}
	check(t, o.Sweep(context.Background(), now.Add(time.Hour)))
	if got := o.jobs(t, store.JobAdvance) - before; got != 3 {
		t.Errorf("an hour later %d were taken up, want 3", got)
	}
}

// deadBeforeTaking: a worker may die when its job has been fetched and the export not yet been taken. The job counts as running for
// as long as one may run, and must not keep others away.
func deadBeforeTaking(t *testing.T, o Opened) {
	o.insert(t, work(t, "north", 1))
	for n := range int64(3) {
		check(t, o.DB.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE river_job SET state = 'running'`)
			return err
		}))
		for range 2 { // two replicas look at the same time
			check(t, o.Sweep(context.Background(), now.Add(time.Duration(n)*lease)))
		}
		if got := o.jobs(t, store.JobAdvance); got != n+2 {
			t.Fatalf("after %d deaths there are %d jobs, want one more than deaths", n+1, got)
		}
	}
}

func filesAreAccountedFor(t *testing.T, o Opened) {
	w := work(t, "north", 1)
	o.insert(t, w)
	w = o.take(t, w.Ref, now)
	w.Draft, w.Package = "draft", &export.Package{File: "file"}
	check(t, o.Save(context.Background(), w, nil, true))
	for file, want := range map[export.FileID]bool{"draft": true, "file": true, "other": false, "": false} {
		got, err := o.Refers(context.Background(), file)
		check(t, err)
		if got != want {
			t.Errorf("file %q: %v", file, got)
		}
	}
}

func freeAll(t *testing.T, o Opened) {
	w := work(t, "north", 1)
	o.insert(t, w)
	o.take(t, w.Ref, now)
	check(t, o.FreeAll(context.Background()))
	o.take(t, w.Ref, now)
}

func insertRollsBack(t *testing.T, o Opened) {
	w, broken := work(t, "north", 1), errors.New("broken")
	err := o.DB.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) error {
		return errors.Join(o.Insert(ctx, tx, w), broken)
	})
	want(t, err, broken)
	_, err = o.Get(context.Background(), w.Ref)
	want(t, err, export.ErrMissing)
	if o.jobs(t, store.JobAdvance) != 0 || len(*o.Changed) != 0 {
		t.Error("a job or a signal is left of it")
	}
}
