package erasure

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/certificate"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

const (
	controller = ControllerID("north")
	theID      = ID("0197a000-0000-7000-8000-000000000001")
)

// failer is what a test of testing or of rapid fails by.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// world is an engine with everything around it faked.
type world struct {
	t         failer
	clock     *clock.Fake
	store     *memory
	register  Register
	refuse    error // of the register
	systems   map[string]*system
	engine    *Engine
	ids       int
	overtaken int // how often another worker came in between
	proofErr  error
	logErr    error
	keysErr   error
	erased    [][]string
	destroyed [][]string // whose keys
	issued    []certificate.Statement
	announced map[string]string // the log: event → hash
}

func newWorld(t failer, systems ...*system) *world {
	t.Helper()
	w := &world{t: t, clock: clock.NewFake(start), systems: map[string]*system{}, announced: map[string]string{},
		register: Register{RequiredApprovals: 1, GracePeriod: time.Hour, TimeZone: "Europe/Copenhagen", Activities: []Activity{
			{ID: "teaching", LegalBasis: "PUBLIC_TASK"},
			{ID: "extras", LegalBasis: "CONSENT"},
			{ID: "marks", LegalBasis: "PUBLIC_TASK", Protected: true, ProtectionGround: "Archives Act § 8"},
		}}}
	for _, x := range systems {
		x.world = w
		w.systems[x.ID] = x
		w.register.Systems = append(w.register.Systems, x.System)
	}
	w.store = &memory{t: t, now: w.clock.Now}
	w.engine = &Engine{Store: w.store, Registers: w, Participants: w, Proofs: w, Erased: w, Keys: w, Pseudonyms: w, Signer: w,
		Clock: w.clock, NewID: func() string { w.ids++; return fmt.Sprintf("event-%d", w.ids) }, Backoff: Backoff, ProofWait: time.Millisecond}
	w.ask(NoLongerNecessary)
	return w
}

// ask takes a new request in, in place of the one before.
func (w *world) ask(g Ground) {
	ref := w.Subject(string(controller), "UNILOGIN", "anna0001")
	w.store.put(&Erasure{Controller: controller, ID: theID, State: Planning, Ground: g, Channel: "API", SubjectRef: ref, SubjectRefs: []string{ref},
		Requester: "usr_asks", RequiredApprovals: w.register.RequiredApprovals, GracePeriod: w.register.GracePeriod,
		ReceiveTime: w.clock.Now(), CreateTime: w.clock.Now(), UpdateTime: w.clock.Now()})
	w.store.sealed = []Identifier{{"UNILOGIN", "anna0001"}}
}

func (w *world) Register(context.Context, ControllerID) (Register, error) {
	return w.register, w.refuse
}

func (w *world) Participant(name string) (Participant, error) {
	if x, ok := w.systems[name]; ok {
		return x, nil
	}
	return nil, fault.New(fault.Unavailable, "PARTICIPANT_UNKNOWN", "No such participant is configured.")
}

func (w *world) Proof(_ context.Context, _ ControllerID, event string) (Proof, error) {
	for _, e := range w.store.events {
		if e.ID == event && e.ID != "" {
			w.announced[event] = e.Detail["statementSha256"]
		}
	}
	if _, known := w.announced[event]; !known {
		w.t.Fatalf("a proof is asked of %q, which nobody announced", event)
	}
	return Proof{Index: 1, TreeSize: 2, Leaf: []byte(event)}, w.proofErr
}

func (w *world) RecordErasure(_ context.Context, _ ControllerID, refs []string, _ string, _ time.Time) error {
	if w.logErr == nil {
		w.erased = append(w.erased, refs)
	}
	return w.logErr
}

// Destroy notes whose keys are destroyed.
func (w *world) Destroy(_ context.Context, _ ControllerID, refs []string, _ string) error {
	if w.keysErr == nil {
		w.destroyed = append(w.destroyed, refs)
	}
	return w.keysErr
}

func (w *world) Subject(c, kind, value string) string { return "sub_" + c + "_" + kind + "_" + value }

