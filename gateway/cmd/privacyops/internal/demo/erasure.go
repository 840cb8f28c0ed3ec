package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/privacyops/privacyops/libs/certificate"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

const keep = participantv1.Action_KEEP

// preview shows what an erasure would do.
func (s *story) preview(ctx context.Context) error {
	s.chapter("Erasure: first what would go, and what stays on which ground (art. 17)")
	var plan erasurev1.Plan
	err := s.dpo.Post(ctx, path("erasures:preview"), &erasurev1.PreviewErasureRequest{Subject: s.subject(), Ground: erasurev1.Erasure_NO_LONGER_NECESSARY}, &plan)
	if err != nil {
		return err
	}
	for _, item := range plan.GetItems() {
		if item.GetCount() > 0 {
			s.say("%-9s %3d in %-22s %s (%s)", item.GetAction(), item.GetCount(), item.GetDataset(), item.GetGround(), item.GetArticle())
		}
	}
	for _, shared := range plan.GetSharedIdentifiers() {
		s.say("an identifier of the kind %s belongs to several people: nothing is erased by it", shared.GetType())
	}
	return nil
}

// erase asks, approves the plan's hash, and watches until the erasure has ended.
func (s *story) erase(ctx context.Context) error {
	db, err := sample.Open(s.database)
	if err != nil {
		return err
	}
	defer db.Close()
	if s.before, err = sample.Fingerprint(ctx, db); err != nil {
		return err
	}
	if err := s.ownRows(ctx, db); err != nil {
		return err
	}
	s.chapter("Approved by hash, called back until it starts, executed, verified by another path")
	var e erasurev1.Erasure
	err = s.dpo.Post(ctx, path("erasures"), &erasurev1.CreateErasureRequest{Subject: s.subject(), Ground: erasurev1.Erasure_NO_LONGER_NECESSARY,
		Channel: erasurev1.Erasure_MANUAL}, &e)
	if err != nil {
		return err
	}
	s.erasure = e.GetName()
	if err := s.watch(ctx, erasurev1.Erasure_AWAITING_APPROVAL, &e); err != nil {
		return err
	}
	s.say("AWAITING_APPROVAL: plan %s…", e.GetPlan().GetPlanHash()[:16])
	resp, err := s.dpo.Do(ctx, http.MethodPost, "/v1/"+s.erasure+":approve", "application/json", strings.NewReader(`{"planHash":"`+e.GetPlan().GetPlanHash()+`"}`))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the approval was answered with %s", resp.Status)
	}
	s.traceID = resp.Header.Get("X-Request-Id")
	if err := s.watch(ctx, erasurev1.Erasure_COMPLETED, &e); err != nil {
		return err
	}
	return nil
}

// watch follows the erasure until it has the state, and says each change.
func (s *story) watch(ctx context.Context, until erasurev1.Erasure_State, e *erasurev1.Erasure) error {
	ctx, cancel := context.WithTimeout(ctx, waiting)
	defer cancel()
	resp, err := s.dpo.Do(ctx, http.MethodGet, "/v1/"+s.erasure+":watch", "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	shown := erasurev1.Erasure_STATE_UNSPECIFIED
	for lines.Scan() {
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(lines.Bytes(), e); err != nil {
			return err
		}
		if e.GetState() != shown && until == erasurev1.Erasure_COMPLETED {
			shown = e.GetState()
			s.say("%s", shown)
		}
		switch {
		case e.GetState() == until:
			return nil
		case e.GetState() == erasurev1.Erasure_PARTIAL:
			return partial(e)
		}
	}
	return fmt.Errorf("the erasure is %s, and the watch ended (%w)", e.GetState(), errors.Join(lines.Err(), ctx.Err()))
}

// partial names what is left.
func partial(e *erasurev1.Erasure) error {
	var left []string
	for _, r := range e.GetResiduals() {
		text := fmt.Sprintf("table %s of %s still holds the person (%d rows, dataset %s)", r.GetTable(), r.GetSystem(), r.GetCount(), r.GetDataset())
		if !slices.Contains(left, text) { // found by more than one path
			left = append(left, text)
		}
	}
	return errors.New("the erasure is PARTIAL: " + strings.Join(left, "; "))
}

// certificate fetches the certificate and verifies it without the suite, with keys from files.
func (s *story) certificate(ctx context.Context) error {
	s.chapter("The certificate, verified offline")
	file, err := s.dpo.Raw(ctx, http.MethodGet, "/v1/"+s.erasure+"/certificate", "", nil)
	if err != nil {
		return err
	}
	var trust certificate.Trust
	for path, keys := range map[string]*[]string{s.suite.CertificateKey: &trust.CertificateKeys, s.suite.LogKey: &trust.LogKeys} {
		key, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		*keys = []string{strings.TrimSpace(string(key))}
	}
	r, err := certificate.Verify(file, trust)
	if err != nil {
		return fmt.Errorf("the certificate does not verify: %w", err)
	}
	for _, system := range r.Statement.Systems {
		for _, d := range system.Datasets {
			s.erased += d.Erased + d.Anonymised
			s.kept += d.Kept
		}
	}
	s.say("%s: entry %d of the log, signatures and inclusion proof hold (%d bytes)", r.Statement.Verdict, r.Index, len(file))
	damaged := []byte(strings.Replace(string(file), `"erased":`, `"erased": `, 1))
	if _, err := certificate.Verify(damaged, trust); err == nil {
		return errors.New("a certificate with one more space verifies")
	}
	s.say("with one byte more it does not verify")
	return nil
}
