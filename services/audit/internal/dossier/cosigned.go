package dossier

import "time"

// Cosigned is what the manifest says of witnesses. Of several checkpoints it is said of the one that they signed least: see [Policy.Least].
type Cosigned struct {
	// Known is how many witnesses the policy has, and Required the fewest of them that can be enough for it.
	Known    int `json:"known"`
	Required int `json:"required"`
	// Enough is whether those that signed are enough.
	Enough bool `json:"enough"`
	// By lists who signed the checkpoint, in the order of the policy.
	By []Cosignature `json:"by"`
}

// Cosignature is a witness's signature of a checkpoint.
type Cosignature struct {
	Name string `json:"name"`
	Key  string `json:"key"`
	// Time is when it was made, by the witness's clock.
	Time time.Time `json:"time"`
}

// Cosigned says what the manifest says of those who signed one checkpoint.
func (p *Policy) Cosigned(by []Cosignature) *Cosigned {
	return &Cosigned{Known: len(p.Witnesses), Required: p.required(), Enough: p.Enough(by), By: by}
}

// Least says it of the checkpoint, of one or more, that witnesses signed least: of one that not enough of them signed before one that
// enough did, then of that with the fewest signatures, then of the last. No checkpoint answers for another: that one shard of the log goes
// on from the shard before stands in an entry that no package has.
func (p *Policy) Least(signers [][]Cosignature) *Cosigned {
	var least *Cosigned
	for _, by := range signers {
		if c := p.Cosigned(by); least == nil || c.lessOrEqual(least) {
			least = c
		}
	}
	return least
}

func (c *Cosigned) lessOrEqual(other *Cosigned) bool {
	if c.Enough != other.Enough {
		return !c.Enough
	}
	return len(c.By) <= len(other.By)
}
