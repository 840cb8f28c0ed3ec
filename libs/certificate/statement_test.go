package certificate_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/certificate"
)

func TestStatementRules(t *testing.T) {
	t.Parallel()
	type S = certificate.Statement
	nothing := func(s *S) {
		s.Verdict, s.Residuals, s.StartedTime = certificate.NothingFound, nil, certificate.Instant{}
		for i := range s.Systems {
			s.Systems[i].Datasets = nil
		}
	}
	complete := func(s *S) {
		s.Verdict = certificate.Complete
		s.Systems[0].Datasets[1] = certificate.Dataset{Dataset: "marks", Located: 3, Erased: 3}
	}
	unchanged := func(s *S) {
		s.Verdict, s.StartedTime = certificate.Complete, certificate.Instant{}
		for i := range s.Systems {
			s.Systems[i].Datasets = []certificate.Dataset{{Dataset: "logins", Located: 5, Unchanged: 5}}
		}
	}
	partial := func(s *S) {
		s.Verdict = certificate.Partial
		s.Systems[0].Datasets[0].Remaining = 1
		s.Residuals = []certificate.Residual{{System: "lms", Dataset: "assignments", Count: 1, Reason: "LEGAL_HOLD"}}
	}
	for _, tc := range []struct {
		name   string
		change func(*S)
		want   string // part of the error; empty where the statement is right
	}{
		{"kept on a ground", func(*S) {}, ""},
		{"complete", complete, ""},
		{"nothing found", nothing, ""},
		{"partial", partial, ""},
		{"partial: a system that was not reached", func(s *S) {
			s.Verdict = certificate.Partial
			s.Residuals = []certificate.Residual{{System: "telephony", Reason: "UNREACHABLE"}}
		}, ""},
		{"partial: one residual for a whole system", func(s *S) { partial(s); s.Residuals[0].Dataset = "" }, ""},
		{"more erased than located", func(s *S) { s.Systems[0].Datasets[0].Erased = 13 }, ""},
		{"clocks a second apart", func(s *S) { s.VerifiedTime = certificate.At(s.StartedTime.Add(-time.Second)) }, ""},

		{"all is kept and nothing was started", func(s *S) {
			s.Systems = s.Systems[:1]
			s.Systems[0].Datasets = s.Systems[0].Datasets[1:2]
			s.StartedTime = certificate.Instant{}
		}, ""},

		{"a dataset whose records another one dealt with", func(s *S) {
			complete(s)
			s.Systems[0].Datasets[2] = certificate.Dataset{Dataset: "logins", Located: 5, Unchanged: 5}
		}, ""},
		{"complete: all was as it should be already", unchanged, ""},
		{"kept beside what was as it should be already", func(s *S) {
			s.Systems[0].Datasets[1].Kept, s.Systems[0].Datasets[1].Unchanged = 1, 2
		}, ""},

		{"no controller", func(s *S) { s.Controller = "" }, "controller"},
		{"no erasure", func(s *S) { s.Erasure = "" }, "erasure"},
		{"no subject", func(s *S) { s.SubjectCommitment = "" }, "subjectCommitment"},
		{"no ground", func(s *S) { s.Ground = "" }, "ground"},
		{"no channel", func(s *S) { s.Channel = "" }, "channel"},
		{"no plan", func(s *S) { s.PlanHash = "" }, "planHash"},
		{"no verified time", func(s *S) { s.VerifiedTime = certificate.Instant{} }, "required"},
		{"no start though something was done", func(s *S) { s.StartedTime = certificate.Instant{} }, "startedTime"},
		{"started before the request", func(s *S) { s.RequestedTime = certificate.At(s.StartedTime.Add(time.Hour)); s.Approvals = nil }, "order"},
		{"verified before the start", func(s *S) { s.VerifiedTime = s.RequestedTime }, "order"},
		{"issued before it was verified", func(s *S) { s.IssuedTime = s.RequestedTime }, "order"},
		{"approved twice by one person", func(s *S) { s.Approvals[1].Person = s.Approvals[0].Person }, "same person"},
		{"approved after the start", func(s *S) { s.Approvals[0].Time = s.IssuedTime }, "between request and start"},
		{"system twice", func(s *S) { s.Systems[1].System = "lms" }, "listed twice"},
		{"dataset twice", func(s *S) { s.Systems[0].Datasets[1] = s.Systems[0].Datasets[0] }, "listed twice"},
		{"negative count", func(s *S) { s.Systems[0].Datasets[0].Erased = -1 }, "2^53"},
		{"count beyond 2^53", func(s *S) { s.Systems[0].Datasets[0].Located = 1 << 53 }, "2^53"},
		{"sum beyond 2^53", func(s *S) {
			s.Systems[0].Datasets[0].Erased, s.Systems[1].Datasets[0].Erased = 1<<53-1, 1<<53-1
		}, "2^53"},
		{"negative residual", func(s *S) { s.Residuals[0].Count = -1 }, "residual"},
		{"residual without reason", func(s *S) { s.Residuals[0].Reason = "" }, "residual"},
		{"kept without ground", func(s *S) { s.Systems[0].Datasets[1].KeptGround = "" }, "ground"},
		{"kept without article", func(s *S) { s.Systems[0].Datasets[1].KeptArticle = "" }, "article"},
		{"complete though something is kept", func(s *S) { s.Verdict = certificate.Complete }, "COMPLETE"},
		{"kept though nothing is", func(s *S) { complete(s); s.Verdict = certificate.CompleteWithKept }, "COMPLETE_WITH_KEPT"},
		{"complete though something remains", func(s *S) { complete(s); s.Systems[0].Datasets[0].Remaining = 1 }, "remains"},
		{"kept though something remains", func(s *S) { s.Systems[0].Datasets[0].Remaining = 1 }, "remains"},
		{"complete though one is unaccounted for", func(s *S) { complete(s); s.Systems[0].Datasets[0].Erased = 11 }, "unaccounted"},
		{"complete though one is neither erased nor unchanged", func(s *S) { unchanged(s); s.Systems[1].Datasets[0].Unchanged = 4 }, "unaccounted"},
		{"complete though something unchanged is left", func(s *S) { unchanged(s); s.Systems[1].Datasets[0].Remaining = 1 }, "remains"},
		{"nothing found though something was unchanged", func(s *S) {
			unchanged(s)
			s.Verdict, s.Residuals = certificate.NothingFound, nil
		}, "NOTHING_FOUND"},
		{"negative unchanged", func(s *S) { s.Systems[0].Datasets[0].Unchanged = -1 }, "2^53"},
		{"unchanged beyond 2^53", func(s *S) {
			s.Systems[0].Datasets[0].Unchanged, s.Systems[1].Datasets[0].Unchanged = 1<<53-1, 1<<53-1
		}, "2^53"},
		{"complete though a residual stays", func(s *S) { complete(s); s.Residuals[0].ExpiresTime = certificate.Instant{} }, "expire"},
		{"complete though nothing was done", func(s *S) { nothing(s); s.Verdict = certificate.Complete }, "COMPLETE"},
		{"nothing found though located", func(s *S) { s.Verdict = certificate.NothingFound }, "NOTHING_FOUND"},
		{"partial without residual", func(s *S) { partial(s); s.Residuals = nil }, "no residual"},
		{"partial naming another dataset", func(s *S) { partial(s); s.Residuals[0].Dataset = "marks" }, "without naming"},
		{"unknown verdict", func(s *S) { s.Verdict = "DONE" }, "unknown"},
		{"no limits", func(s *S) { s.DoesNotProve = nil }, "doesNotProve"},
		{"limit in one language", func(s *S) { s.DoesNotProve[0].Da = "" }, "languages"},
	} {
		s := statement()
		tc.change(&s)
		err := s.Validate()
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", tc.name, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: error = %v, want one with %q", tc.name, err, tc.want)
		}
	}
}

