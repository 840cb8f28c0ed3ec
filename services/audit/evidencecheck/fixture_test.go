package evidencecheck

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/privacyops/privacyops/libs/certificate"
	"github.com/privacyops/privacyops/libs/logkey"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/entryline"
	"github.com/privacyops/privacyops/services/audit/internal/evidence"
	"github.com/privacyops/privacyops/services/audit/internal/evidencereport"
)

// begin is the begin of the period; a day of it is a day of entries.
var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// world is a log with the entries of two controllers, and the services that a package is made from.
type world struct {
	testing.TB
	signer    note.Signer
	key       string
	made      int // of the controller, number 1 being before the period and the last one after it
	unsealed  bool
	log       *bigLog
	later     []*bigLog // shards after the first one
	cuts      []int     // where they begin
	secret    string
	sealedKey []byte
	policy    []byte // of the witnesses; nil: there are none
	cosigners []note.Signer
	fewer     map[int]int // how many of them sign the checkpoint of a shard, where not all do
}

// reader makes the same random numbers for the same seed, so that packages can be compared.
type reader struct{ n byte }

func (r *reader) Read(p []byte) (int, error) {
	for i := range p {
		r.n = r.n*31 + 7
		p[i] = r.n
	}
	return len(p), nil
}

// newWorld makes a log of 2*made entries; at each of the cuts it goes on with a shard.
func newWorld(t testing.TB, made int, cuts ...int) *world {
	t.Helper()
	secret, public, err := note.GenerateKey(&reader{}, "log.example/audit")
	must(t, err)
	signer, err := note.NewSigner(secret)
	must(t, err)
	w := &world{TB: t, signer: signer, key: public, made: made, log: &bigLog{}, cuts: cuts, secret: secret, sealedKey: bytes.Repeat([]byte{9}, 32)}
	for i := range 2 * made { // every other one is the other controller's
		raw, err := w.entry(i).Leaf()
		must(t, err)
		if len(w.later) < len(cuts) && cuts[len(w.later)] == i {
			w.later = append(w.later, &bigLog{})
		}
		log := w.log
		if len(w.later) > 0 {
			log = w.later[len(w.later)-1]
		}
		must(t, log.add(raw))
	}
	return w
}

