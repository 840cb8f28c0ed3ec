package roster_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/privacyops/privacyops/services/erasure/internal/roster"
)

// FuzzParse expects that any input gives a whole extract or one of the package's errors, and that an extract keeps its own rules.
func FuzzParse(f *testing.F) {
	f.Add([]byte(doc{soap: true, groups: []string{"4a"}, entries: []string{student("a"), entry("X", person("a"), employee), entry("Y", extern)}}.String()))
	f.Add([]byte(doc{years: []string{}}.String()))
	f.Add([]byte(`<UNILoginExportSmall exportDateTime="2026-11-21T04:12:00"><Institution><InstitutionNumber>A</InstitutionNumber></Institution></UNILoginExportSmall>`))
	f.Add([]byte(`<!DOCTYPE x [<!ENTITY a "b">]><Envelope>&a;</Envelope>`))
	f.Fuzz(func(t *testing.T, in []byte) {
		x, err := roster.Parse(bytes.NewReader(in), roster.Limits{MaxBytes: 1 << 16, MaxPeople: 50, MaxText: 64})
		if err != nil {
			var failure *roster.ParseError
			if !errors.As(err, &failure) || errors.Is(err, roster.ErrRead) {
				t.Fatalf("unexpected error %v", err)
			}
			if x.Truncated != errors.Is(err, roster.ErrTruncated) {
				t.Fatalf("truncated = %v with the error %v", x.Truncated, err)
			}
			return
		}
		seen := map[roster.UserID]bool{}
		for _, p := range x.People {
			if p.UserID == "" || seen[p.UserID] || len(p.UserID) > 64 {
				t.Fatal("a person has no user name, or the same as another, or too long a one")
			}
			seen[p.UserID] = true
		}
		if x.Institution == "" || x.ExportTime.IsZero() || len(x.People)+x.WithoutPerson > 50 {
			t.Fatalf("an extract of %q at %v with %d entries", x.Institution, x.ExportTime, len(x.People)+x.WithoutPerson)
		}
	})
}