// TestIssueRefusesWrongStatement shows that Validate stands in the way of Issue, too.
func TestIssueRefusesWrongStatement(t *testing.T) {
	t.Parallel()
	s := statement()
	s.Systems[0].Datasets[0].Remaining = 1
	log := newLog(t, logName, 2)
	log.add(leaf(t, s))
	_, err := certificate.Issue(s, log.prove(0), newSigner(t, signerName, 1))
	wantCheck(t, "remaining", err, certificate.CheckStatement)
}

// TestIssueVerifies issues certificates of arbitrary counts and log shapes, and verifies them pinned.
func TestIssueVerifies(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, signerName, 1)
	rapid.Check(t, func(r *rapid.T) {
		s := statement()
		count := rapid.Int64Range(0, 1<<40)
		for i := range s.Systems {
			for j := range s.Systems[i].Datasets {
				d := &s.Systems[i].Datasets[j]
				d.Dataset = rapid.StringN(1, 20, 60).Draw(r, "dataset") + string(rune('a'+j))
				d.Erased, d.Anonymised = count.Draw(r, "erased"), count.Draw(r, "anonymised")
				d.Kept, d.KeptGround, d.KeptArticle = 1+count.Draw(r, "kept"), "LEGAL_OBLIGATION", "17(3)(b)"
				d.Unchanged = count.Draw(r, "unchanged")
				d.Located = d.Erased + d.Anonymised + d.Kept + d.Unchanged
			}
		}
		log := newLog(t, logName, 2)
		size := rapid.IntRange(1, 70).Draw(r, "size")
		index := rapid.IntRange(0, size-1).Draw(r, "index")
		for i := range size {
			if i == index {
				log.add(leaf(t, s))
			} else {
				log.add([]byte{byte(i)})
			}
		}
		file, err := certificate.Issue(s, log.prove(uint64(index)), signer)
		if err != nil {
			r.Fatal(err)
		}
		trust := certificate.Trust{CertificateKeys: []string{signer.VerifierKey()}, LogKeys: []string{log.key}}
		report, err := certificate.Verify(file, trust)
		if err != nil || !report.Pinned {
			r.Fatalf("pinned = %v, error = %v", report.Pinned, err)
		}
	})
}

