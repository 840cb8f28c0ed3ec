package evidencecheck

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"time"

	checkpoint "github.com/transparency-dev/formats/log"

	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

// Witnesses says who else than the log signed the checkpoint: that they saw this log, and saw it only grow.
type Witnesses struct {
	// Known is how many witnesses the package names, and Required the fewest that are enough by the policy in it. Enough says whether
	// those that signed are. All three are what the log says of itself; without witnesses they are 0 and false.
	Known    int  `json:"known"`
	Required int  `json:"required"`
	Enough   bool `json:"enough"`
	// By lists who signed, each signature verified.
	By []Witness `json:"by"`
	// PolicyPinned says that those who signed are enough by the caller's own policy.
	PolicyPinned bool `json:"policyPinned"`
}

// Witness is one who signed the checkpoint.
type Witness struct {
	Name string    `json:"name"`
	Key  string    `json:"key"`
	Time time.Time `json:"time"`
	// Pinned says that the caller trusts the key. Of any other it is only known that its holder signed: it may be the log's own operator.
	Pinned bool `json:"pinned"`
}

// pins are what the caller trusts of witnesses.
type pins struct {
	keys   []dossier.Witness
	policy *dossier.Policy
}

func readPins(t Trust) (p pins, err error) {
	for _, key := range t.WitnessKeys {
		w, err := dossier.NewWitness(key, key)
		if err != nil {
			return p, ErrTrust
		}
		p.keys = append(p.keys, w)
	}
	if t.WitnessPolicy != nil {
		if p.policy, err = dossier.ParsePolicy(t.WitnessPolicy); err != nil {
			return p, fmt.Errorf("%w: %w", ErrTrust, err)
		}
	}
	return p, nil
}

// trusted lists the witnesses that the caller trusts.
func (p pins) trusted() []dossier.Witness {
	out := slices.Clone(p.keys)
	if p.policy != nil {
		out = append(out, p.policy.Witnesses...)
	}
	return out
}

// checkpoint checks the log's signature, and that the manifest names the tree that it signs.
func (v *verifier) checkpoint() error {
	raw, err := v.small(dossier.CheckpointPath, maxSmall)
	if err != nil {
		return err
	}
	cp, _, signed, err := checkpoint.ParseCheckpoint(raw, v.key.Name(), v.key)
	if err != nil {
		return bad(dossier.CheckpointPath, "is not signed by the log's key")
	}
	if !dossier.Canonical(raw, len(signed.Sigs)+len(signed.UnverifiedSigs)) {
		return bad(dossier.CheckpointPath, "has a signature that is not in canonical form")
	}
	if cp.Size != v.manifest.Log.Size || hex.EncodeToString(cp.Hash) != v.manifest.Log.Root || len(cp.Hash) != sha256.Size {
		return bad(dossier.CheckpointPath, "is of another tree than the manifest names")
	}
	v.root = dossier.Hash(cp.Hash)
	return nil
}

// witnesses checks each witness's signature of the checkpoint, that there are no others, and that there are those that the manifest
// names and those that the caller asks for.
func (v *verifier) witnesses() error {
	raw, err := v.small(dossier.CheckpointPath, maxSmall)
	if err != nil {
		return err
	}
	named, err := v.policy()
	if err != nil {
		return err
	}
	var known []dossier.Witness
	if named != nil {
		known = named.Witnesses
	}
	trusted := v.pins.trusted()
	if named != nil { // a key that looks like one that the caller trusts, and is another, is a forgery
		for _, w := range known {
			if slices.ContainsFunc(trusted, func(t dossier.Witness) bool { return t.Same(w) && t.Key != w.Key }) {
				return bad(dossier.WitnessesPath, "has another key for the witness %s than you trust", w.Name)
			}
		}
	}
	_, by, others, err := dossier.OpenCheckpoint(raw, v.key, known)
	if err != nil {
		return bad(dossier.CheckpointPath, "has a witness's signature that is wrong")
	}
	if others > 0 {
		return bad(dossier.CheckpointPath, "is signed by somebody of whom the package does not say who it is")
	}
	var found *dossier.Cosigned
	if named != nil {
		found = named.Cosigned(by)
	}
	if !reflect.DeepEqual(found, v.manifest.Witnesses) {
		return bad(dossier.CheckpointPath, "is not signed by the witnesses that the manifest names")
	}
	return v.pinned(found, by)
}

// policy reads who the package's witnesses are; nil: there are none.
func (v *verifier) policy() (*dossier.Policy, error) {
	if v.members[dossier.WitnessesPath] == nil {
		return nil, nil
	}
	raw, err := v.small(dossier.WitnessesPath, maxSmall)
	if err != nil {
		return nil, err
	}
	named, err := dossier.ParsePolicy(raw)
	if err != nil || !bytes.Equal(named.Marshal(), raw) {
		return nil, bad(dossier.WitnessesPath, "is no policy in the form that packages have")
	}
	return named, nil
}

// pinned compares who signed with whom the caller trusts.
func (v *verifier) pinned(found *dossier.Cosigned, by []dossier.Cosignature) error {
	trusted, r := v.pins.trusted(), &v.report.Witnesses
	if found != nil {
		r.Known, r.Required, r.Enough = found.Known, found.Required, found.Enough
	}
	signed := func(key string) bool {
		return slices.ContainsFunc(by, func(c dossier.Cosignature) bool { return c.Key == key })
	}
	for _, c := range by {
		r.By = append(r.By, Witness{c.Name, c.Key, c.Time, slices.ContainsFunc(trusted, func(t dossier.Witness) bool { return t.Key == c.Key })})
	}
	for _, w := range v.pins.keys {
		if !signed(w.Key) {
			return bad(dossier.CheckpointPath, "the witness with the key %s, which you trust, has not signed it", w.Key)
		}
	}
	if v.pins.policy != nil {
		if r.PolicyPinned = v.pins.policy.Enough(by); !r.PolicyPinned {
			return bad(dossier.CheckpointPath, "not enough of the witnesses that you trust have signed it")
		}
	}
	return nil
}
