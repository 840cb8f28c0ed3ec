package audit

import "time"

// ForgetKeysAfter sets how long unwrapped keys are kept, for tests that wait for it.
func (c *Command) ForgetKeysAfter(d time.Duration) { c.keyTime = d }
