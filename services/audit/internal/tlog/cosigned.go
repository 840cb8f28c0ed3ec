package tlog

import "github.com/privacyops/privacyops/services/audit/internal/audit"

// Cosigned gives the last checkpoint that enough witnesses have cosigned; its size is 0 where there is none.
func (c *Cosigner) Cosigned() audit.Head { return c.cosigned() }

// Policy gives the text of the witness policy, nil without one.
func (c *Cosigner) Policy() []byte { return c.o.Policy }
