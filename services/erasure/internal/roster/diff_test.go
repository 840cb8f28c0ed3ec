package roster_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/services/erasure/internal/roster"
)

var day1 = time.Date(2026, 11, 21, 3, 12, 0, 0, time.UTC)

func options() roster.Options {
	return roster.Options{
		Now: day1.AddDate(1, 0, 0),
		Key: func(id roster.UserID) roster.Pseudonym { return roster.Pseudonym("p:" + string(id)) },
	}
}

// extract makes an extract of the people named by the letters of users.
func extract(users string, days int) roster.Extract {
	x := roster.Extract{Institution: "A0A001", SchoolYear: "2026-2027", ExportTime: day1.AddDate(0, 0, days)}
	for _, u := range users {
		x.People = append(x.People, roster.Person{UserID: roster.UserID(u), Roles: roster.Roles(roster.Student)})
	}
	return x
}

// after applies extracts one a day and returns the state after the last.
func after(tb testing.TB, days ...string) roster.State {
	tb.Helper()
	var s roster.State
	for i, users := range days {
		out := roster.Diff(s, extract(users, i), options())
		if out.Decision != roster.Applied {
			tb.Fatalf("day %d was held: %s", i, out.HeldReason)
		}
		s = out.Next
	}
	return s
}

// letters writes pseudonyms as the letters they were made of.
func letters(keys []roster.Pseudonym) string {
	var b strings.Builder
	for _, k := range keys {
		b.WriteString(strings.TrimPrefix(string(k), "p:"))
	}
	return b.String()
}

func TestDiff(t *testing.T) {
	t.Parallel()
	with := func(x roster.Extract, change func(*roster.Extract)) roster.Extract {
		change(&x)
		return x
	}
	for _, tc := range []struct {
		name     string
		previous roster.State
		extract  roster.Extract
		held     roster.HeldReason
		change   string // arrived/left/returned
		present  int
	}{
		{"first extract", roster.State{}, extract("bac", 0), "", "abc//", 3},
		{"first extract is empty", roster.State{}, extract("", 0), roster.HeldEmpty, "//", 0},
		{"nothing new", after(t, "abcd"), extract("dcba", 1), "", "//", 4},
		{"the same moment again", after(t, "abcd"), extract("abcd", 0), "", "//", 4},
		{"one leaves, one arrives", after(t, "abcd"), extract("abcx", 1), "", "x/d/", 4},
		{"one returns", after(t, "abcd", "abc"), extract("abcd", 2), "", "//d", 4},
		{"gone stays gone", after(t, "abcd", "abc"), extract("abc", 2), "", "//", 3},
		{"just more than half", after(t, "abcde"), extract("abc", 1), "", "/de/", 3},
		{"half", after(t, "abcd"), extract("ab", 1), roster.HeldMuchSmaller, "/cd/", 2},
		{"one of two", after(t, "ab"), extract("a", 1), roster.HeldMuchSmaller, "/b/", 1},
		{"as many strangers", after(t, "abcd"), extract("wxyz", 1), roster.HeldMuchSmaller, "wxyz/abcd/", 4},
		{"those who had left do not count", after(t, "abcdef", "abcd", "abc"), extract("ab", 3), "", "/c/", 2},
		{"nobody", after(t, "abcd"), extract("", 1), roster.HeldEmpty, "/abcd/", 0},
		{"older", after(t, "abcd", "abcd"), extract("abcd", 0), roster.HeldOlder, "//", 4},
		{"a second older", after(t, "abcd"), with(extract("abcd", 0), func(x *roster.Extract) { x.ExportTime = x.ExportTime.Add(-time.Second) }), roster.HeldOlder, "//", 4},
		{"another school", after(t, "abcd"), with(extract("abcd", 1), func(x *roster.Extract) { x.Institution = "B0B002" }), roster.HeldOtherInstitution, "//", 4},
		{"another school year", after(t, "abcd"), with(extract("abcx", 1), func(x *roster.Extract) { x.SchoolYear = "2027-2028" }), roster.HeldSchoolYear, "x/d/", 4},
		{"no school year", after(t, "abcd"), with(extract("abcd", 1), func(x *roster.Extract) { x.SchoolYear = "" }), roster.HeldSchoolYear, "//", 4},
		{"cut off", after(t, "abcd"), with(extract("abcd", 1), func(x *roster.Extract) { x.Truncated = true }), roster.HeldTruncated, "//", 4},
		{"cut off on the first day", roster.State{}, with(extract("ab", 0), func(x *roster.Extract) { x.Truncated = true }), roster.HeldTruncated, "//", 0},
	} {
		out := roster.Diff(tc.previous, tc.extract, options())
		want := roster.Applied
		if tc.held != "" {
			want = roster.Held
		}
		if out.Decision != want || out.HeldReason != tc.held {
			t.Errorf("%s: %s %s, want %s %s", tc.name, out.Decision, out.HeldReason, want, tc.held)
		}
		if got := letters(out.Arrived) + "/" + letters(out.Left) + "/" + letters(out.Returned); got != tc.change || out.Present != tc.present {
			t.Errorf("%s: arrived/left/returned = %s, %d present; want %s, %d", tc.name, got, out.Present, tc.change, tc.present)
		}
	}
}