func TestInstant(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 3600)
	for in, want := range map[time.Time]string{
		time.Date(2026, 11, 21, 10, 0, 0, 0, zone):              `"2026-11-21T09:00:00Z"`,
		time.Date(2026, 11, 21, 10, 0, 0, 1999, zone):           `"2026-11-21T09:00:00.000001Z"`,
		time.Date(2026, 11, 21, 9, 0, 0, 250_000_000, time.UTC): `"2026-11-21T09:00:00.25Z"`,
	} {
		got, err := json.Marshal(certificate.At(in))
		if err != nil || string(got) != want {
			t.Errorf("%v: %s, %v; want %s", in, got, err, want)
		}
		var back certificate.Instant
		if err := json.Unmarshal(got, &back); err != nil || !back.Equal(certificate.At(in).Time) {
			t.Errorf("%s reads back as %v, %v", got, back, err)
		}
	}
	for _, bad := range []string{`5`, `null`, `""`, `"2026-11-21"`, `"2026-11-21T09:00:00"`, `"2026-11-21T09:00:00+00:00"`,
		`"2026-11-21T09:00:00.10Z"`, `"2026-11-21T09:00:00.1234567Z"`, `"2026-02-30T09:00:00Z"`, `"2026-11-21T09:00:00,1Z"`} {
		var i certificate.Instant
		if err := json.Unmarshal([]byte(bad), &i); err == nil {
			t.Errorf("%s is accepted as %v", bad, i)
		}
	}
	if _, err := json.Marshal(certificate.At(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))); err == nil {
		t.Error("a year of five digits is written")
	}
}
