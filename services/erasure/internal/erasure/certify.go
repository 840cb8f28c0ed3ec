package erasure

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/privacyops/privacyops/libs/certificate"
)

// Signer makes the certificate file of a statement and the proof that the audit log holds its hash.
type Signer interface {
	Issue(s certificate.Statement, l certificate.Log) ([]byte, error)
}

// announce writes down what the certificate will say, and puts its hash into the audit log.
func (w *work) announce(ctx context.Context) error {
	s := w.statement()
	hash, err := certificate.StatementHash(s)
	if err != nil {
		return fmt.Errorf("erasure: statement: %w", err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("erasure: statement: %w", err)
	}
	w.e.Statement, w.e.Announcement = string(text), w.NewID()
	w.e.Attempts, w.e.NextAttempt, w.e.UpdateTime = 0, time.Time{}, w.Clock.Now()
	return w.save(ctx, Change{Event: Event{ID: w.e.Announcement, Nameless: true, Action: "erasure.verify",
		Detail: map[string]string{"statementSha256": hash, "verdict": string(s.Verdict), "planHash": w.e.Plan.Hash}}})
}

// proofWait is the default of [Engine.ProofWait]; proofPause is the time between looks.
const (
	proofWait  = 8 * time.Second
	proofPause = 100 * time.Millisecond
)

// certify waits for the log, issues the certificate, and destroys what named the person, the keys to the log's entries about the
// person last of all. Only then is the erasure complete. None of it names the person any more, since whoever is interrupted here begins
// anew: the log may have lost the person already. Events that were on their way to the log when the keys were destroyed get no new
// one: the log knows by their times.
func (w *work) certify(ctx context.Context) error {
	proof, err := w.proof(ctx)
	if err != nil {
		return w.waitToCertify(ctx, "PROOF_UNAVAILABLE")
	}
	var s certificate.Statement
	if err := json.Unmarshal([]byte(w.e.Statement), &s); err != nil {
		return fmt.Errorf("erasure: stored statement: %w", err)
	}
	gone := w.gone(s.Verdict)
	if len(gone) > 0 {
		if err := w.Erased.RecordErasure(ctx, w.e.Controller, gone, w.e.Name(), w.e.VerifyTime); err != nil {
			return w.waitToCertify(ctx, "REGISTER_UNAVAILABLE")
		}
	}
	file, err := w.Signer.Issue(s, certificate.Log{Key: proof.LogKey, Leaf: proof.Leaf, Index: proof.Index,
		TreeSize: proof.TreeSize, Hashes: proof.Hashes, Checkpoint: proof.Checkpoint})
	if err != nil { // a proof that does not verify; the log's operator must look at it
		return w.waitToCertify(ctx, "CERTIFICATE_REFUSED")
	}
	if w.e.Forgotten() {
		if err := w.Keys.Destroy(ctx, w.e.Controller, w.e.SubjectRefs, w.e.Name()); err != nil {
			return w.waitToCertify(ctx, "AUDIT_KEYS_UNAVAILABLE")
		}
	}
	w.e.Certificate, w.e.Statement = string(file), ""
	if err := w.e.move(Completed, w.Clock.Now()); err != nil {
		return err
	}
	return w.save(ctx, Change{DestroyIdentifiers: true, Tombstones: gone, Event: Event{Nameless: true, Action: "erasure.complete",
		Detail: map[string]string{"verdict": string(s.Verdict), "logIndex": fmt.Sprint(proof.Index)}}})
}

// gone are the pseudonyms of a person who is now erased. An erasure for one activity leaves a person whose other processing goes
// on, and one that found nothing erased nobody: who comes later with that identifier is not brought back.
func (w *work) gone(v certificate.Verdict) []string {
	if v == certificate.NothingFound || !w.e.Plan.Whole() {
		return nil
	}
	return w.e.SubjectRefs
}

func (w *work) waitToCertify(ctx context.Context, reason string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.pause()
	return w.save(ctx, Change{Event: Event{Nameless: true, Action: "erasure.certify", Outcome: "FAILED", Reason: reason}})
}

func (w *work) proof(ctx context.Context) (Proof, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(w.ProofWait, proofWait))
	defer cancel()
	for {
		p, err := w.Proofs.Proof(ctx, w.e.Controller, w.e.Announcement)
		if !errors.Is(err, ErrNotYet) {
			return p, err
		}
		select {
		case <-ctx.Done():
			return Proof{}, ctx.Err()
		case <-time.After(proofPause):
		}
	}
}
