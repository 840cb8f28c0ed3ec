package server

import (
	"math"
	"runtime/debug"
	"sync"
)

const (
	// garbagePercent lets garbage grow to four times what is alive before it is collected: a service's live heap is small, and its
	// collection took a tenth of the time of a call.
	garbagePercent = 400
	// usualPercent is the runtime's own; another one was set by GOGC.
	usualPercent = 100
	// leastMemory is what a process may use, in bytes, whatever it remembers, before garbage is collected more often.
	leastMemory = 256 << 20
	// besides is what a process uses besides what it remembers.
	besides = 64 << 20
)

// kept is the most that any service of this process has asked for.
var kept struct {
	sync.Mutex
	bytes int64
	limit int64 // what was told last
}

// TuneMemory tells the runtime that a service of this process may keep so many bytes alive on purpose. Far from that bound garbage
// is collected seldom; close to it, as often as it takes to stay within. GOGC and GOMEMLIMIT in the environment go before.
func TuneMemory(remembered int64) {
	kept.Lock()
	defer kept.Unlock()
	kept.bytes = max(kept.bytes, remembered)
	if percent := debug.SetGCPercent(garbagePercent); percent != usualPercent && percent != garbagePercent {
		debug.SetGCPercent(percent)
	}
	if limit := debug.SetMemoryLimit(-1); limit == math.MaxInt64 || limit == kept.limit {
		kept.limit = max(leastMemory, kept.bytes+besides)
		debug.SetMemoryLimit(kept.limit)
	}
}