func TestConfirmed(t *testing.T) {
	t.Parallel()
	yes := options()
	yes.Confirmed = true
	previous := after(t, "abcd")
	for reason, change := range map[roster.HeldReason]func(*roster.Extract){
		roster.HeldTruncated:        func(x *roster.Extract) { x.Truncated = true },
		roster.HeldOtherInstitution: func(x *roster.Extract) { x.Institution = "B0B002" },
		roster.HeldOlder:            func(x *roster.Extract) { x.ExportTime = day1.Add(-1) },
		roster.HeldEmpty:            func(x *roster.Extract) { x.People = nil },
		roster.HeldMuchSmaller:      func(x *roster.Extract) { x.People = x.People[:1] },
		roster.HeldSchoolYear:       func(x *roster.Extract) { x.SchoolYear = "2027-2028" },
	} {
		x := extract("abcd", 1)
		change(&x)
		if out := roster.Diff(previous, x, options()); out.HeldReason != reason {
			t.Errorf("held for %s, want %s", out.HeldReason, reason)
		}
		out := roster.Diff(previous, x, yes)
		if applied := out.Decision == roster.Applied; applied != reason.Confirmable() {
			t.Errorf("%s: confirmed, applied = %v", reason, applied)
		}
	}
	// Of an extract that is wrong in two ways, confirmation lifts only what it may.
	x := extract("a", 1)
	x.Institution = "B0B002"
	if out := roster.Diff(previous, x, yes); out.HeldReason != roster.HeldOtherInstitution {
		t.Errorf("a small extract of another school is applied: %+v", out)
	}
}

func TestDepartedTime(t *testing.T) {
	t.Parallel()
	departed := func(out roster.Outcome) time.Time { return out.Next.Members["p:d"].DepartedTime }
	previous := after(t, "abcd")
	gone := roster.Diff(previous, extract("abc", 1), options())
	if want := day1.AddDate(0, 0, 1); !departed(gone).Equal(want) {
		t.Errorf("departed at %v, want the time of the extract, %v", departed(gone), want)
	}
	if still := roster.Diff(gone.Next, extract("abc", 5), options()); !departed(still).Equal(departed(gone)) {
		t.Errorf("the departure moved from %v to %v", departed(gone), departed(still))
	}
	if back := roster.Diff(gone.Next, extract("abcd", 5), options()); !departed(back).IsZero() {
		t.Error("a person who is back still has a departure")
	}
	early := options()
	early.Now = day1.AddDate(0, 0, -1)
	if out := roster.Diff(previous, extract("abc", 1), early); !departed(out).Equal(early.Now) {
		t.Errorf("an extract from the future puts the departure at %v, after now", departed(out))
	}
	x := extract("abc", 1)
	x.ExportTime = time.Time{}
	zero := previous
	zero.ExportTime = time.Time{}
	if out := roster.Diff(zero, x, options()); departed(out).IsZero() {
		t.Error("an extract without time leaves the person present")
	}
}

