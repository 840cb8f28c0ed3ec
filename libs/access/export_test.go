package access

import "context"

// Refresh fetches the keys now, as the clock would later.
func Refresh(ctx context.Context, u *URLKeys) error { return u.resource.Sync(ctx) }
