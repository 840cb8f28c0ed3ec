package erasure

import "github.com/privacyops/privacyops/libs/certificate"

// statement says what was done, as the certificate will.
func (w *work) statement() certificate.Statement {
	e := w.e
	s := certificate.Statement{
		Controller: string(e.Controller), Erasure: e.Name(), SubjectCommitment: e.SubjectRef, Ground: string(e.Ground),
		Channel: e.Channel, PlanHash: e.Plan.Hash, RequestedTime: certificate.At(e.CreateTime), StartedTime: certificate.At(e.StartTime),
		VerifiedTime: certificate.At(e.VerifyTime), IssuedTime: certificate.At(w.Clock.Now()), DoesNotProve: certificate.Limits(),
	}
	for _, a := range e.Approvals {
		s.Approvals = append(s.Approvals, certificate.Approval{Person: a.Person, Time: certificate.At(a.Time)})
	}
	for _, p := range e.Plan.Systems {
		s.Systems = append(s.Systems, e.certified(p))
	}
	for _, r := range e.Residuals { // of systems that are not mandatory: the mandatory ones are clean
		s.Residuals = append(s.Residuals, certificate.Residual{System: r.System, Dataset: r.Dataset, Count: r.Count, Reason: r.Reason})
	}
	s.Verdict = verdict(s)
	return s
}

// verdict sums a statement up.
func verdict(s certificate.Statement) certificate.Verdict {
	if len(s.Residuals) > 0 {
		return certificate.Partial
	}
	v := certificate.NothingFound
	for _, system := range s.Systems {
		for _, d := range system.Datasets {
			switch {
			case d.Kept > 0:
				return certificate.CompleteWithKept
			case d.Erased+d.Anonymised+d.Unchanged > 0:
				v = certificate.Complete
			}
		}
	}
	return v
}

// certified accounts for one system.
func (e *Erasure) certified(p PlannedSystem) certificate.System {
	out := certificate.System{System: p.System, DataMapDigest: p.DataMapDigest}
	done := map[string]DatasetOutcome{}
	for _, progress := range e.Systems {
		if progress.System == p.System {
			for _, d := range progress.Datasets {
				done[d.Dataset] = d
			}
		}
	}
	for _, item := range e.Plan.Items {
		if item.System == p.System {
			o, told := done[item.Dataset]
			out.Datasets = append(out.Datasets, certifiedDataset(item, o, told))
		}
	}
	return out
}

func certifiedDataset(item Item, o DatasetOutcome, told bool) certificate.Dataset {
	d := certificate.Dataset{Dataset: item.Dataset, Activity: item.Activity, Located: o.Located, Erased: o.Erased,
		Anonymised: o.Anonymised, Unchanged: o.Unchanged, Remaining: o.Remaining}
	switch {
	case item.Action == Keep:
		// What is kept was not handed to the system to erase: the plan counted it, and the system may have counted more.
		d.Located, d.Unchanged = max(o.Located, item.Count), 0
		d.Kept, d.KeptGround, d.KeptArticle = d.Located, item.Ground, item.Article
	case !told: // the system never said what it did; a residual names it
		d.Located = item.Count
	}
	return d
}
