package server

import (
	"os"
	"runtime/debug"
	"sync"
)

const (
	// garbagePercent lets garbage grow to four times what is alive before it is collected: a service's live heap is small, and its
	// collection took a tenth of the time of a call.
	garbagePercent = 400
	// leastMemory is what a process may use, in bytes, whatever it remembers, before garbage is collected more often.
	leastMemory = 256 << 20
	// besides is what a process uses besides what it remembers.
	besides = 64 << 20
)

// kept is the most that any service of this process has asked for.
var kept struct {
	sync.Mutex
	bytes int64
}

// TuneMemory tells the runtime that a service of this process may keep so many bytes alive on purpose. Far from that bound garbage
// is collected seldom; close to it, as often as it takes to stay within. GOGC and GOMEMLIMIT in the environment go before.
func TuneMemory(remembered int64) {
	kept.Lock()
	defer kept.Unlock()
	kept.bytes = max(kept.bytes, remembered)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(max(leastMemory, kept.bytes+besides))
	}
}