// within is the same world for one run of a fuzz target.
func (w *world) within(t testing.TB) *world {
	same := *w
	same.TB = t
	return &same
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// entry is the entry at an index of the log: of `north` at odd ones.
func (w *world) entry(index int) audit.Entry {
	number := uint64(index/2 + 1)
	controller := audit.ControllerID([]string{"south", "north"}[index%2])
	// The first is before the period, the last after it, the others spread over a year.
	at := begin.Add(-time.Hour)
	if n := int(number); n == w.made {
		at = begin.AddDate(1, 0, 0).Add(time.Hour)
	} else if n > 1 {
		at = begin.Add(time.Duration(n-2) * (365 * 24 * time.Hour / time.Duration(max(w.made, 3))))
	}
	id := fmt.Sprintf("0190d3c0-0000-7000-8000-%012x", index)
	e := audit.Event{ID: audit.EventID(id), Controller: controller, Service: "consent", OccurredTime: at, Outcome: audit.OutcomeOK,
		Actor: audit.Actor{Kind: audit.ActorCaller, Ref: "usr_1", Roles: []string{"dpo"}}, Action: "activity.get", Kind: audit.KindView,
		Resource: "controllers/" + string(controller) + "/activities/photos"}
	switch number % 10 {
	case 3:
		e.Outcome, e.Reason = audit.OutcomeDenied, "ROLE_MISSING"
	case 4:
		e.Action, e.Kind = "session.begin", audit.KindLogin
	case 5:
		e.Action, e.Kind = "legal_basis.check", audit.KindDecision
		e.Detail = map[string]string{"decision": []string{"ALLOW", "DENY"}[number/10%2], "reason": "CONSENT_GIVEN"}
	case 6:
		e = w.sealed(e)
	case 7:
		e.Action, e.Kind = "erasure.approve", audit.KindModify
	}
	return audit.Entry{Event: e.Canonical(), ReceivedTime: at, ControllerSequence: number}
}

// sealed seals an event as the keys of people do.
func (w *world) sealed(e audit.Event) audit.Event {
	e.SubjectRefs = []audit.SubjectRef{"sub_0123456789abcdef0123456789abcdef01234567"}
	plain := e.Secret()
	bound := e
	bound.People = []audit.KeyID{{1, 2, 3}}
	block, err := aes.NewCipher(w.sealedKey)
	must(w, err)
	aead, err := cipher.NewGCM(block)
	must(w, err)
	return e.Sealing(bound.People, aead.Seal(make([]byte, 16), make([]byte, 12), plain, bound.Binding()))
}

// Span and Following implement evidence.Entries.
func (w *world) Span(context.Context, evidence.ControllerID, time.Time, time.Time) (evidence.Span, error) {
	return evidence.Span{Before: evidence.Cursor{Received: begin.Add(-time.Hour), Number: 1}, After: uint64(w.made),
		AfterIndex: uint64(2*w.made - 1), Events: int64(w.made - 2)}, nil
}

func (w *world) Following(_ context.Context, _ evidence.ControllerID, after evidence.Cursor, limit int) (out []evidence.Entry, err error) {
	for n := after.Number + 1; n <= uint64(w.made) && len(out) < limit; n++ {
		index := int(2*n - 1)
		e := w.entry(index)
		leaf, err := e.Leaf()
		if err != nil {
			return nil, err
		}
		out = append(out, evidence.Entry{Cursor: evidence.Cursor{Received: e.ReceivedTime, Number: n}, Index: uint64(index), Leaf: leaf})
	}
	return out, nil
}

// Shards, Tile, Public and Policy implement evidence.Log.
func (w *world) Shards(context.Context, uint64) (out []evidence.Shard, err error) {
	for i, log := range append([]*bigLog{w.log}, w.later...) {
		root, err := tlog.TreeHash(log.size, tlog.HashReaderFunc(log.read))
		if err != nil {
			return nil, err
		}
		s := evidence.Shard{Origin: "log.example/audit"}
		signer := w.signer
		if i > 0 {
			s.Year, s.First = 2025+i, uint64(w.cuts[i-1])
			s.Origin = fmt.Sprintf("log.example/audit/%d", s.Year)
			signer = w.shardSigner(s.Origin)
		}
		signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", s.Origin, log.size, root)}, append([]note.Signer{signer}, w.signing(i)...)...)
		if err != nil {
			return nil, err
		}
		s.Head = evidence.Head{Size: uint64(log.size), Root: root[:], Checkpoint: signed}
		out = append(out, s)
	}
	return out, nil
}

// signing are the witnesses that sign the checkpoint of a shard.
func (w *world) signing(shard int) []note.Signer {
	if n, some := w.fewer[shard]; some {
		return w.cosigners[:n]
	}
	return w.cosigners
}

// shardSigner is the log's key under another name.
func (w *world) shardSigner(origin string) note.Signer {
	parts := strings.SplitN(w.key, "+", 3)
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	must(w, err)
	seed := w.secret[strings.LastIndex(w.secret, "+")+1:]
	signer, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", origin, logkey.Hash(origin, raw), seed))
	must(w, err)
	return signer
}

func (w *world) Tile(_ context.Context, year int, level, index uint64, width uint8) ([]byte, error) {
	log := w.log
	if year > 0 {
		log = w.later[year-2026]
	}
	n := int(width)
	if n == 0 {
		n = 256
	}
	return tlog.ReadTileData(tlog.Tile{H: 8, L: int(level), N: int64(index), W: n}, tlog.HashReaderFunc(log.read))
}

func (w *world) Public() string { return w.key }
func (w *world) Policy() []byte { return w.policy }

// EntryKey implements evidence.Keys: with unsealed there is the key, else it is destroyed.
func (w *world) EntryKey(_ context.Context, _ evidence.ControllerID, leaf []byte) ([]byte, error) {
	e, err := audit.ParseLeaf(leaf)
	if err != nil || len(e.Sealed) == 0 || !w.unsealed {
		return nil, err
	}
	return w.sealedKey, nil
}

// Controller and Versions implement evidence.Register.
func (w *world) Controller(context.Context, evidence.ControllerID) (evidence.Controller, error) {
	return evidence.Controller{DisplayName: "Nordskolen <b> & Co", RequiredApprovals: 2, GracePeriod: 24 * time.Hour, JSON: []byte(`{"name":"controllers/north"}`)}, nil
}

func (w *world) Versions(_ context.Context, _ evidence.ControllerID, _, _ time.Time, each func([]byte) error) error {
	return each([]byte(`{"activity":{"name":"controllers/north/activities/photos"}}`))
}

// Issued implements evidence.Certificates: one erasure of the period.
func (w *world) Issued(_ context.Context, _ evidence.ControllerID, _, _ time.Time, each func(string, []byte) error) error {
	file, err := w.certificate()
	if err != nil {
		return err
	}
	return each("0190d3c0-0000-7000-8000-00000000abcd", file)
}

// certificate issues one that a small tree of the same log's key holds.
func (w *world) certificate() ([]byte, error) {
	secret, _, err := note.GenerateKey(&reader{5}, "certificates.example")
	if err != nil {
		return nil, err
	}
	signer, err := certificate.ParseSigner(secret)
	if err != nil {
		return nil, err
	}
	at := begin.AddDate(0, 3, 0)
	s := certificate.Statement{Controller: "north", Erasure: "controllers/north/erasures/0190d3c0-0000-7000-8000-00000000abcd",
		SubjectCommitment: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", Ground: "CONSENT_WITHDRAWN", Channel: "API",
		PlanHash: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", RequestedTime: certificate.At(at),
		Approvals:   []certificate.Approval{{Person: "usr_1", Time: certificate.At(at.Add(time.Hour))}},
		StartedTime: certificate.At(at.Add(2 * time.Hour)), VerifiedTime: certificate.At(at.Add(3 * time.Hour)), IssuedTime: certificate.At(at.Add(30 * time.Hour)),
		Systems: []certificate.System{{System: "lms", DataMapDigest: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
			Datasets: []certificate.Dataset{{Dataset: "profile", Activity: "photos", Located: 3, Erased: 3}}}},
		Residuals: []certificate.Residual{}, Verdict: certificate.Complete, DoesNotProve: certificate.Limits()}
	hash, err := certificate.StatementHash(s)
	if err != nil {
		return nil, err
	}
	leaf := fmt.Appendf(nil, `{"detail":{"statementSha256":%q}}`, hash)
	root := tlog.RecordHash(leaf)
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("log.example/audit\n1\n%s\n", root)}, w.signer)
	if err != nil {
		return nil, err
	}
	return certificate.Issue(s, certificate.Log{Key: w.key, Leaf: leaf, Index: 0, TreeSize: 1, Hashes: [][]byte{}, Checkpoint: string(signed)}, signer)
}

