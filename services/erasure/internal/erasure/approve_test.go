package erasure

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/fault"
)

var allStates = []State{Planning, AwaitingApproval, Grace, Running, Verifying, Completed, Partial, Rejected, Cancelled, Expired, Failed}

func TestTransitions(t *testing.T) {
	t.Parallel()
	allowed := map[State][]State{
		Planning: {AwaitingApproval, Verifying, Cancelled, Failed}, AwaitingApproval: {Grace, Rejected, Cancelled, Expired},
		Grace: {Running, AwaitingApproval, Cancelled}, Running: {Verifying, Partial}, Verifying: {Completed, Partial, Planning}, Partial: {Running},
	}
	for _, from := range allStates {
		for _, to := range allStates {
			e := &Erasure{State: from}
			err := e.move(to, start)
			ok := slices.Contains(allowed[from], to)
			if (err == nil) != ok || (ok && (e.State != to || !e.UpdateTime.Equal(start))) || (!ok && e.State != from) {
				t.Errorf("%s → %s: %v, now %s", from, to, err, e.State)
			}
		}
		if got := (from == Completed || from == Rejected || from == Cancelled || from == Expired || from == Failed); from.Final() != got {
			t.Errorf("%s is final: %v", from, from.Final())
		}
	}
}

func TestNextWork(t *testing.T) {
	t.Parallel()
	e := &Erasure{NextAttempt: start.Add(1), ApprovalExpires: start.Add(2), GraceEnd: start.Add(3)}
	want := map[State]time.Time{Planning: e.NextAttempt, Running: e.NextAttempt, Verifying: e.NextAttempt, Partial: e.NextAttempt,
		AwaitingApproval: e.ApprovalExpires, Grace: e.GraceEnd}
	for _, s := range allStates {
		e.State = s
		at, ok := e.NextWork()
		if w, has := want[s]; ok != has || !at.Equal(w) || ok == s.Final() {
			t.Errorf("%s: work at %s (%v), want %s (%v)", s, at, ok, w, has)
		}
	}
}

func waiting(required int) *Erasure {
	return &Erasure{State: AwaitingApproval, Requester: "usr_asks", RequiredApprovals: required, GracePeriod: time.Hour,
		ApprovalExpires: start.Add(ApprovalLife), Plan: &Plan{Hash: "right"}}
}

func TestApprove(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		required int
		change   func(*Erasure)
		person   string
		hash     string
		after    time.Duration
		reason   string
		state    State
	}{
		"one of one":           {1, nil, "usr_a", "right", 0, "", Grace},
		"one's own, one":       {1, nil, "usr_asks", "right", 0, "", Grace},
		"one of two":           {2, nil, "usr_a", "right", 0, "", AwaitingApproval},
		"two of two":           {2, func(e *Erasure) { e.Approvals = []Approval{{"usr_b", start, "right"}} }, "usr_a", "right", 0, "", Grace},
		"the same person":      {2, func(e *Erasure) { e.Approvals = []Approval{{"usr_a", start, "right"}} }, "usr_a", "right", 0, "ALREADY_APPROVED", AwaitingApproval},
		"one's own, two":       {2, nil, "usr_asks", "right", 0, "OWN_REQUEST", AwaitingApproval},
		"stale or foreign sum": {1, nil, "usr_a", "other", 0, "PLAN_HASH_MISMATCH", AwaitingApproval},
		"no plan yet":          {1, func(e *Erasure) { e.State, e.Plan = Planning, nil }, "usr_a", "right", 0, "NOT_PLANNED", Planning},
		"at the last moment":   {1, nil, "usr_a", "right", ApprovalLife, "", Grace},
		"too late":             {1, nil, "usr_a", "right", ApprovalLife + 1, "APPROVAL_EXPIRED", AwaitingApproval},
		"lapsed":               {1, func(e *Erasure) { e.State = Expired }, "usr_a", "right", 0, "APPROVAL_EXPIRED", Expired},
		"in grace":             {1, func(e *Erasure) { e.State = Grace }, "usr_a", "right", 0, "NOT_AWAITING_APPROVAL", Grace},
		"started":              {1, func(e *Erasure) { e.State = Running }, "usr_a", "right", 0, "NOT_AWAITING_APPROVAL", Running},
		"started, once more":   {1, func(e *Erasure) { e.State, e.Approvals = Running, []Approval{{"usr_a", start, "right"}} }, "usr_a", "right", 0, "ALREADY_APPROVED", Running},
		"rejected":             {1, func(e *Erasure) { e.State = Rejected }, "usr_a", "right", 0, "NOT_AWAITING_APPROVAL", Rejected},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := waiting(test.required)
			if test.change != nil {
				test.change(e)
			}
			before, now := len(e.Approvals), start.Add(test.after)
			err := e.Approve(test.person, test.hash, now)
			wantReason(t, err, test.reason)
			if e.State != test.state {
				t.Errorf("the erasure is %s, want %s", e.State, test.state)
			}
			if added := len(e.Approvals) - before; (added == 1) != (err == nil) {
				t.Errorf("%d approvals were added", added)
			}
			if err == nil && e.State == Grace && (!e.GraceEnd.Equal(now.Add(time.Hour)) || !e.approved()) {
				t.Errorf("grace ends at %s, approved %v", e.GraceEnd, e.approved())
			}
			if err == nil && e.State == AwaitingApproval && e.approved() {
				t.Error("one approval of two is enough")
			}
		})
	}
}

