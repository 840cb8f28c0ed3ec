package certificate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/gowebpki/jcs"
	tlog "github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/libs/logkey"
)

// Trust pins the keys that the verifier has from a source of its own. Where a list is empty, the key that the certificate names is used, and
// the verification then shows only that the file is whole.
type Trust struct {
	// CertificateKeys are verifier keys ("name+hash+base64") of those who may sign certificates.
	CertificateKeys []string
	// LogKeys are verifier keys of the audit logs that may hold them; each stands for all shards of its log.
	LogKeys []string
}

// Report says what was verified and against which keys.
type Report struct {
	// Pinned says that both keys were among those of the caller's [Trust].
	Pinned bool `json:"pinned"`
	// CertificateKey and LogKey are the keys that the certificate was verified with.
	CertificateKey string `json:"certificateKey"`
	LogKey         string `json:"logKey"`
	// Origin is the log's name; Index and TreeSize say where in it the certificate was announced.
	Origin   string `json:"origin"`
	Index    uint64 `json:"index"`
	TreeSize uint64 `json:"treeSize"`
	// StatementSHA256 is the hash that the log holds, in hexadecimal.
	StatementSHA256 string    `json:"statementSha256"`
	Statement       Statement `json:"statement"`
	// Passed lists the checks that were made and passed, in order; all of them where Verify returned no error.
	Passed []Check `json:"passed"`
}

// Verify checks a certificate file offline. It returns [ErrUnusable] for input that is no certificate of this format, a [*VerifyError]
// that names the failed check for one that does not verify, and [ErrTrust] for an unreadable pinned key. With an error, only
// Report.Passed is set.
func Verify(file []byte, trust Trust) (Report, error) {
	for _, key := range slices.Concat(trust.CertificateKeys, trust.LogKeys) {
		if _, err := verifier(key); err != nil {
			return Report{}, ErrTrust
		}
	}
	if len(file) > MaxSize || !bytes.Contains(file, []byte(`"`+Format+`"`)) {
		return Report{}, ErrUnusable
	}
	v := verification{file: file, trust: trust}
	var passed []Check
	for _, step := range []struct {
		check Check
		run   func() error
	}{
		{CheckEncoding, v.encoding},
		{CheckSigningKey, v.signingKey},
		{CheckSignature, v.signature},
		{CheckStatement, v.statement},
		{CheckLeaf, v.leaf},
		{CheckLogKey, v.logKey},
		{CheckCheckpoint, v.checkpoint},
		{CheckInclusion, v.inclusion},
	} {
		if err := step.run(); err != nil {
			return Report{Passed: passed}, &VerifyError{Check: step.check, Detail: err.Error()}
		}
		passed = append(passed, step.check)
	}
	return v.report(passed), nil
}

// verification carries what one step finds out to the next.
type verification struct {
	file        []byte
	trust       Trust
	cert        Certificate
	signer, log note.Verifier
	hash        string
	head        *tlog.Checkpoint
}

func (v *verification) report(passed []Check) Report {
	return Report{
		Pinned:          len(v.trust.CertificateKeys) > 0 && len(v.trust.LogKeys) > 0,
		CertificateKey:  v.cert.Signature.Key,
		LogKey:          v.cert.Log.Key,
		Origin:          v.head.Origin,
		Index:           v.cert.Log.Index,
		TreeSize:        v.cert.Log.TreeSize,
		StatementSHA256: v.hash,
		Statement:       v.cert.Statement,
		Passed:          passed,
	}
}

