package rpc

import (
	"context"
	"slices"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// maxRefs bounds the pseudonyms in an event below the 200 that the audit log takes, with room for those of the request: a
// withdrawal must not fail because an address is shared by a whole class.
const maxRefs = 150

// witnessed are the pseudonyms that an event names, each once.
func witnessed(refs []consent.SubjectRef) []string {
	once := slices.Compact(slices.Sorted(slices.Values(refs)))
	return texts(once[:min(len(once), maxRefs)])
}

// expanded gives the refs and all that are linked to one of them.
func (h *handlers) expanded(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, refs []consent.SubjectRef) ([]consent.SubjectRef, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	links, err := h.Store.Links(ctx, q, controller, refs)
	if err != nil {
		return nil, err
	}
	return links.Expand(refs), nil
}

// withPersons gives the refs under which what a person demands is kept, see consent.Links.
func (h *handlers) withPersons(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, refs []consent.SubjectRef) ([]consent.SubjectRef, error) {
	links, err := h.Store.Links(ctx, q, controller, refs)
	if err != nil {
		return nil, err
	}
	return links.WithPersons(refs), nil
}

// erased reports whether the person behind the refs was erased.
func (h *handlers) erased(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, refs []consent.SubjectRef) (bool, error) {
	all, err := h.expanded(ctx, q, controller, refs)
	if err != nil {
		return false, err
	}
	return h.Store.Erased(ctx, q, controller, all)
}
