// Package evidencecheck verifies evidence packages offline: without a database, without a network, and without trusting who made them.
//
// # What is checked
//
// Verify is strict and goes through a package in this order, each part in constant memory:
//
//   - CONTAINER: the ZIP is written exactly as packages are, so that no byte of it is one that nobody looks at
//   - MANIFEST, SIGNATURE: the manifest can be read, and the log's key signed it
//   - FILES: every member that must be there is, no other is, and each has the size and the SHA-256 that the manifest says
//   - CHECKPOINT: the log signed the checkpoint, under its own name; that of each shard, where the entries are in several
//   - WITNESSES: those signed each of them too of whom the manifest says so (C2SP cosignature/v1), and of whom the caller asks it
//   - PROOF: all entries together lead to the checkpoints' roots (RFC 9162)
//   - EVENTS: each line of events.jsonl follows from its entry; sealed parts are opened with the entry's own key
//   - COMPLETENESS: the controller's numbers run without a gap from before the period to after it
//   - CERTIFICATES: each one verifies (package certificate), and is this controller's and of the period
//   - FIGURES: the numbers behind the report follow from events and certificates
//   - REGISTER, REPORT: the register's files can be read, and the reports are pages without scripts and loads
//
// # Whom to trust
//
// A package names the log's key, so that it verifies alone; that shows only that nobody changed it since. Who pins the key ([Trust])
// knows in addition which log it is from; Report.Pinned says which of the two was the case.
//
// So it is with witnesses. The package names them, and each of their signatures is verified; but who made the package may have made the
// witnesses too. Only one whose key the caller has from the witness himself (Trust.WitnessKeys, Trust.WitnessPolicy) says that somebody
// outside saw the same log, and saw it only grow. Witness.Pinned says of each which it is.
//
// # Hostile files
//
// Any file may be given. Its list of members is bounded before it is read, its compressed parts are read as streams of bounded length,
// and no path in it is ever used as one.
package evidencecheck

import (
	"errors"
	"fmt"
	"time"
)

// ErrUnusable says that a file does not claim to be an evidence package: nothing was verified, nothing was refuted.
var ErrUnusable = errors.New("not an evidence package of the format privacyops-evidence/v1")

// ErrTrust says that a pinned key cannot be read; the package was not looked at.
var ErrTrust = errors.New("a pinned key is not a verifier key of the form name+hash+base64")

// Check names one step of Verify.
type Check string

// The checks, in the order in which they are made.
const (
	CheckContainer    Check = "CONTAINER"
	CheckManifest     Check = "MANIFEST"
	CheckSignature    Check = "SIGNATURE"
	CheckFiles        Check = "FILES"
	CheckCheckpoint   Check = "CHECKPOINT"
	CheckWitnesses    Check = "WITNESSES"
	CheckProof        Check = "PROOF"
	CheckEvents       Check = "EVENTS"
	CheckCompleteness Check = "COMPLETENESS"
	CheckCertificates Check = "CERTIFICATES"
	CheckFigures      Check = "FIGURES"
	CheckRegister     Check = "REGISTER"
	CheckReport       Check = "REPORT"
)

// VerifyError says that a file claims to be an evidence package and is not a valid one.
type VerifyError struct {
	Check Check
	// File is the member concerned, where it is one.
	File string
	// Index is the place in the log that is concerned, where HasIndex.
	Index    uint64
	HasIndex bool
	Detail   string
}

func (e *VerifyError) Error() string {
	text := string(e.Check)
	if e.File != "" {
		text += ": " + e.File
	}
	if e.HasIndex {
		text += fmt.Sprintf(": index %d of the log", e.Index)
	}
	return text + ": " + e.Detail
}

// Trust pins the keys that the verifier has from a source of its own, in the form "name+hash+base64". Where LogKeys is empty, the key
// that the package names is used, and the verification then shows only that the file is whole.
type Trust struct {
	LogKeys []string
	// CertificateKeys are of those who may sign erasure certificates.
	CertificateKeys []string
	// WitnessKeys are of witnesses each of whom must have signed the checkpoint, of several every one: keys of type 4 (C2SP
	// cosignature/v1).
	WitnessKeys []string
	// WitnessPolicy says which witnesses are enough: `witness`, `group` and `quorum` lines; nil asks for none.
	WitnessPolicy []byte
}

// Report says what was verified.
type Report struct {
	// Pinned says that the log's key was among those of the caller's [Trust], and CertificatesPinned that all certificates' keys were.
	Pinned             bool `json:"pinned"`
	CertificatesPinned bool `json:"certificatesPinned"`

	Controller string    `json:"controller"`
	Evidence   string    `json:"evidence"`
	StartTime  time.Time `json:"startTime"`
	EndTime    time.Time `json:"endTime"`
	CreateTime time.Time `json:"createTime"`

	Origin   string `json:"origin"`
	LogKey   string `json:"logKey"`
	TreeSize uint64 `json:"treeSize"`
	// Witnesses says who else signed the checkpoint.
	Witnesses Witnesses `json:"witnesses"`

	// FirstNumber to LastNumber are the controller's entries in the period.
	FirstNumber  uint64 `json:"firstNumber"`
	LastNumber   uint64 `json:"lastNumber"`
	Entries      int64  `json:"entries"`
	Events       int64  `json:"events"`
	Unreadable   int64  `json:"unreadable"`
	Certificates int64  `json:"certificates"`
	// Unmatched counts events of the period that announce a certificate which is not in the package: it may be issued later.
	Unmatched int64 `json:"unmatched"`
	// CertificateKeys are those that the certificates were signed with.
	CertificateKeys []string `json:"certificateKeys"`
	DoesNotProve    []string `json:"doesNotProve"`
	// Passed lists the checks that were made and passed, in order; all of them where Verify returned no error.
	Passed []Check `json:"passed"`
}
