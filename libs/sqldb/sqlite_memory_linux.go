package sqldb

import "modernc.org/libc"

// How the engine's allocator divides memory (modernc.org/memory): small pieces in sizes of powers of two, from regions of
// 64 KiB, and regions of powers of two for what is larger. It keeps what was freed, as it was, and gives the last first.
const (
	smallestPiece = 32
	largestPiece  = 16 << 10
	region        = 64 << 10
	largestRegion = 4 << 20
	regionHeader  = 64 // at least what the allocator notes in a region
	// freedRegions is how much it keeps of each size of region. Of what is beyond that the system has taken the content.
	freedRegions = 4 << 20
	// pieces is how many bytes of pieces of a size are taken at most.
	pieces = 128 << 20
	// cleanPieces and cleanBytes are how many clean ones in a row say that there are no others: a connection that is closed may free
	// hundreds of clean pages of its cache behind one that is not.
	cleanPieces, cleanBytes = 4096, 4 << 20
)

// overwriteFreed overwrites memory that the engine has freed. SQLite's own memory is outside the Go heap; nothing ever clears it: it
// holds pages of the cache and values that were bound, whatever became of their rows.
func overwriteFreed() {
	tls := libc.NewTLS()
	defer tls.Close()
	for size := smallestPiece; size <= largestPiece; size *= 2 {
		overwritePieces(tls, size, pieces/size, min(cleanPieces, cleanBytes/size))
	}
	for size := region; size <= largestRegion; size *= 2 {
		overwritePieces(tls, size-regionHeader, max(freedRegions/size, 1), max(freedRegions/size, 1))
	}
}

// overwritePieces takes pieces of a size, until so many in a row were clean, overwrites them and gives them back.
func overwritePieces(tls *libc.TLS, size, most, enough int) {
	var taken []uintptr
	for clean := 0; clean < enough && len(taken) < most; clean++ {
		p := libc.Xmalloc(tls, libc.Tsize_t(size))
		if p == 0 {
			break
		}
		taken = append(taken, p)
		usable := libc.Xmalloc_usable_size(tls, p)
		// From its third word on, where a free piece holds no pointers of the allocator, every byte is as the one before it.
		if libc.Xmemcmp(tls, p+16, p+17, usable-17) != 0 {
			clean = -1
		}
		libc.Xmemset(tls, p, 0, usable)
	}
	for _, p := range taken {
		libc.Xfree(tls, p)
	}
}
