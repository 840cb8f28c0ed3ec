package sqlmap

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// admit checks the call itself.
func (a *Adapter) admit(r participant.EraseRequest) error {
	switch {
	case r.Request == "":
		return fmt.Errorf("%w: a request id is required", participant.ErrInvalid)
	case r.FencingToken < 1:
		return fmt.Errorf("%w: a fencing token of at least 1 is required", participant.ErrInvalid)
	}
	if err := valid(r.Subject); err != nil {
		return err
	}
	if a.known(r.Datasets) != nil {
		return participant.ErrDataMapChanged
	}
	actions := a.actions(r.Datasets)
	for _, c := range a.plan.cascades {
		parent, child := c[0].def.Name, c[1].def.Name
		if actions[parent] == participant.Erase && actions[child] == participant.Keep {
			return fmt.Errorf("%w: dataset %q cannot be erased while %q is kept: the database deletes or changes the one with the other",
				participant.ErrInvalid, parent, child)
		}
	}
	return nil
}

// actions is what happens to each dataset: what the map says where it was approved,
// and otherwise nothing.
func (a *Adapter) actions(approved []string) map[string]participant.Action {
	out := map[string]participant.Action{}
	for _, m := range a.plan.mentions {
		out[m.def.Name] = participant.Keep
	}
	for _, d := range a.plan.datasets {
		out[d.def.Name] = participant.Keep
		if slices.Contains(approved, d.def.Name) {
			out[d.def.Name] = d.action()
		}
	}
	return out
}

// hold makes calls for the same request in this process wait for each other. Between
// processes the fencing token decides.
func (a *Adapter) hold(ctx context.Context, request string) (func(), error) {
	for {
		a.mu.Lock()
		busy, taken := a.running[request]
		if !taken {
			mine := make(chan struct{})
			a.running[request] = mine
			a.mu.Unlock()
			return func() {
				a.mu.Lock()
				delete(a.running, request)
				a.mu.Unlock()
				close(mine)
			}, nil
		}
		a.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, failed("waiting for the same request", ctx.Err())
		}
	}
}

// entry is what the ledger compares later calls with.
func (j *job) entry() entry {
	approved := slices.Sorted(slices.Values(j.r.Datasets))
	var ids []string
	for _, id := range j.r.Subject.Identifiers {
		ids = append(ids, string(id.Type)+"\x00"+id.Value)
	}
	slices.Sort(ids)
	return entry{
		request: j.r.Request, token: j.r.FencingToken, mapDigest: j.a.digest,
		plan:        digest(append([]string{j.r.Subject.Controller}, slices.Compact(approved)...)),
		subjectHash: digest(append([]string{j.r.Request}, slices.Compact(ids)...)),
	}
}

func digest(parts []string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x01")))
	return hex.EncodeToString(sum[:])
}
