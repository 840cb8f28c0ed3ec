package certificate

import (
	"errors"
	"fmt"
)

// Issue signs a statement together with the proof that the audit log holds it, and returns the exact bytes of the certificate file.
//
// The order of work is: fill the statement, take its [StatementHash] into the audit event that announces the certificate, wait until the log
// has published the event, and call Issue with the proof. Issue verifies its own result before it returns it, so that no certificate
// leaves that [Verify] would refuse; a [*VerifyError] then says which part does not fit.
func Issue(s Statement, l Log, signer *Signer) ([]byte, error) {
	if signer == nil {
		return nil, errors.New("issue certificate: no signer")
	}
	s, l = s.explicit(), l.explicit()
	payload, err := signedBytes(s, l)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	value, err := signer.signer.Sign(payload)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: sign: %w", err)
	}
	file, err := Certificate{
		Format:    Format,
		Statement: s,
		Log:       l,
		Signature: Signature{Key: signer.key, Value: value},
	}.file()
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	if _, err := Verify(file, Trust{CertificateKeys: []string{signer.key}}); err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	return file, nil
}