// encoding parses the file and demands that writing what was parsed gives the same bytes. That one comparison refuses unknown and
// doubled members, other spellings of names, numbers, times and base64, bytes that are no UTF-8, and white space.
func (v *verification) encoding() error {
	if err := json.Unmarshal(v.file, &v.cert); err != nil {
		return fmt.Errorf("the file is not the JSON document of a certificate")
	}
	if v.cert.Format != Format {
		return fmt.Errorf("the format is not %s", Format)
	}
	if v.cert.Log.Index > maxInteger || v.cert.Log.TreeSize > maxInteger {
		return fmt.Errorf("a log position is beyond 2^53-1")
	}
	again, err := v.cert.file()
	if err != nil || !bytes.Equal(again, v.file) {
		return fmt.Errorf("the bytes are not the canonical form (RFC 8785 and one line feed) of a certificate")
	}
	return nil
}

func (v *verification) signingKey() (err error) {
	v.signer, err = pinned(v.cert.Signature.Key, v.trust.CertificateKeys)
	return err
}

// logKey takes the key of a trusted log, or that of one of its shards.
func (v *verification) logKey() (err error) {
	key := v.cert.Log.Key
	if v.log, err = pinned(key, nil); err != nil {
		return err
	}
	if keys := v.trust.LogKeys; len(keys) > 0 && !slices.ContainsFunc(keys, func(k string) bool { return logkey.Covers(k, key) }) {
		return errors.New("the key is not one of those that are trusted here")
	}
	return nil
}

// pinned reads the key that the certificate names and demands that it is one of keys, if there are any.
func pinned(key string, keys []string) (note.Verifier, error) {
	known, err := verifier(key)
	if err != nil {
		return nil, fmt.Errorf("the key is not a verifier key of the form name+hash+base64")
	}
	if len(keys) > 0 && !slices.Contains(keys, key) {
		return nil, fmt.Errorf("the key is not one of those that are trusted here")
	}
	return known, nil
}

func (v *verification) signature() error {
	payload, err := signedBytes(v.cert.Statement, v.cert.Log)
	if err != nil {
		return fmt.Errorf("the signed part has no canonical form")
	}
	if !v.signer.Verify(payload, v.cert.Signature.Value) {
		return fmt.Errorf("the signature is not that of the key named for this content")
	}
	return nil
}

func (v *verification) statement() (err error) {
	if err := v.cert.Statement.Validate(); err != nil {
		return err
	}
	v.hash, err = StatementHash(v.cert.Statement)
	return err
}

// leaf reads detail.statementSha256 of the log entry. Member names are compared exactly, and an entry in which a member stands twice is
// refused: two readers could take different ones.
func (v *verification) leaf() error {
	if _, err := jcs.Transform(v.cert.Log.Leaf); err != nil {
		return fmt.Errorf("the log entry is not a JSON document with unique members")
	}
	var entry map[string]json.RawMessage
	if err := json.Unmarshal(v.cert.Log.Leaf, &entry); err != nil {
		return fmt.Errorf("the log entry is not a JSON object")
	}
	var detail map[string]json.RawMessage
	if err := json.Unmarshal(entry["detail"], &detail); err != nil {
		return fmt.Errorf("the log entry has no detail")
	}
	var got string
	if err := json.Unmarshal(detail["statementSha256"], &got); err != nil || got != v.hash {
		return fmt.Errorf("the log entry holds the hash of another statement, or none")
	}
	return nil
}

func (v *verification) checkpoint() error {
	head, _, _, err := tlog.ParseCheckpoint([]byte(v.cert.Log.Checkpoint), v.log.Name(), v.log)
	if err != nil {
		return fmt.Errorf("the checkpoint is not signed by the log's key, or not under the log's name")
	}
	if head.Size != v.cert.Log.TreeSize || len(head.Hash) != rfc6962.DefaultHasher.Size() {
		return fmt.Errorf("the checkpoint is of another tree than the proof")
	}
	v.head = head
	return nil
}

func (v *verification) inclusion() error {
	l := v.cert.Log
	leaf := rfc6962.DefaultHasher.HashLeaf(l.Leaf)
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, l.Index, l.TreeSize, leaf, l.Hashes, v.head.Hash); err != nil {
		return fmt.Errorf("the log entry is not in the tree of the checkpoint at the index named")
	}
	return nil
}
