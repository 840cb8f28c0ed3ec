package export

import "sync"

// Changes tells those who watch an export in this process that it changed. The zero value is ready.
type Changes struct {
	mu       sync.Mutex
	watchers map[Ref]map[chan struct{}]bool
}

// Watch gives a channel that gets a signal after each change of the export (several may be one signal), until stop is called.
func (c *Changes) Watch(ref Ref) (changed <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watchers == nil {
		c.watchers = map[Ref]map[chan struct{}]bool{}
	}
	if c.watchers[ref] == nil {
		c.watchers[ref] = map[chan struct{}]bool{}
	}
	c.watchers[ref][ch] = true
	return ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watchers[ref], ch)
		if len(c.watchers[ref]) == 0 {
			delete(c.watchers, ref)
		}
	}
}

// Tell signals that the export changed.
func (c *Changes) Tell(ref Ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ch := range c.watchers[ref] {
		select {
		case ch <- struct{}{}:
		default: // a signal already waits
		}
	}
}
