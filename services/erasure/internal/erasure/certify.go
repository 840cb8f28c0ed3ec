package erasure

import (
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
	return w.save(ctx, Change{Event: Event{ID: w.e.Announcement, Action: "erasure.verify",
		Detail: map[string]string{"statementSha256": hash, "verdict": string(s.Verdict), "planHash": w.e.Plan.Hash}}})
}

// proofWait is how long to look for the announcement in the log before the work is put off; proofPause is the time between looks.
const (
	proofWait  = 8 * time.Second
	proofPause = 100 * time.Millisecond
)

// certify waits for the log, issues the certificate, and destroys what named the person. Only then is the erasure complete.
func (w *work) certify(ctx context.Context) error {
	proof, err := w.proof(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return w.later(ctx, "erasure.certify", "PROOF_UNAVAILABLE")
	}
	if err := w.Erased.RecordErasure(ctx, w.e.Controller, w.e.SubjectRefs, w.e.Name(), w.e.VerifyTime); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return w.later(ctx, "erasure.certify", "REGISTER_UNAVAILABLE")
	}
	var s certificate.Statement
	if err := json.Unmarshal([]byte(w.e.Statement), &s); err != nil {
		return fmt.Errorf("erasure: stored statement: %w", err)
	}
	file, err := w.Signer.Issue(s, certificate.Log{Key: proof.LogKey, Leaf: proof.Leaf, Index: proof.Index,
		TreeSize: proof.TreeSize, Hashes: proof.Hashes, Checkpoint: proof.Checkpoint})
	if err != nil {
		return fmt.Errorf("erasure: issue certificate: %w", err)
	}
	w.e.Certificate, w.e.Statement = string(file), ""
	if err := w.e.move(Completed, w.Clock.Now()); err != nil {
		return err
	}
	return w.save(ctx, Change{DestroyIdentifiers: true, Tombstones: w.e.SubjectRefs, Event: Event{Action: "erasure.complete",
		Detail: map[string]string{"verdict": string(s.Verdict), "logIndex": fmt.Sprint(proof.Index)}}})
}

func (w *work) proof(ctx context.Context) (Proof, error) {
	ctx, cancel := context.WithTimeout(ctx, proofWait)
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

// statement says what was done, as the certificate will.
func (w *work) statement() certificate.Statement {
	e := w.e
	s := certificate.Statement{
		Controller: string(e.Controller), Erasure: e.Name(), SubjectCommitment: e.SubjectRef, Ground: string(e.Ground),
		Channel: e.Channel, PlanHash: e.Plan.Hash, RequestedTime: certificate.At(e.CreateTime),
		VerifiedTime: certificate.At(e.VerifyTime), IssuedTime: certificate.At(w.Clock.Now()),
		Verdict: certificate.NothingFound, DoesNotProve: certificate.Limits(),
	}
	if !e.StartTime.IsZero() {
		s.StartedTime = certificate.At(e.StartTime)
	}
	for _, a := range e.Approvals {
		s.Approvals = append(s.Approvals, certificate.Approval{Person: a.Person, Time: certificate.At(a.Time)})
	}
	for _, p := range e.Plan.Systems {
		s.Systems = append(s.Systems, w.certified(p, &s))
	}
	for _, r := range e.Residuals { // of systems that are not mandatory: the mandatory ones are clean
		s.Residuals = append(s.Residuals, certificate.Residual{System: r.System, Dataset: r.Dataset, Count: r.Count, Reason: r.Reason})
		s.Verdict = certificate.Partial
	}
	return s
}

// certified accounts for one system, and raises the verdict by what it holds.
func (w *work) certified(p PlannedSystem, s *certificate.Statement) certificate.System {
	out := certificate.System{System: p.System, DataMapDigest: p.DataMapDigest}
	done := map[string]DatasetOutcome{}
	for _, progress := range w.e.Systems {
		if progress.System == p.System {
			for _, d := range progress.Datasets {
				done[d.Dataset] = d
			}
		}
	}
	for _, item := range w.e.Plan.Items {
		if item.System != p.System {
			continue
		}
		d := certifiedDataset(item, done[item.Dataset])
		switch {
		case s.Verdict == certificate.Partial:
		case d.Kept > 0:
			s.Verdict = certificate.CompleteWithKept
		case d.Located > 0 && s.Verdict == certificate.NothingFound:
			s.Verdict = certificate.Complete
		}
		out.Datasets = append(out.Datasets, d)
	}
	return out
}

func certifiedDataset(item Item, o DatasetOutcome) certificate.Dataset {
	d := certificate.Dataset{Dataset: item.Dataset, Activity: item.Activity, Located: o.Located, Erased: o.Erased,
		Anonymised: o.Anonymised, Kept: o.Kept, Unchanged: o.Unchanged, Remaining: o.Remaining}
	if item.Action == Keep {
		// What is kept was not handed to the system to erase: the plan counted it.
		d.Located = max(o.Located, item.Count)
		d.Kept = d.Located - o.Erased - o.Anonymised - o.Unchanged
		d.KeptGround, d.KeptArticle = item.Ground, item.Article
	}
	return d
}
