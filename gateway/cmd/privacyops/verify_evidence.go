package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/privacyops/privacyops/services/audit/evidencecheck"
)

type verifyEvidenceCommand struct {
	File           string   `arg:"" help:"The package, a ZIP file."`
	LogKey         []string `help:"Key of the audit log: a verifier key (name+hash+base64) or a file with one. Without it the package's own key is used, and that only shows that it is whole."`
	CertificateKey []string `help:"Key that erasure certificates must be signed with: a verifier key or a file with one."`
	WitnessKey     []string `help:"Key of a witness who must have signed the log's checkpoints: a key of type 4 (name+hash+base64), from the witness himself, or a file with one; may be repeated."`
	WitnessPolicy  string   `help:"File that says which witnesses must have signed the checkpoints: witness, group and quorum lines." placeholder:"FILE"`
	JSON           bool     `help:"Report as JSON on standard output." name:"json"`
}

// Run verifies one package. It needs the file and nothing else.
func (c *verifyEvidenceCommand) Run() error {
	report, err := c.verify()
	code := 0
	var failed *evidencecheck.VerifyError
	switch {
	case errors.As(err, &failed):
		code = exitNotVerified
	case err != nil:
		code = exitUnusable
	}
	switch {
	case c.JSON:
		if err := evidenceJSON(os.Stdout, report, err, failed); err != nil {
			return err
		}
	case code == exitNotVerified:
		fmt.Fprintln(os.Stderr, "NOT VERIFIED:", err)
	case err != nil:
		fmt.Fprintln(os.Stderr, "privacyops:", err)
	default:
		evidenceWords(os.Stdout, report)
	}
	if code != 0 {
		return exitError(code)
	}
	return nil
}

func (c *verifyEvidenceCommand) verify() (report evidencecheck.Report, err error) {
	trust := evidencecheck.Trust{}
	if trust.LogKeys, err = keys(c.LogKey); err != nil {
		return report, err
	}
	if trust.CertificateKeys, err = keys(c.CertificateKey); err != nil {
		return report, err
	}
	if trust.WitnessKeys, err = keys(c.WitnessKey); err != nil {
		return report, err
	}
	if c.WitnessPolicy != "" {
		if trust.WitnessPolicy, err = os.ReadFile(c.WitnessPolicy); err != nil {
			return report, fmt.Errorf("the witness policy cannot be read: %w", err)
		}
	}
	file, err := os.Open(c.File)
	if err != nil {
		return report, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return report, err
	}
	if !info.Mode().IsRegular() {
		return report, fmt.Errorf("%q is not a file", c.File)
	}
	return evidencecheck.Verify(file, info.Size(), trust)
}

func evidenceJSON(w io.Writer, r evidencecheck.Report, err error, failed *evidencecheck.VerifyError) error {
	out := struct {
		Verified bool                  `json:"verified"`
		Error    string                `json:"error,omitempty"`
		Check    string                `json:"check,omitempty"`
		File     string                `json:"file,omitempty"`
		Index    *uint64               `json:"index,omitempty"`
		Report   *evidencecheck.Report `json:"report,omitempty"`
	}{Verified: err == nil}
	if err != nil {
		out.Error = err.Error()
	} else {
		out.Report = &r
	}
	if failed != nil {
		out.Check, out.File = string(failed.Check), failed.File
		if failed.HasIndex {
			out.Index = &failed.Index
		}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func evidenceWords(w io.Writer, r evidencecheck.Report) {
	fmt.Fprintf(w, "VERIFIED: %s, %s to %s\n", r.Evidence, r.StartTime.Format(time.RFC3339), r.EndTime.Format(time.RFC3339))
	fmt.Fprintf(w, "  %d events in %d entries, numbers %d to %d of %s without a gap\n", r.Events, r.Entries, r.FirstNumber, r.LastNumber, r.Controller)
	fmt.Fprintf(w, "  %d of the events cannot be read any more: the keys of the people in them are destroyed\n", r.Unreadable)
	fmt.Fprintf(w, "  %d erasure certificates, each verified; %d announced in the period and not in the package\n", r.Certificates, r.Unmatched)
	fmt.Fprintf(w, "  all in the log %s (%d entries)\n", r.Origin, r.TreeSize)
	witnessWords(w, r.Witnesses)
	if !r.Pinned {
		fmt.Fprintf(w, "  The log's key was taken from the package itself: this shows that it is whole, not which log it is from.\n  Compare %s with a key that you have from the controller or processor (--log-key).\n", r.LogKey)
	}
	if !r.CertificatesPinned {
		for _, key := range r.CertificateKeys {
			fmt.Fprintf(w, "  The certificates were signed with %s; compare it too (--certificate-key).\n", key)
		}
	}
	for _, t := range r.DoesNotProve {
		fmt.Fprintf(w, "  It does not prove: %s\n", t)
	}
}

// witnessWords says who of the witnesses signed, and what that is worth.
func witnessWords(w io.Writer, r evidencecheck.Witnesses) {
	if r.Known == 0 {
		fmt.Fprintln(w, "  The log has no witnesses: nobody but itself signed its checkpoints.")
		return
	}
	enough := "that is enough"
	if !r.Enough {
		enough = "that is NOT enough"
	}
	// Over a turn of the year there are several checkpoints; the figures are of the one that the fewest signed.
	fmt.Fprintf(w, "  %d of %d witnesses signed the log's checkpoint, %d are required: %s by the policy in the package\n", len(r.By), r.Known, r.Required, enough)
	strangers := false
	for _, by := range r.By {
		trust := "you trust this key"
		if !by.Pinned {
			trust, strangers = "its key is from the package", true
		}
		fmt.Fprintf(w, "    %s, %s: %s (%s)\n", by.Name, by.Time.Format(time.RFC3339), trust, by.Key)
	}
	if r.PolicyPinned {
		fmt.Fprintln(w, "  They are enough by your own policy.")
	}
	if strangers {
		fmt.Fprintln(w, "  A witness whose key is from the package may be the log's own operator. Compare it with the one that the witness gives you (--witness-key).")
	}
}
