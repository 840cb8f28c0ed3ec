package evidencecheck

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

// Witnesses says who else than the log signed the checkpoint: that they saw this log, and saw it only grow. A package of several shards of
// the log has a checkpoint of each; then all is said of the one that witnesses signed least.
type Witnesses struct {
	// Known is how many witnesses the package names, and Required the fewest that are enough by the policy in it. Enough says whether
	// those that signed are. All three are what the log says of itself; without witnesses they are 0 and false.
	Known    int  `json:"known"`
	Required int  `json:"required"`
	Enough   bool `json:"enough"`
	// By lists who signed, each signature verified.
	By []Witness `json:"by"`
	// PolicyPinned says that those who signed are enough by the caller's own policy, for each checkpoint.
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

// witnesses checks each witness's signature of each checkpoint, that there are no others, and that there are those that the manifest
// names and those that the caller asks for.
func (v *verifier) witnesses() error {
	named, err := v.policy()
	if err != nil {
		return err
	}
	var known []dossier.Witness
	if named != nil {
		known = named.Witnesses
	}
	trusted := v.pins.trusted()
	for _, w := range known { // a key that looks like one that the caller trusts, and is another, is a forgery
		if slices.ContainsFunc(trusted, func(t dossier.Witness) bool { return t.Same(w) && t.Key != w.Key }) {
			return bad(dossier.WitnessesPath, "has another key for the witness %s than you trust", w.Name)
		}
	}
	signers := make([][]dossier.Cosignature, len(v.trees))
	for i, t := range v.trees {
		if signers[i], err = t.cosigned(known); err != nil {
			return err
		}
	}
	var found *dossier.Cosigned
	if named != nil {
		found = named.Least(signers)
	}
	if !reflect.DeepEqual(found, v.manifest.Witnesses) {
		return bad(dossier.CheckpointPath, "is not signed by the witnesses that the manifest names")
	}
	return v.pinned(found, signers)
}

// cosigned says who of the witnesses signed a shard's checkpoint.
func (t tree) cosigned(known []dossier.Witness) ([]dossier.Cosignature, error) {
	_, by, others, err := dossier.OpenCheckpoint(t.checkpoint, t.key, known)
	if err != nil {
		return nil, bad(dossier.CheckpointPath, "has a witness's signature that is wrong")
	}
	if others > 0 {
		return nil, bad(dossier.CheckpointPath, "is signed by somebody of whom the package does not say who it is")
	}
	return by, nil
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

// pinned compares who signed with whom the caller trusts: it asks each of the checkpoints for what it asks.
func (v *verifier) pinned(found *dossier.Cosigned, signers [][]dossier.Cosignature) error {
	trusted, r := v.pins.trusted(), &v.report.Witnesses
	if found != nil {
		r.Known, r.Required, r.Enough = found.Known, found.Required, found.Enough
		for _, c := range found.By {
			r.By = append(r.By, Witness{c.Name, c.Key, c.Time, slices.ContainsFunc(trusted, func(t dossier.Witness) bool { return t.Key == c.Key })})
		}
	}
	for _, by := range signers {
		for _, w := range v.pins.keys {
			if !slices.ContainsFunc(by, func(c dossier.Cosignature) bool { return c.Key == w.Key }) {
				return bad(dossier.CheckpointPath, "the witness with the key %s, which you trust, has not signed it", w.Key)
			}
		}
		if v.pins.policy != nil && !v.pins.policy.Enough(by) {
			return bad(dossier.CheckpointPath, "not enough of the witnesses that you trust have signed it")
		}
	}
	r.PolicyPinned = v.pins.policy != nil
	return nil
}
