package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/privacyops/privacyops/libs/certificate"
)

// verifyCommand verifies evidence offline.
type verifyCommand struct {
	Certificate verifyCertificateCommand `cmd:"" help:"Verify an erasure certificate, offline. Exit code 0: verified, 1: not, 2: no certificate."`
	Evidence    verifyEvidenceCommand    `cmd:"" help:"Verify an evidence package, offline. Exit code 0: verified, 1: not, 2: no evidence package."`
	Log         verifyLogCommand         `cmd:"" help:"Verify a whole audit log, by its address or in a folder. Exit code 0: verified, 1: not, 2: it cannot be told."`
}

type verifyCertificateCommand struct {
	File           string   `arg:"" help:"The certificate; - for standard input."`
	CertificateKey []string `help:"Key that certificates must be signed with: a verifier key (name+hash+base64) or a file with one. Without it the certificate's own key is used, and that only shows that it is whole."`
	LogKey         []string `help:"Key of the audit log: a verifier key or a file with one."`
	JSON           bool     `help:"Report as JSON on standard output." name:"json"`
}

// exit codes of verification.
const (
	exitNotVerified = 1
	exitUnusable    = 2
)

// Run verifies one certificate.
func (c *verifyCertificateCommand) Run() error {
	file, err := readAll(c.File)
	if err != nil {
		fmt.Fprintln(os.Stderr, "privacyops:", err)
		return exitError(exitUnusable)
	}
	trust := certificate.Trust{}
	if trust.CertificateKeys, err = keys(c.CertificateKey); err == nil {
		trust.LogKeys, err = keys(c.LogKey)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "privacyops:", err)
		return exitError(exitUnusable)
	}
	report, err := certificate.Verify(file, trust)
	return c.tell(report, err)
}

// tell reports in words or JSON, and gives the exit code.
func (c *verifyCertificateCommand) tell(r certificate.Report, err error) error {
	var failed *certificate.VerifyError
	code := 0
	switch {
	case errors.As(err, &failed):
		code = exitNotVerified
	case err != nil:
		code = exitUnusable
	}
	if c.JSON {
		out := struct {
			Verified bool                `json:"verified"`
			Error    string              `json:"error,omitempty"`
			Check    string              `json:"check,omitempty"`
			Report   *certificate.Report `json:"report,omitempty"`
		}{Verified: err == nil}
		if err != nil {
			out.Error = err.Error()
			if failed != nil {
				out.Check = string(failed.Check)
			}
		} else {
			out.Report = &r
		}
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(out); err != nil {
			return err
		}
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "NOT VERIFIED:", err)
	} else {
		words(os.Stdout, r)
	}
	if code != 0 {
		return exitError(code)
	}
	return nil
}

func words(w io.Writer, r certificate.Report) {
	s := r.Statement
	fmt.Fprintf(w, "VERIFIED: %s of %s, verdict %s\n", s.Erasure, s.Controller, s.Verdict)
	for _, system := range s.Systems {
		for _, d := range system.Datasets {
			kept := ""
			if d.Kept > 0 {
				kept = fmt.Sprintf(" (kept on %s, %s)", d.KeptGround, d.KeptArticle)
			}
			fmt.Fprintf(w, "  %-20s %-26s found %5d  erased %5d  anonymised %5d  kept %5d  remaining %5d%s\n",
				system.System, d.Dataset, d.Located, d.Erased, d.Anonymised, d.Kept, d.Remaining, kept)
		}
	}
	fmt.Fprintf(w, "  entry %d of the log %s (%d entries), statement sha256 %s\n", r.Index, r.Origin, r.TreeSize, r.StatementSHA256)
	if !r.Pinned {
		fmt.Fprintf(w, "  The keys were taken from the certificate itself: this shows that it is whole, not who made it.\n  Compare %s and %s with keys that you have from the controller or processor (--certificate-key, --log-key).\n",
			r.CertificateKey, r.LogKey)
	}
	for _, t := range s.DoesNotProve {
		fmt.Fprintf(w, "  It does not prove: %s\n", t.En)
	}
}

func readAll(path string) ([]byte, error) {
	var r io.Reader = os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	return io.ReadAll(io.LimitReader(r, certificate.MaxSize+1))
}

// keys takes verifier keys as they are, and reads files that hold one.
func keys(args []string) (out []string, err error) {
	for _, a := range args {
		if strings.Count(a, "+") < 2 {
			text, err := os.ReadFile(a)
			if err != nil {
				return nil, fmt.Errorf("%q is neither a verifier key nor a file that can be read", a)
			}
			a = strings.TrimSpace(string(text))
		}
		out = append(out, a)
	}
	return out, nil
}