// Issue checks what the real signer checks: the statement's arithmetic, and that the log holds its hash.
func (w *world) Issue(s certificate.Statement, l certificate.Log) ([]byte, error) {
	if err := s.Validate(); err != nil {
		w.t.Fatalf("the engine made a statement that contradicts itself: %v\n%+v", err, s)
	}
	hash, err := certificate.StatementHash(s)
	if err != nil || w.announced[string(l.Leaf)] != hash {
		w.t.Fatalf("the statement is not the announced one (%v)", err)
	}
	w.issued = append(w.issued, s)
	return []byte("certificate"), nil
}

// judge looks at an order as it arrives: it must be approved, of a person who decided, and in its turn.
func (w *world) judge(x *system, o EraseOrder) {
	e := w.store.get()
	if e.StartTime.IsZero() || !e.approved() {
		w.t.Fatalf("%s is told to erase what nobody approved; the erasure is %s", x.ID, e.State)
	}
	for _, d := range o.Datasets {
		if i, ok := e.Plan.item(x.ID, d); !ok || i.Action == Keep {
			w.t.Fatalf("%s is told to erase %s, which is kept", x.ID, d)
		}
	}
	round := o.Request[strings.LastIndex(o.Request, "/")+1:]
	for n := range slices.Values(slices.Sorted(maps.Keys(x.ledger))) {
		if n[strings.LastIndex(n, "/")+1:] < round && !x.told[n] {
			w.t.Fatalf("%s is asked for round %s although it never answered for %s", x.ID, round, n)
		}
	}
	last := slices.MaxFunc(e.Plan.Systems, func(a, b PlannedSystem) int { return a.Order - b.Order }).Order
	if x.Order < last {
		return
	}
	for _, p := range e.Plan.Systems {
		if o := w.systems[p.System]; p.Order < last && p.Mandatory && !o.told[o.last] {
			w.t.Fatalf("%s, which holds the core identity, is asked before %s has erased", x.ID, o.ID)
		}
	}
}

// overtake lets another worker take the erasure and go on with it.
func (w *world) overtake() {
	w.overtaken++
	if err := w.engine.Advance(context.Background(), controller, theID); err != nil && !errors.Is(err, errCrash) {
		w.t.Fatalf("the other worker: %v", err)
	}
}

// advance does what is due, and gives the erasure as it stands then.
func (w *world) advance() *Erasure {
	w.t.Helper()
	if err := w.engine.Advance(context.Background(), controller, theID); err != nil {
		w.t.Fatalf("advance: %v", err)
	}
	return w.store.get()
}

// approve has as many people approve as must.
func (w *world) approve() {
	w.t.Helper()
	e := w.store.get()
	for n := range e.RequiredApprovals {
		if err := e.Approve(fmt.Sprintf("usr_%d", n), e.Plan.Hash, w.clock.Now()); err != nil {
			w.t.Fatalf("approve: %v", err)
		}
	}
	w.store.fence++
	w.store.put(e)
}

// due moves the clock to when there is work.
func (w *world) due() {
	if at, ok := w.store.get().NextWork(); ok && at.After(w.clock.Now()) {
		w.clock.Set(at)
	}
}

// finish goes through approval and grace, and works until the erasure ends or has tried n times.
func (w *world) finish(n int) *Erasure {
	w.t.Helper()
	for range n {
		if e := w.store.get(); e.State.Final() {
			return e
		} else if e.State == AwaitingApproval {
			w.approve()
		}
		w.due()
		w.advance()
	}
	return w.store.get()
}

func states(e *Erasure) string {
	var out []string
	for _, s := range e.Systems {
		out = append(out, s.System+"="+string(s.State))
	}
	return strings.Join(out, " ")
}

func wantState(t testing.TB, e *Erasure, want State) {
	t.Helper()
	if e.State != want {
		t.Fatalf("the erasure is %s, want %s (%s; %+v; %s)", e.State, want, states(e), e.Residuals, e.Reason)
	}
}
