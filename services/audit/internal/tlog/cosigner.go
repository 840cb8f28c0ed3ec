package tlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/client"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// CosignerOptions of a cosigner. Without a policy it asks nobody.
type CosignerOptions struct {
	// Policy is the witness policy, in the form that Tessera reads (witness, group and quorum lines); nil: no witnesses.
	Policy []byte
	// File keeps the last checkpoint that enough witnesses have cosigned; empty: it is kept beside the log.
	File string
	// Interval is how often a new checkpoint is looked for, 500 ms by default; Timeout is how long witnesses have for an answer,
	// 5 s by default; Renew is how often a log that does not grow is cosigned anew, 10 minutes by default.
	Interval, Timeout, Renew time.Duration
	// Final says that the log is sealed: once its checkpoint is cosigned, there is nothing left to do.
	Final bool
	// Clock says when a witness is asked again. Required with a policy.
	Clock clock.Clock
	// Report is told each time that a witness begins to answer in another way. Required with a policy.
	Report func(context.Context, Verdict)
}

// Cosigner has the checkpoints of a log cosigned by witnesses (C2SP tlog-witness).
//
// It works behind the publishing, not in its way: a checkpoint is published at once, with the log's signature alone, and carries the
// cosignatures as soon as enough witnesses have given theirs. So an event is durable and provable within the promised time also while a
// witness is away; what waits for the witnesses is only that it counts as witnessed. (Tessera can ask witnesses itself, before it
// publishes. It then either stops publishing while one is away, or publishes whatever it has, which after an error of its own is an
// empty checkpoint.)
//
// A Cosigner is the public face of its log: reads through it give cosigned checkpoints and proofs to those.
type Cosigner struct {
	*Log
	o         CosignerOptions
	group     tessera.WitnessGroup
	witnesses []*asked

	mu   sync.RWMutex
	head audit.Head // the last one that enough witnesses have cosigned, with their lines
}

// NewCosigner reads the policy, and what was cosigned last. It fails with ErrTampered when the log does not hold what witnesses have
// cosigned: then it is another one, or an older copy.
func NewCosigner(ctx context.Context, l *Log, o CosignerOptions) (*Cosigner, error) {
	c := &Cosigner{Log: l, o: o}
	if o.Policy == nil {
		return c, nil
	}
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{{&c.o.Interval, 500 * time.Millisecond}, {&c.o.Timeout, 5 * time.Second}, {&c.o.Renew, 10 * time.Minute}} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
	var err error
	if c.group, err = tessera.NewWitnessGroupFromPolicy(o.Policy); err != nil {
		return nil, fmt.Errorf("tlog: the witness policy: %w", err)
	}
	if c.group.N <= 0 || len(c.group.Endpoints()) == 0 {
		return nil, errors.New("tlog: the witness policy asks for nobody's cosignature")
	}
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for url, verifier := range c.group.Endpoints() {
		c.witnesses = append(c.witnesses, &asked{url: url, verifier: verifier, client: client})
	}
	slices.SortFunc(c.witnesses, func(a, b *asked) int { return strings.Compare(a.url, b.url) })
	return c, c.remember(ctx)
}

// remember reads what was cosigned last. A file that the key or the policy of today does not fit is as good as none.
func (c *Cosigner) remember(ctx context.Context) error {
	raw, err := c.recall(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("tlog: reading the cosigned checkpoint: %w", err)
	}
	head, err := parseHead(raw, c.key)
	if sound := err == nil && c.group.Satisfied(raw); !sound {
		return nil
	}
	size, err := c.Size(ctx)
	if err != nil {
		return err
	}
	if size < head.Size {
		return fmt.Errorf("%w: witnesses have cosigned %d leaves, the tree has %d", ErrTampered, head.Size, size)
	}
	root, err := rootAt(ctx, c.reader, head.Size)
	if err != nil || !bytes.Equal(root, head.Root) {
		return fmt.Errorf("%w: the log is not the one that witnesses have cosigned at size %d", ErrTampered, head.Size)
	}
	c.head = head
	return nil
}

// cosignedName is what the last cosigned checkpoint is kept as beside the log.
const cosignedName = "checkpoint.witnessed"

func (c *Cosigner) recall(ctx context.Context) ([]byte, error) {
	if c.o.File == "" {
		return c.storage.recall(ctx, cosignedName)
	}
	return os.ReadFile(c.o.File)
}

// Witnessed is how many entries a checkpoint covers that enough witnesses have cosigned; 0 without a policy.
func (c *Cosigner) Witnessed() uint64 { return c.cosigned().Size }

