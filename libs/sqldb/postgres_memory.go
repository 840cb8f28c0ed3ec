package sqldb

import (
	"context"
	"runtime"
	"runtime/debug"
	"time"
)

// garbage is how many bytes of each size are taken to overwrite what was freed.
const garbage = 4 << 20

// largerSizes are those of small objects that the runtime does not tell of.
var largerSizes = []int{19072, 20480, 21760, 24576, 27264, 28672, 32768}

// scrubMemory gives up the connections and with them their buffers, which have what was sent and read, and overwrites them.
func (b *postgresBackend) scrubMemory(ctx context.Context) error {
	b.pool.Reset()
	for end := time.Now().Add(drainTime); b.pool.Stat().TotalConns() > 0; time.Sleep(time.Millisecond) {
		if ctx.Err() != nil || time.Now().After(end) {
			return &Error{text: "an open transaction keeps a connection and what it remembers", kinds: []error{ErrUnavailable}}
		}
	}
	overwriteGarbage()
	return nil
}

// overwriteGarbage collects garbage; gives what is whole pages of memory back to the system; and takes objects of all sizes, which the
// runtime clears, until there should be no place left that was garbage. The runtime does not clear what it collects.
func overwriteGarbage() {
	for range 2 { // what is pooled is garbage only the second time
		debug.FreeOSMemory()
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	var sizes []int
	for _, class := range stats.BySize {
		sizes = append(sizes, int(class.Size))
	}
	for _, size := range append(sizes, largerSizes...) {
		if size < 64 { // smaller than a secret
			continue
		}
		taken := make([][]byte, 0, garbage/size)
		for range garbage / size {
			taken = append(taken, make([]byte, size))
		}
		runtime.KeepAlive(taken)
	}
	debug.FreeOSMemory()
}
