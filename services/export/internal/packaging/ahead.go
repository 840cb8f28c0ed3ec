package packaging

import "io"

const (
	blockSize = 128 << 10
	// blocksAhead is how many blocks may wait for the slower side.
	blocksAhead = 4
)

// ahead passes what is written on to w from a goroutine of its own, so that records are read and formatted on one processor
// while another compresses and encrypts. It holds a handful of blocks.
type ahead struct {
	full  chan []byte
	empty chan []byte
	block []byte
	done  chan error
}

func newAhead(w io.Writer) *ahead {
	a := &ahead{full: make(chan []byte, blocksAhead), empty: make(chan []byte, blocksAhead), done: make(chan error, 1)}
	for range blocksAhead {
		a.empty <- make([]byte, 0, blockSize)
	}
	a.block = <-a.empty
	go func() {
		var failed error
		for block := range a.full {
			if failed == nil {
				_, failed = w.Write(block)
			}
			a.empty <- block[:0]
		}
		a.done <- failed
	}()
	return a
}

// Write never fails: the error of the other side comes with finish, which must be called in any case.
func (a *ahead) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		n := min(len(p), cap(a.block)-len(a.block))
		a.block, p = append(a.block, p[:n]...), p[n:]
		if len(a.block) == cap(a.block) {
			a.full <- a.block
			a.block = <-a.empty
		}
	}
	return written, nil
}

// finish waits until everything has been passed on.
func (a *ahead) finish() error {
	a.full <- a.block
	close(a.full)
	return <-a.done
}
