package monitor

import (
	"testing"
	"time"
)

func TestWatch(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		do   func(w *Watch)
		at   time.Duration
		want string
	}{
		"right in time":          {func(w *Watch) { w.Hear(base, Sign{"consent", base, base}) }, time.Minute, ""},
		"clock a minute wrong":   {func(w *Watch) { w.Hear(base, Sign{"consent", base.Add(-time.Minute), time.Time{}}) }, 0, ""},
		"clock behind":           {func(w *Watch) { w.Hear(base, Sign{"consent", base.Add(-61 * time.Second), time.Time{}}) }, 0, SignalSkew},
		"clock ahead":            {func(w *Watch) { w.Hear(base, Sign{"consent", base.Add(time.Hour), time.Time{}}) }, 0, SignalSkew},
		"events waited":          {func(w *Watch) { w.Hear(base, Sign{"consent", base, base.Add(-5*time.Minute - time.Second)}) }, 0, SignalLate},
		"events waited a little": {func(w *Watch) { w.Hear(base, Sign{"consent", base, base.Add(-5 * time.Minute)}) }, 0, ""},
		"silent for three":       {func(w *Watch) { w.Hear(base, Sign{"consent", base, time.Time{}}) }, 3 * time.Minute, ""},
		"silent for longer":      {func(w *Watch) { w.Hear(base, Sign{"consent", base, time.Time{}}) }, 3*time.Minute + time.Second, SignalSilent},
		"taken out of use":       {func(w *Watch) { w.Hear(base, Sign{"consent", base, time.Time{}}) }, 8 * day, ""},
		"never heard":            {func(*Watch) {}, time.Hour, ""},
		"published in 30 s":      {func(w *Watch) { w.Lag(base, 30*time.Second) }, 0, ""},
		"published later":        {func(w *Watch) { w.Lag(base, 31*time.Second) }, 0, SignalLag},
	} {
		w := NewWatch(base, nil)
		tc.do(w)
		signals, _ := w.Take(base.Add(tc.at))
		got := ""
		if len(signals) > 0 {
			got = signals[0].Action
		}
		if got != tc.want || len(signals) > 1 {
			t.Errorf("%s: %+v, want %q", name, signals, tc.want)
		}
	}
}

// TestSilenceBeginsWithUs: while the audit service was away nobody could report.
func TestSilenceBeginsWithUs(t *testing.T) {
	t.Parallel()
	w := NewWatch(base, map[string]time.Time{"consent": base.Add(-time.Hour)})
	if signals, _ := w.Take(base.Add(time.Minute)); len(signals) != 0 {
		t.Errorf("%+v", signals)
	}
	if signals, _ := w.Take(base.Add(4 * time.Minute)); len(signals) != 1 || signals[0].Service != "consent" {
		t.Errorf("%+v", signals)
	}
}

// TestSignalsAreSpaced: while a cause lasts it is told of once a minute.
func TestSignalsAreSpaced(t *testing.T) {
	t.Parallel()
	w, n := NewWatch(base, nil), 0
	for s := range 120 {
		now := base.Add(time.Duration(s) * time.Second)
		w.Lag(now, time.Hour)
		signals, _ := w.Take(now)
		n += len(signals)
	}
	if n != 2 {
		t.Errorf("%d signals in two minutes", n)
	}
}
