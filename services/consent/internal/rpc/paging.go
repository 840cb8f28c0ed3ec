package rpc

import (
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/page"
)

// listing is one page of a list call as it was asked for.
type listing struct {
	key     []byte
	binding page.Binding
	size    int
	// after is the cursor at which the page begins; empty for the first.
	after string
}

// listing reads size and token of a list call. A token that was made for another list is an Invalid fault with reason
// PAGE_TOKEN_INVALID.
func (h *handlers) listing(b page.Binding, size int32, token string) (listing, error) {
	n, err := page.Size(size)
	if err != nil {
		return listing{}, fault.BadField("page_size", "is negative; ask for 1 to 1000, or leave it out for 50")
	}
	cursor, err := page.Decode(h.pageKey, b, token)
	if err != nil {
		return listing{}, fault.New(fault.Invalid, "PAGE_TOKEN_INVALID",
			"The page token does not belong to this list. Start again without one.").Because(err)
	}
	return listing{key: h.pageKey, binding: b, size: n, after: string(cursor)}, nil
}

// cut takes a page off items that were read with one more than its size, and the token for what follows. Cursor gives an
// item's place.
func cut[T any](l listing, items []T, cursor func(T) string) ([]T, string, error) {
	if len(items) <= l.size {
		return items, "", nil
	}
	items = items[:l.size]
	token, err := page.Encode(l.key, l.binding, []byte(cursor(items[len(items)-1])))
	return items, token, err
}