func wantReason(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = fault.From(err).Reason()
	}
	if got != want {
		t.Fatalf("the fault is %v, want reason %q", err, want)
	}
}

func TestRejectAndCancel(t *testing.T) {
	t.Parallel()
	type answer struct {
		changed bool
		reason  string
		state   State
	}
	reject := map[State]answer{
		Planning: {false, "NOT_PLANNED", Planning}, AwaitingApproval: {true, "", Rejected}, Rejected: {false, "", Rejected}, Expired: {false, "APPROVAL_EXPIRED", Expired},
	}
	cancel := map[State]answer{
		Planning: {true, "", Cancelled}, AwaitingApproval: {true, "", Cancelled}, Grace: {true, "", Cancelled}, Cancelled: {false, "", Cancelled},
		Running: {false, "ALREADY_STARTED", Running}, Verifying: {false, "ALREADY_STARTED", Verifying}, Partial: {false, "ALREADY_STARTED", Partial},
		Completed: {false, "ALREADY_STARTED", Completed},
	}
	for _, s := range allStates {
		t.Run(string(s), func(t *testing.T) {
			t.Parallel()
			r, ok := reject[s]
			if !ok {
				r = answer{false, "NOT_AWAITING_APPROVAL", s}
			}
			c, ok := cancel[s]
			if !ok {
				c = answer{false, "ALREADY_ENDED", s}
			}
			for n, do := range []func(*Erasure, string, time.Time) (bool, error){(*Erasure).Reject, (*Erasure).Cancel} {
				want := []answer{r, c}[n]
				e := waiting(1)
				e.State, e.Reason = s, "before"
				changed, err := do(e, "because", start)
				wantReason(t, err, want.reason)
				if changed != want.changed || e.State != want.state || (e.Reason == "because") != changed {
					t.Errorf("call %d: changed %v, now %s with reason %q; want %+v", n, changed, e.State, e.Reason, want)
				}
			}
		})
	}
	e := waiting(1)
	if _, err := e.Reject("x", start.Add(ApprovalLife+1)); !fault.Is(err, "APPROVAL_EXPIRED") {
		t.Errorf("rejecting what has lapsed: %v", err)
	}
}

func TestIdentifiersDoNotPrint(t *testing.T) {
	t.Parallel()
	id := Identifier{"EMAIL", "anna@example.org"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, id); got != "EMAIL:[hidden]" {
			t.Errorf("%s prints %q", verb, got)
		}
		if got := fmt.Sprintf(verb, []Identifier{id}); got != "[EMAIL:[hidden]]" && verb != "%#v" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
	if got := id.LogValue().String(); got != "EMAIL:[hidden]" {
		t.Errorf("the log has %q", got)
	}
}
