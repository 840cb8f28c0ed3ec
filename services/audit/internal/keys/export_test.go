package keys

// Purge forgets what is too old, as Run does every few seconds.
func (d *Destroyer) Purge() { d.keys.memory.purge(d.keys.Clock.Now()) }
