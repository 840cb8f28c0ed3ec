package logcheck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/privacyops/privacyops/libs/logkey"
)

// Source is where a log is read from. Its methods may be called concurrently. They fail with fs.ErrNotExist where a resource is not
// there, which is a finding, and with any other error where the source cannot be asked.
type Source interface {
	// Checkpoint gives the newest checkpoint.
	Checkpoint(ctx context.Context) ([]byte, error)
	// Tile gives a tile of a level, or a bundle of entries (level -1), of exactly a width: 256 or, a partial one, 1 to 255.
	Tile(ctx context.Context, level int, index uint64, width int) ([]byte, error)
	// Partials gives the widths of the partial tiles or bundles that lie beside a full one, where the source can list them.
	Partials(ctx context.Context, level int, index uint64) ([]int, error)
	// HasEntries reports whether the source has the entries themselves.
	HasEntries() bool
}

type folder struct{ fsys fs.FS }

// Folder reads a log from its folder, in the layout of C2SP tlog-tiles, for example os.DirFS of a copy.
func Folder(fsys fs.FS) Source { return folder{fsys} }

// HasEntries implements Source.
func (f folder) HasEntries() bool { return true }

// Checkpoint implements Source.
func (f folder) Checkpoint(context.Context) ([]byte, error) { return fs.ReadFile(f.fsys, "checkpoint") }

// Tile implements Source.
func (f folder) Tile(_ context.Context, level int, index uint64, width int) ([]byte, error) {
	return fs.ReadFile(f.fsys, tilePath(level, index, width))
}

// Partials implements Source. Names that are no width are not the log's.
func (f folder) Partials(_ context.Context, level int, index uint64) (widths []int, err error) {
	entries, err := fs.ReadDir(f.fsys, tilePath(level, index, tileWidth)+".p")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if w, err := strconv.Atoi(e.Name()); err == nil && w > 0 && w < tileWidth && strconv.Itoa(w) == e.Name() {
			widths = append(widths, w)
		}
	}
	return widths, err
}

// Parts implements Sharded.
func (f folder) Parts(context.Context) ([]Part, error) {
	parts := []Part{{Source: f}}
	entries, err := fs.ReadDir(f.fsys, "shards")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		year, ok := logkey.ParseYear(e.Name())
		if !ok {
			continue // no name that the log gives
		}
		sub, err := fs.Sub(f.fsys, "shards/"+e.Name())
		if err != nil {
			return nil, err
		}
		parts = append(parts, Part{Year: year, Source: folder{sub}})
	}
	for i := range parts {
		var err error
		if parts[i].Tombstone, err = fs.ReadFile(parts[i].Source.(folder).fsys, "tombstone"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return parts, nil
}

type door struct {
	base   *url.URL
	client *http.Client
}

// maxAnswer is more than the longest resource of hashes has.
const maxAnswer = 1 << 20

// Door reads a log over HTTP. An address without a path is that of a suite, whose log is at /v1/audit; any other is that of the log
// itself. A client of nil means one that gives up after a minute.
func Door(address string, client *http.Client) (Source, error) {
	base, err := url.Parse(address)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, errors.New("logcheck: the address is no http or https URL")
	}
	if strings.Trim(base.Path, "/") == "" {
		base.Path = "/v1/audit"
	}
	if client == nil {
		client = &http.Client{Timeout: time.Minute}
	}
	return door{base: base, client: client}, nil
}

// HasEntries implements Source: entries are not public.
func (d door) HasEntries() bool { return false }

// Checkpoint implements Source.
func (d door) Checkpoint(ctx context.Context) ([]byte, error) { return d.get(ctx, "checkpoint") }

// Parts implements Sharded. A log that lists no shards is one.
func (d door) Parts(ctx context.Context) ([]Part, error) {
	var list struct {
		Shards []struct {
			Year      int    `json:"year"`
			Opening   []byte `json:"opening"`
			Tombstone string `json:"tombstone"`
		} `json:"shards"`
	}
	raw, err := d.get(ctx, "shards")
	if errors.Is(err, fs.ErrNotExist) {
		return []Part{{Source: d}}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &list); err != nil || len(list.Shards) == 0 || list.Shards[0].Year != 0 {
		return nil, errors.New("logcheck: what the log gives as its shards is no list of shards")
	}
	parts := make([]Part, len(list.Shards))
	for i, s := range list.Shards {
		if i > 0 && s.Year <= list.Shards[i-1].Year || s.Year > 9999 {
			return nil, errors.New("logcheck: the log's shards are not listed in the order of their years")
		}
		at := *d.base
		at.Path = path.Join("/", at.Path, folderOf(s.Year))
		parts[i] = Part{Year: s.Year, Source: door{base: &at, client: d.client}, Opening: s.Opening}
		if s.Tombstone != "" {
			parts[i].Tombstone = []byte(s.Tombstone)
		}
	}
	return parts, nil
}

// Tile implements Source.
func (d door) Tile(ctx context.Context, level int, index uint64, width int) ([]byte, error) {
	return d.get(ctx, tilePath(level, index, width))
}

// Partials implements Source: a door lists nothing.
func (d door) Partials(context.Context, int, uint64) ([]int, error) { return nil, nil }

// attempts is how often a door is asked that answers that it cannot at the moment.
const attempts = 4

func (d door) get(ctx context.Context, resource string) (body []byte, err error) {
	for i := range attempts {
		var again bool
		if body, again, err = d.once(ctx, resource); !again || i == attempts-1 {
			return body, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second << i):
		}
	}
	return nil, err
}

// once asks once, and says whether to ask again later.
func (d door) once(ctx context.Context, resource string) (body []byte, again bool, err error) {
	u := *d.base
	u.Path = path.Join("/", u.Path, resource)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, false, fmt.Errorf("logcheck: asking for %s: %w", resource, err)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, false, fmt.Errorf("logcheck: asking for %s: %w", resource, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusGone:
		return nil, false, fmt.Errorf("logcheck: %s: %w", resource, fs.ErrNotExist)
	case resp.StatusCode != http.StatusOK:
		again := resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= http.StatusInternalServerError
		return nil, again, fmt.Errorf("logcheck: %s: the server answers %s", resource, resp.Status)
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, false, fmt.Errorf("logcheck: reading %s: %w", resource, err)
	}
	return body, false, nil
}
