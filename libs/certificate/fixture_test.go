package certificate_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	tlogfmt "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/privacyops/privacyops/libs/certificate"
)

// key returns the Ed25519 key of a seed made of one byte, so that golden files stay the same.
func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func newSigner(tb testing.TB, name string, seed byte) *certificate.Signer {
	tb.Helper()
	s, err := certificate.NewSigner(name, key(seed))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// testLog is a transparency log in memory. It is built with x/mod's tlog, and the product verifies with another implementation.
type testLog struct {
	tb      testing.TB
	signer  note.Signer
	key     string
	entries [][]byte
	hashes  []tlog.Hash
}

func newLog(tb testing.TB, name string, seed byte) *testLog {
	tb.Helper()
	skey, vkey, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{seed}, 64)), name)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		tb.Fatal(err)
	}
	return &testLog{tb: tb, signer: signer, key: vkey}
}

// ReadHashes makes the log a [tlog.HashReader].
func (l *testLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = l.hashes[x]
	}
	return out, nil
}

func (l *testLog) add(entry []byte) uint64 {
	l.tb.Helper()
	n := int64(len(l.entries))
	hashes, err := tlog.StoredHashes(n, entry, l)
	if err != nil {
		l.tb.Fatal(err)
	}
	l.entries, l.hashes = append(l.entries, entry), append(l.hashes, hashes...)
	return uint64(n)
}

// checkpoint returns the signed head of the first size entries.
func (l *testLog) checkpoint(origin string, size uint64) string {
	l.tb.Helper()
	root, err := tlog.TreeHash(int64(size), l)
	if err != nil {
		l.tb.Fatal(err)
	}
	return l.signed(tlogfmt.Checkpoint{Origin: origin, Size: size, Hash: root[:]})
}

func (l *testLog) signed(c tlogfmt.Checkpoint) string {
	l.tb.Helper()
	b, err := note.Sign(&note.Note{Text: string(c.Marshal())}, l.signer)
	if err != nil {
		l.tb.Fatal(err)
	}
	return string(b)
}

// prove returns the Log of a certificate whose entry is at index, in a tree of all entries.
func (l *testLog) prove(index uint64) certificate.Log {
	l.tb.Helper()
	size := uint64(len(l.entries))
	proof, err := tlog.ProveRecord(int64(size), int64(index), l)
	if err != nil {
		l.tb.Fatal(err)
	}
	out := certificate.Log{
		Key: l.key, Leaf: l.entries[index], Index: index, TreeSize: size,
		Checkpoint: l.checkpoint(l.signer.Name(), size),
	}
	for _, h := range proof {
		out.Hashes = append(out.Hashes, h[:])
	}
	return out
}

// leaf returns an audit entry that announces the statement.
func leaf(tb testing.TB, s certificate.Statement) []byte {
	tb.Helper()
	hash, err := certificate.StatementHash(s)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := json.Marshal(map[string]any{
		"action": "erasure.certified", "controller": s.Controller, "resource": s.Erasure,
		"detail": map[string]string{"statementSha256": hash, "verdict": string(s.Verdict)},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

const (
	signerName = "privacyops.example/certificates"
	logName    = "privacyops.example/audit"
)

// fixture is one certificate with everything that went into it.
type fixture struct {
	statement certificate.Statement
	log       *testLog
	proof     certificate.Log
	signer    *certificate.Signer
	file      []byte
}

func (f fixture) trust() certificate.Trust {
	return certificate.Trust{CertificateKeys: []string{f.signer.VerifierKey()}, LogKeys: []string{f.log.key}}
}

// newFixture issues a certificate whose announcement is entry 11 of a log of 23.
func newFixture(tb testing.TB) fixture {
	tb.Helper()
	f := fixture{statement: statement(), log: newLog(tb, logName, 2), signer: newSigner(tb, signerName, 1)}
	const index, size = 11, 23
	for i := range size {
		if i == index {
			f.log.add(leaf(tb, f.statement))
			continue
		}
		f.log.add(fmt.Appendf(nil, `{"action":"other","n":%d}`, i))
	}
	f.proof = f.log.prove(index)
	var err error
	if f.file, err = certificate.Issue(f.statement, f.proof, f.signer); err != nil {
		tb.Fatal(err)
	}
	return f
}

func at(s string) certificate.Instant {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return certificate.At(t)
}

// statement returns a statement that is right in itself: two systems, something kept, one back-up copy that expires.
func statement() certificate.Statement {
	return certificate.Statement{
		Controller:        "north-school",
		Erasure:           "controllers/north-school/erasures/01980f0e-8a3c-7d11-9d8e-0a4c55d1c0de",
		SubjectCommitment: "b2f1c6c1a3f0e4d59c1de0f4a2b4c6d8e0f1a2b3c4d5e6f708192a3b4c5d6e7f",
		Ground:            "CONSENT_WITHDRAWN",
		Channel:           "MANUAL",
		PlanHash:          "6d1f4b2f0c3a5e7d9b8a7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f",
		RequestedTime:     at("2026-11-21T09:00:00Z"),
		Approvals: []certificate.Approval{
			{Person: "person:5c0de1", Time: at("2026-11-21T09:30:00Z")},
			{Person: "person:7ab1e2", Time: at("2026-11-21T10:00:00.25Z")},
		},
		StartedTime:  at("2026-11-22T10:00:00Z"),
		VerifiedTime: at("2026-11-22T10:05:00.000001Z"),
		IssuedTime:   at("2026-11-22T10:05:01Z"),
		Systems: []certificate.System{
			{System: "lms", DataMapDigest: "sha256:aa11", Datasets: []certificate.Dataset{
				{Dataset: "assignments", Activity: "teaching", Located: 12, Erased: 12},
				{Dataset: "marks", Activity: "examination", Located: 3, Kept: 3, KeptGround: "LEGAL_OBLIGATION", KeptArticle: "17(3)(b)"},
				{Dataset: "usage <clicks> & time", Activity: "statistics", Located: 400, Erased: 1, Anonymised: 399},
				{Dataset: "guardian contacts", Activity: "teaching", Located: 2, Erased: 1, Unchanged: 1},
			}},
			{System: "support-desk", DataMapDigest: "sha256:bb22", Datasets: []certificate.Dataset{
				{Dataset: "tickets – æøå", Activity: "support", Located: 2, Erased: 2},
			}},
		},
		Residuals: []certificate.Residual{
			{System: "lms", Dataset: "assignments", Count: 12, Reason: "BACKUP", ExpiresTime: at("2026-12-22T00:00:00Z")},
		},
		Verdict:      certificate.CompleteWithKept,
		DoesNotProve: certificate.Limits(),
	}
}
