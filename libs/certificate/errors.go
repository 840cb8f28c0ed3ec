package certificate

import (
	"errors"
	"fmt"
)

// ErrUnusable says that the input does not claim to be a certificate of this format: nothing was verified, nothing was refuted.
var ErrUnusable = errors.New("not an erasure certificate of the format " + Format)

// ErrTrust says that a key in [Trust] cannot be read; the certificate was not looked at.
var ErrTrust = errors.New("a pinned key is not a verifier key of the form name+hash+base64")

// Check names one step of [Verify].
type Check string

// The checks, in the order in which they are made.
const (
	// CheckEncoding: the bytes are the one canonical encoding of their content.
	CheckEncoding Check = "ENCODING"
	// CheckSigningKey: the certificate key is well formed and, where keys are pinned, one of them.
	CheckSigningKey Check = "SIGNING_KEY"
	// CheckSignature: the certificate key signed format, log and statement.
	CheckSignature Check = "SIGNATURE"
	// CheckStatement: the statement's counts and times agree with each other and with its verdict.
	CheckStatement Check = "STATEMENT"
	// CheckLeaf: the audit entry holds the hash of this statement.
	CheckLeaf Check = "LEAF"
	// CheckLogKey: the log's key is well formed and, where keys are pinned, one of them.
	CheckLogKey Check = "LOG_KEY"
	// CheckCheckpoint: the log signed the checkpoint, under its own origin and for the tree size named.
	CheckCheckpoint Check = "CHECKPOINT"
	// CheckInclusion: the audit entry is in the tree that the checkpoint commits to.
	CheckInclusion Check = "INCLUSION"
)

// VerifyError says that the input claims to be a certificate and is not a valid one. Detail holds no content of the file beyond the ids
// of systems and datasets.
type VerifyError struct {
	Check  Check
	Detail string
}

func (e *VerifyError) Error() string {
	return fmt.Sprintf("the certificate does not verify: %s: %s", e.Check, e.Detail)
}
