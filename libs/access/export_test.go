package access

import "context"

// Bounds of what doors remember.
const (
	MaxSeen    = maxSeen
	MaxReasons = maxReasons
)

// Refresh fetches the keys now, as the clock would later.
func Refresh(ctx context.Context, u *URLKeys) error { return u.resource.Sync(ctx) }

// Remembered is how many tokens a door remembers, and Reasons how many reasons of refusals.
func (d *Doors) Remembered() int { return len(d.seen) }

// Reasons is how many reasons of refusals a door remembers.
func (d *Doors) Reasons() int { return len(d.refused) }
