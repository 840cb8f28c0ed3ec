package rpc_test

import (
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/server"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typepb "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

// The model of everything that people can say: plain lists of what was said, under pseudonyms.
type (
	world struct {
		consents []*agreement
		demands  []*demand
		namings  [][]string
		primary  map[string]bool
		shared   map[string]bool
		acts     int
	}
	agreement struct {
		name             string
		refs             []string
		given, withdrawn int
	}
	demand struct {
		name     string
		refs     []string
		activity string // empty: all
		says     pb.Decision_Reason
		over     bool
	}
)

// person lists the identifiers that a chain of namings joins, in order.
func (w *world) person(ref string) []string {
	all := []string{ref}
	for i := 0; i < len(all) && !w.shared[ref]; i++ {
		for _, naming := range w.namings {
			for _, other := range naming {
				if slices.Contains(naming, all[i]) && !w.shared[other] && !slices.Contains(all, other) {
					all = append(all, other)
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// chief stands for a person: the primary identifier, or else the first.
func (w *world) chief(ref string) string {
	all := w.person(ref)
	if i := slices.IndexFunc(all, func(r string) bool { return w.primary[r] }); i >= 0 {
		return all[i]
	}
	return all[0]
}

func (w *world) chiefs(refs []string) (out []string) {
	for _, ref := range refs {
		out = append(out, w.chief(ref))
	}
	return out
}

// everybody lists all identifiers of the people behind some.
func (w *world) everybody(refs []string) (out []string) {
	for _, ref := range refs {
		out = append(out, w.person(ref)...)
	}
	return out
}

// link adds a naming, unless it holds two persons. It marks who turns out to be several.
func (w *world) link(refs []string) bool {
	var own, met []string
	for _, ref := range refs {
		if w.primary[ref] {
			own = append(own, ref)
		}
		if chief := w.chief(ref); w.primary[chief] && !slices.Contains(met, chief) {
			met = append(met, chief)
		}
	}
	if len(own) > 1 {
		return false
	}
	var several []string
	for _, ref := range refs {
		if chief := w.chief(ref); len(met) > 1 && w.primary[chief] && !slices.Contains(own, chief) {
			several = append(several, ref)
		}
	}
	for _, ref := range several {
		w.shared[ref] = true
	}
	w.namings = append(w.namings, refs)
	return true
}

func meet(a, b []string) bool {
	return slices.ContainsFunc(a, func(r string) bool { return slices.Contains(b, r) })
}

// of lists a person's consents.
func (w *world) of(refs []string) []*agreement {
	all := w.everybody(refs)
	return slices.DeleteFunc(slices.Clone(w.consents), func(c *agreement) bool { return !meet(c.refs, all) })
}

// withdraw ends consents, and those that are certainly the same people's.
func (w *world) withdraw(named []*agreement) {
	w.acts++
	open := slices.DeleteFunc(slices.Clone(named), func(c *agreement) bool { return c.withdrawn > 0 })
	for _, c := range w.consents {
		for _, n := range open {
			theirs, these := w.chiefs(c.refs), w.chiefs(n.refs)
			if c.withdrawn == 0 && (contains(theirs, these) || contains(these, theirs)) {
				c.withdrawn = w.acts
			}
		}
	}
}

// answer is the reason of a decision.
func (w *world) answer(activity string, refs []string) pb.Decision_Reason {
	all := w.everybody(refs)
	for _, says := range []pb.Decision_Reason{pb.Decision_SUBJECT_ERASED, pb.Decision_RESTRICTED, pb.Decision_OBJECTED} {
		if slices.ContainsFunc(w.demands, func(d *demand) bool {
			return d.says == says && !d.over && (d.activity == "" || d.activity == activity) && meet(d.refs, all)
		}) {
			return says
		}
	}
	if activity != "photos" {
		return pb.Decision_LEGAL_BASIS_HOLDS
	}
	var last *agreement
	for _, c := range w.of(refs) {
		if last == nil || max(c.given, c.withdrawn) > max(last.given, last.withdrawn) ||
			max(c.given, c.withdrawn) == max(last.given, last.withdrawn) && c.given > last.given {
			last = c
		}
	}
	switch {
	case last == nil:
		return pb.Decision_NO_CONSENT
	case last.withdrawn > 0:
		return pb.Decision_CONSENT_WITHDRAWN
	}
	return pb.Decision_CONSENT_HOLDS
}

// people of one run: two with a primary identifier, and three addresses.
type people struct {
	subjects []*typepb.Subject
	refs     []string
}

func (s *suite) people(run int) (p people) {
	for i, kind := range []typepb.Subject_Type{typepb.Subject_UNILOGIN, typepb.Subject_UNILOGIN, typepb.Subject_EMAIL, typepb.Subject_EMAIL, typepb.Subject_EMAIL} {
		one := &typepb.Subject{Type: kind, Value: "p" + strconv.Itoa(i) + "-" + strconv.Itoa(run)}
		p.subjects = append(p.subjects, one)
		p.refs = append(p.refs, s.keyring.Subject("a", kind.String(), one.GetValue()))
	}
	return p
}

// pick draws some of them.
func (p people) pick(r *rapid.T, least int) (subjects []*typepb.Subject, refs []string) {
	for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(p.refs)-1), least, 3, rapid.ID).Draw(r, "people") {
		subjects, refs = append(subjects, p.subjects[i]), append(refs, p.refs[i])
	}
	return subjects, refs
}

// demanded adds what people demand, under their identifiers and what stands for them.
func (w *world) demanded(name, activity string, says pb.Decision_Reason, refs []string) {
	w.demands = append(w.demands, &demand{name: name, activity: activity, says: says, refs: append(slices.Clone(refs), w.chiefs(refs)...)})
}

// still draws a demand of a kind that is not over; nil where there is none.
func (w *world) still(r *rapid.T, says pb.Decision_Reason) *demand {
	open := slices.DeleteFunc(slices.Clone(w.demands), func(d *demand) bool { return d.over || d.says != says })
	if len(open) == 0 {
		return nil
	}
	return rapid.SampledFrom(open).Draw(r, "demand")
}

// Random sequences of everything that people can say, and of who is said to be who, always get the model's answers.
func TestDemandsFollowTheModel(t *testing.T) {
	t.Parallel()
	s, run := ready(t), 0
	rapid.Check(t, func(r *rapid.T) {
		run++
		p, w := s.people(run), &world{primary: map[string]bool{}, shared: map[string]bool{}}
		w.primary[p.refs[0]], w.primary[p.refs[1]] = true, true
		r.Repeat(map[string]func(*rapid.T){
			"give": func(r *rapid.T) {
				req := s.giving()
				var refs []string
				req.Subjects, refs = p.pick(r, 1)
				c := must[*pb.Consent](t)(s.Consents.GiveConsent(t.Context(), req))
				w.acts++
				w.consents = append(w.consents, &agreement{name: c.GetName(), refs: refs, given: w.acts})
			},
			"withdraw": func(r *rapid.T) {
				subjects, refs := p.pick(r, 1)
				named := w.of(refs)
				if len(named) == 0 {
					r.Skip("the person has said nothing")
				}
				must[*pb.Consent](t)(s.Consents.WithdrawConsentOf(t.Context(), &pb.WithdrawConsentOfRequest{Parent: "controllers/a", Subjects: subjects, Activity: "photos"}))
				w.withdraw(named)
			},
			"withdraw by name": func(r *rapid.T) {
				if len(w.consents) == 0 {
					r.Skip("nobody has said anything")
				}
				c := rapid.SampledFrom(w.consents).Draw(r, "consent")
				must[*pb.Consent](t)(s.Consents.WithdrawConsent(t.Context(), &pb.WithdrawConsentRequest{Name: c.name}))
				w.withdraw([]*agreement{c})
			},
			"restrict": func(r *rapid.T) {
				subjects, refs := p.pick(r, 1)
				activity := rapid.SampledFrom([]string{"", "photos", "learning"}).Draw(r, "activity")
				made := must[*pb.Restriction](t)(s.Rights.CreateRestriction(t.Context(), &pb.CreateRestrictionRequest{Parent: "controllers/a",
					Subjects: subjects, Activity: activity, Ground: pb.Restriction_ACCURACY_CONTESTED}))
				w.demanded(made.GetName(), activity, pb.Decision_RESTRICTED, refs)
			},
			"lift": func(r *rapid.T) {
				if d := w.still(r, pb.Decision_RESTRICTED); d != nil {
					s.lift(d.name)
					d.over = true
				}
			},
			"object": func(r *rapid.T) {
				subjects, refs := p.pick(r, 1)
				made := must[*pb.Objection](t)(s.Rights.CreateObjection(t.Context(), &pb.CreateObjectionRequest{Parent: "controllers/a", Subjects: subjects, Activity: "learning"}))
				w.demanded(made.GetName(), "learning", pb.Decision_OBJECTED, refs)
			},
			"reject": func(r *rapid.T) {
				if d := w.still(r, pb.Decision_OBJECTED); d != nil {
					s.resolve(d.name, pb.ResolveObjectionRequest_REJECTED)
					d.over = true
				}
			},
			"erase": func(r *rapid.T) {
				if rapid.IntRange(0, 9).Draw(r, "seldom") == 0 {
					_, refs := p.pick(r, 1)
					s.erase(refs...)
					w.demanded("", "", pb.Decision_SUBJECT_ERASED, refs)
				}
			},
			"link": func(r *rapid.T) {
				subjects, refs := p.pick(r, 2)
				got, err := s.Consents.LinkSubjects(t.Context(), s.linking(subjects...))
				if w.link(refs) != (err == nil) {
					r.Fatalf("%v: %v", refs, server.Fault(err))
				}
				if err == nil && !slices.Equal(sorted(got.GetSharedRefs()), sorted(slices.DeleteFunc(slices.Clone(refs), func(ref string) bool { return !w.shared[ref] }))) {
					r.Fatalf("shared are %v", got.GetSharedRefs())
				}
			},
			"": func(r *rapid.T) {
				subjects, refs := p.pick(r, 1)
				for _, activity := range []string{"photos", "learning"} {
					d := must[*pb.Decision](t)(s.Basis.CheckLegalBasis(t.Context(), &pb.CheckLegalBasisRequest{Parent: "controllers/a", Subjects: subjects, Activity: activity}))
					if want := w.answer(activity, refs); d.GetReason() != want {
						r.Fatalf("%s of %v: %s, want %s", activity, refs, d.GetReason(), want)
					}
				}
			},
		})
	})
}

func sorted(refs []string) []string {
	slices.Sort(refs)
	return refs
}
