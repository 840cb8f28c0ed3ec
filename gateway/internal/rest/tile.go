package rest

import (
	"net/http"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/privacyops/privacyops/gateway/internal/route"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/logkey"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

// tileHeight is the height of the log's tiles (C2SP tlog-tiles): 256 hashes wide.
const tileHeight = 8

// serveTile gives a tile of the log's hashes at its C2SP tlog-tiles path: `tile/<level>/<index>`, with the index in groups
// of three digits (`x001/x234/067`), and `.p/<width>` for a partial tile. A full tile never changes. The tiles of a later shard are
// below its year.
func (h *Handler) serveTile(w http.ResponseWriter, r *http.Request) {
	match, year, ok := route.From(r.Context()), 0, true
	path := match.Params
	if strings.Contains(match.Route.Template, "{year}") {
		year, ok = logkey.ParseYear(path[0])
		path = path[1:]
	}
	tile, err := tlog.ParseTilePath("tile/8/" + strings.Join(path, "/"))
	if !ok || err != nil || tile.L < 0 || tile.H != tileHeight {
		h.fail(w, r, fault.Missing())
		return
	}
	req := &auditv1.GetTileRequest{Level: uint32(tile.L), Index: uint64(tile.N), Year: uint32(year)}
	if tile.W < 1<<tileHeight {
		req.Width = uint32(tile.W)
	}
	body, err := auditv1.NewAuditLogClient(h.conns["privacyops.audit.v1"]).GetTile(outgoing(r), req)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if req.GetWidth() == 0 {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	w.Write(body.GetData())
}
