package rpc_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// The model: what people have said about one activity, as a plain list.
type (
	model struct {
		now  time.Time
		acts int
		said []*said
	}
	said struct {
		name      string
		refs      []string
		alone     bool // a child's, without a guardian
		ends      time.Time
		given     int
		withdrawn int
	}
)

func (m *model) act() int { m.acts++; return m.acts }

func (m *model) of(refs []string) []*said {
	return slices.DeleteFunc(slices.Clone(m.said), func(x *said) bool {
		return !slices.ContainsFunc(refs, func(r string) bool { return slices.Contains(x.refs, r) })
	})
}

func contains(all, some []string) bool {
	return !slices.ContainsFunc(some, func(r string) bool { return !slices.Contains(all, r) })
}

// withdraw ends the given ones, and what is certainly the same person's.
func (m *model) withdraw(named []*said) {
	act := m.act()
	open := slices.DeleteFunc(slices.Clone(named), func(n *said) bool { return n.withdrawn > 0 })
	for _, x := range m.said {
		for _, n := range open {
			if x.withdrawn == 0 && (contains(x.refs, n.refs) || contains(n.refs, x.refs)) {
				x.withdrawn = act
			}
		}
	}
}

// answer is the reason for a question about the identifiers.
func (m *model) answer(refs []string) pb.Decision_Reason {
	var last *said
	for _, x := range m.of(refs) {
		later := last == nil || max(x.given, x.withdrawn) > max(last.given, last.withdrawn) ||
			max(x.given, x.withdrawn) == max(last.given, last.withdrawn) && x.given > last.given
		if last == nil || last.alone && !x.alone || last.alone == x.alone && later {
			last = x
		}
	}
	switch {
	case last == nil:
		return pb.Decision_NO_CONSENT
	case last.withdrawn > 0:
		return pb.Decision_CONSENT_WITHDRAWN
	case !last.ends.IsZero() && !m.now.Before(last.ends):
		return pb.Decision_CONSENT_EXPIRED
	case last.alone:
		return pb.Decision_GUARDIAN_CONSENT_REQUIRED
	}
	return pb.Decision_CONSENT_HOLDS
}

// Random sequences of giving, withdrawing, expiring and asking always get the model's answers.
func TestAnswersFollowTheModel(t *testing.T) {
	t.Parallel()
	s, run := ready(t), 0
	rapid.Check(t, func(r *rapid.T) {
		run++ // other people in each run, so that one database will do
		m, people := &model{now: s.clock.Now().Truncate(time.Microsecond)}, []string{"u1", "u2", "e1", "mail"}
		for i := range people {
			people[i] += "-" + strconv.Itoa(run)
		}
		some := func() []string {
			return rapid.SliceOfNDistinct(rapid.SampledFrom(people), 1, 3, rapid.ID).Draw(r, "identifiers")
		}
		verify := func(refs []string) {
			if got, want := s.check("photos", refs...).GetReason(), m.answer(refs); got != want {
				r.Fatalf("%v: %s, want %s", refs, got, want)
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"give": func(r *rapid.T) {
				x := &said{refs: some(), alone: rapid.Bool().Draw(r, "alone")}
				req := s.giving(x.refs...)
				if x.alone {
					req.GivenBy.Capacity, req.SubjectBirthDate = pb.GivenBy_SELF, "2020-01-01"
				}
				if seconds := rapid.IntRange(0, 3).Draw(r, "seconds"); seconds > 0 {
					x.ends = m.now.Add(time.Duration(seconds) * time.Second)
					req.ExpireTime = timestamppb.New(x.ends)
				}
				x.name, x.given = must[*pb.Consent](t)(s.Consents.GiveConsent(t.Context(), req)).GetName(), m.act()
				m.said = append(m.said, x)
			},
			"withdraw by name": func(r *rapid.T) {
				if len(m.said) == 0 {
					r.Skip("nobody has said anything")
				}
				x := rapid.SampledFrom(m.said).Draw(r, "consent")
				c := must[*pb.Consent](t)(s.Consents.WithdrawConsent(t.Context(), &pb.WithdrawConsentRequest{Name: x.name}))
				m.withdraw([]*said{x})
				if c.GetState() != pb.Consent_WITHDRAWN || c.GetName() != x.name {
					r.Fatalf("withdrew %v", c)
				}
			},
			"withdraw by person": func(r *rapid.T) {
				refs := some()
				if len(m.of(refs)) == 0 {
					r.Skip("the person has said nothing")
				}
				if c := s.withdrawOf(refs...); c.GetState() != pb.Consent_WITHDRAWN {
					r.Fatalf("withdrew %v", c)
				}
				m.withdraw(m.of(refs))
			},
			"wait":  func(*rapid.T) { m.now = m.now.Add(time.Second); s.clock.Set(m.now) },
			"check": func(*rapid.T) { verify(some()) },
			"": func(r *rapid.T) {
				batch := &pb.BatchCheckLegalBasisRequest{Parent: "controllers/a"}
				for _, p := range people {
					batch.Checks = append(batch.Checks, &pb.CheckLegalBasisRequest{Subjects: pupil(p), Activity: "photos"})
				}
				for i, d := range must[*pb.BatchCheckLegalBasisResponse](t)(s.Basis.BatchCheckLegalBasis(t.Context(), batch)).GetDecisions() {
					if want := m.answer(people[i : i+1]); d.GetReason() != want {
						r.Fatalf("%s: %s, want %s", people[i], d.GetReason(), want)
					}
				}
			},
		})
	})
}