func TestRolesChange(t *testing.T) {
	t.Parallel()
	x := extract("abcd", 1)
	x.People[0].Roles = roster.Roles(roster.Employee)
	out := roster.Diff(after(t, "abcd"), x, options())
	if got := out.Next.Members["p:a"].Roles; got != roster.Roles(roster.Employee) {
		t.Errorf("roles = %s, want EMPLOYEE", got)
	}
	x.People = append(x.People, roster.Person{UserID: "a", Roles: roster.Roles(roster.Extern)})
	out = roster.Diff(after(t, "abcd"), x, options())
	if got := out.Next.Members["p:a"].Roles.String(); got != "EMPLOYEE|EXTERN" || out.Present != 4 {
		t.Errorf("named twice: roles = %s, %d present", got, out.Present)
	}
}

// drawExtract makes an extract of some of twelve people, now and then wrong in one of the ways that are held.
func drawExtract(r *rapid.T, label string, days int) roster.Extract {
	users := rapid.SliceOfNDistinct(rapid.SampledFrom([]rune("abcdefghijkl")), 0, 12, rapid.ID).Draw(r, label)
	x := extract(string(users), days)
	switch rapid.IntRange(0, 12).Draw(r, label+" oddity") {
	case 0:
		x.Institution = "B0B002"
	case 1:
		x.SchoolYear = "2027-2028"
	case 2:
		x.ExportTime = x.ExportTime.AddDate(0, 0, -3)
	case 3:
		x.Truncated = true
	}
	return x
}

func present(s roster.State) int {
	n := 0
	for _, m := range s.Members {
		if m.Present() {
			n++
		}
	}
	return n
}

// TestDiffProperties imports a series of extracts and checks, after each, what must hold after any.
func TestDiffProperties(t *testing.T) {
	t.Parallel()
	applied := 0
	rapid.Check(t, func(r *rapid.T) {
		var state roster.State
		for i := range rapid.IntRange(1, 8).Draw(r, "days") {
			x := drawExtract(r, fmt.Sprint("day ", i), i)
			opts := options()
			opts.Confirmed = rapid.Bool().Draw(r, "confirmed")
			before := state
			before.Members = maps.Clone(state.Members)

			out := roster.Diff(state, x, opts)
			if diff := cmp.Diff(before, state); diff != "" {
				r.Fatalf("the previous state was changed:\n%s", diff)
			}
			if out.Decision == roster.Held {
				if diff := cmp.Diff(before, out.Next); diff != "" || out.HeldReason == "" {
					r.Fatalf("held for %q, but the state changed:\n%s", out.HeldReason, diff)
				}
			} else {
				applied++
				checkApplied(r, before, x, out, opts)
			}
			state = out.Next
		}
	})
	if applied == 0 {
		t.Error("no extract was applied; the properties were not tried")
	}
}

func checkApplied(r *rapid.T, before roster.State, x roster.Extract, out roster.Outcome, opts roster.Options) {
	if got := present(before) + len(out.Arrived) + len(out.Returned) - len(out.Left); got != out.Present || present(out.Next) != out.Present {
		r.Fatalf("present = %d, before + arrived + returned - left = %d, in the state %d", out.Present, got, present(out.Next))
	}
	for key := range before.Members {
		if _, known := out.Next.Members[key]; !known {
			r.Fatal("a person is forgotten")
		}
	}
	for _, p := range x.People {
		if !out.Next.Members[opts.Key(p.UserID)].Present() {
			r.Fatal("a person in the roster is not present")
		}
	}
	if len(out.Left) > 0 && 2*len(out.Left) >= present(before) && !opts.Confirmed {
		r.Fatalf("%d of %d left without confirmation", len(out.Left), present(before))
	}
	again := roster.Diff(out.Next, x, opts)
	if len(again.Arrived)+len(again.Left)+len(again.Returned) > 0 {
		r.Fatalf("the same extract again: %+v", again)
	}
	if diff := cmp.Diff(out.Next, again.Next); diff != "" {
		r.Fatalf("the same extract again changed the state:\n%s", diff)
	}
}