// request asks for the evidence of the year.
func (w *world) request() *evidence.Evidence {
	w.Helper()
	e, err := evidence.New(evidence.Ref{Controller: "north", ID: "0190d3c0-0000-7000-8000-00000000ffff"}, begin, begin.AddDate(1, 0, 0), "da", begin.AddDate(1, 0, 0).Add(time.Hour))
	must(w, err)
	return e
}

// gather writes the package of the year.
func (w *world) gather(to io.Writer) error {
	return w.sources().Gather(context.Background(), w.request(), to, begin.AddDate(1, 0, 1), func(int64) error { return nil })
}

func (w *world) sources() evidence.Sources {
	return evidence.Sources{Entries: w, Log: w, Keys: w, Register: w, Certificates: w, Read: entryline.Read, Signer: w.signer,
		Report: evidencereport.Reporter{}, Spool: func() (*os.File, error) { return os.CreateTemp(w.TempDir(), "spool") }}
}

func (w *world) file() []byte {
	w.Helper()
	var out bytes.Buffer
	must(w, w.gather(&out))
	return out.Bytes()
}

// note signs a text with the log's key.
func (w *world) note(text string) []byte {
	w.Helper()
	signed, err := note.Sign(&note.Note{Text: text}, w.signer)
	must(w, err)
	return signed
}

// signedBy is the line of a signature of a text.
func (w *world) signedBy(text string, signer note.Signer) []byte {
	w.Helper()
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	must(w, err)
	return signed[len(text)+1:]
}

func check(file []byte, trust Trust) (Report, error) {
	return Verify(bytes.NewReader(file), int64(len(file)), trust)
}

// bigLog keeps the hashes of a log.
type bigLog struct {
	hashes []tlog.Hash
	size   int64
}

func (l *bigLog) add(leaf []byte) error {
	more, err := tlog.StoredHashes(l.size, leaf, tlog.HashReaderFunc(l.read))
	l.hashes, l.size = append(l.hashes, more...), l.size+1
	return err
}

func (l *bigLog) read(indexes []int64) (out []tlog.Hash, err error) {
	for _, i := range indexes {
		out = append(out, l.hashes[i])
	}
	return out, nil
}
