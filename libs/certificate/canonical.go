package certificate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/gowebpki/jcs"
)

// maxInteger is the largest integer that every JSON reader keeps exact (RFC 8785 numbers are doubles).
const maxInteger = 1<<53 - 1

// StatementHash returns the SHA-256 of the statement's canonical form in lower-case hexadecimal. It is what the audit entry must
// hold in detail.statementSha256 before the certificate can be issued.
func StatementHash(s Statement) (string, error) {
	b, err := canonical(s.explicit())
	if err != nil {
		return "", fmt.Errorf("encode statement: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// canonical returns the RFC 8785 form of v.
func canonical(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return jcs.Transform(b)
}

// signedBytes returns what the certificate key signs.
func signedBytes(s Statement, l Log) ([]byte, error) {
	return canonical(struct {
		Format    string    `json:"format"`
		Log       Log       `json:"log"`
		Statement Statement `json:"statement"`
	}{Format, l, s})
}

// file returns the exact bytes of the certificate file.
func (c Certificate) file() ([]byte, error) {
	b, err := canonical(c)
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}

// explicit returns the statement with empty lists in place of absent ones, so that a reader always finds the member.
// The caller's slices are left as they are.
func (s Statement) explicit() Statement {
	s.Approvals = orEmpty(s.Approvals)
	s.Residuals = orEmpty(s.Residuals)
	s.DoesNotProve = orEmpty(s.DoesNotProve)
	s.Systems = orEmpty(slices.Clone(s.Systems))
	for i := range s.Systems {
		s.Systems[i].Datasets = orEmpty(s.Systems[i].Datasets)
	}
	return s
}

func (l Log) explicit() Log {
	l.Hashes = orEmpty(l.Hashes)
	return l
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