// Covered gives how many entries a checkpoint covers, and how many a cosigned one.
func (c *Cosigner) Covered(ctx context.Context) (published, witnessed uint64, err error) {
	head, err := c.Log.Head(ctx)
	return head.Size, c.Witnessed(), err
}

func (c *Cosigner) cosigned() audit.Head {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.head
}

// Head implements audit.Published: the latest checkpoint, with cosignatures where it has enough.
func (c *Cosigner) Head(ctx context.Context) (audit.Head, error) {
	head, err := c.Log.Head(ctx)
	if cosigned := c.cosigned(); err == nil && cosigned.Size == head.Size && bytes.Equal(cosigned.Root, head.Root) {
		return cosigned, nil
	}
	return head, err
}

// Checkpoint returns the latest checkpoint, with cosignatures where it has enough. It is public.
func (c *Cosigner) Checkpoint(ctx context.Context) ([]byte, error) {
	head, err := c.Head(ctx)
	return head.Checkpoint, err
}

// Inclusion implements audit.Published. The proof leads to a cosigned checkpoint where one covers the leaf.
func (c *Cosigner) Inclusion(ctx context.Context, index uint64) (audit.Inclusion, error) {
	head := c.cosigned()
	if index >= head.Size {
		return c.Log.Inclusion(ctx, index)
	}
	builder, err := client.NewProofBuilder(ctx, head.Size, c.reader.ReadTile)
	if err != nil {
		return audit.Inclusion{}, fmt.Errorf("tlog: building a proof: %w", err)
	}
	hashes, err := builder.InclusionProof(ctx, index)
	if err != nil {
		return audit.Inclusion{}, fmt.Errorf("tlog: building a proof: %w", err)
	}
	return audit.Inclusion{Index: index, TreeSize: head.Size, Hashes: hashes, Checkpoint: head.Checkpoint}, nil
}

// Run has each new checkpoint cosigned until ctx ends.
func (c *Cosigner) Run(ctx context.Context) {
	if len(c.witnesses) == 0 {
		return
	}
	tick := time.NewTicker(c.o.Interval)
	defer tick.Stop()
	defer c.witnesses[0].client.CloseIdleConnections() // they have one client
	var since time.Time                                // when the head was cosigned
	for {
		head, err := c.Log.Head(ctx)
		cosigned := c.cosigned()
		if err == nil && head.Size > 0 && (head.Size != cosigned.Size || !bytes.Equal(head.Root, cosigned.Root) || !c.o.Final && c.o.Clock.Now().Sub(since) > c.o.Renew) {
			if c.round(ctx, head) {
				since = c.o.Clock.Now()
			}
		}
		if done := c.cosigned(); c.o.Final && err == nil && done.Size == head.Size && bytes.Equal(done.Root, head.Root) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// round asks all witnesses that answered lately for one checkpoint, and keeps it if enough of them cosign it.
func (c *Cosigner) round(ctx context.Context, head audit.Head) (enough bool) {
	builder, err := client.NewProofBuilder(ctx, head.Size, c.reader.ReadTile)
	if err != nil {
		return false
	}
	now, lines := c.o.Clock.Now(), make([][]byte, len(c.witnesses))
	var wait sync.WaitGroup
	for i, w := range c.witnesses {
		if now.Before(w.rest) {
			continue
		}
		wait.Go(func() {
			asking, cancel := context.WithTimeout(ctx, c.o.Timeout)
			defer cancel()
			var v Verdict
			lines[i], v = w.ask(asking, head, func(from uint64) ([][]byte, error) { return builder.ConsistencyProof(asking, from, head.Size) })
			if ctx.Err() == nil && w.settle(now, v) {
				c.o.Report(ctx, v)
			}
		})
	}
	wait.Wait()
	if ctx.Err() != nil {
		return false
	}
	full := slices.Concat(append([][]byte{head.Checkpoint}, lines...)...)
	if !c.group.Satisfied(full) {
		return false
	}
	return c.keep(ctx, audit.Head{Size: head.Size, Root: head.Root, Checkpoint: full})
}

// keep writes the cosigned checkpoint, and only then counts it.
func (c *Cosigner) keep(ctx context.Context, head audit.Head) bool {
	var err error
	if c.o.File == "" {
		err = c.storage.keep(ctx, cosignedName, head.Checkpoint)
	} else {
		err = replaceFile(c.o.File, head.Checkpoint)
	}
	if err != nil {
		c.o.Report(ctx, Verdict{Problem: Unkept, Size: head.Size})
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.head = head
	return true
}
