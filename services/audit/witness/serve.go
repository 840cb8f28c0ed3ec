package witness

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
)

// addCheckpoint answers POST /add-checkpoint.
func (w *Witness) addCheckpoint(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
	if err != nil {
		w.reply(r.Context(), rw, "", 0, refuse(http.StatusBadRequest, "the request is too long, or broke off"))
		return
	}
	parsed, err := parseRequest(body)
	if err != nil {
		w.reply(r.Context(), rw, "", 0, refuse(http.StatusBadRequest, err.Error()))
		return
	}
	origin, a := w.add(parsed)
	w.reply(r.Context(), rw, origin, parsed.old, a)
}

// reply answers and writes the line. The origin is empty unless it is that of a log that is watched: what strangers send is not logged.
func (w *Witness) reply(ctx context.Context, rw http.ResponseWriter, origin string, old uint64, a answer) {
	level := slog.LevelInfo
	if a.status == http.StatusUnprocessableEntity || (a.status == http.StatusConflict && a.kind == "") || a.status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	attrs := []any{"status", a.status, "result", a.why, "old_size", old}
	if l := w.logs[origin]; l != nil {
		attrs = append(attrs, "origin", origin, "seen_size", l.size())
	}
	w.log.Log(ctx, level, "add-checkpoint", attrs...)
	kind := a.kind
	if kind == "" {
		kind = "text/plain; charset=utf-8"
	}
	rw.Header().Set("Content-Type", kind)
	rw.Header().Set("X-Content-Type-Options", "nosniff")
	rw.WriteHeader(a.status)
	rw.Write(a.body) // who asked may have gone; it will ask again
}

func (l *watched) size() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen.size
}

// about answers GET / with who this is: what a log's operator needs for its policy, and how far each log was seen.
func (w *Witness) about(rw http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	fmt.Fprintf(&b, "witness %s\nkey %s\n", w.key.Name(), w.key.Public)
	origins := make([]string, 0, len(w.logs))
	for origin := range w.logs {
		origins = append(origins, origin)
	}
	slices.Sort(origins)
	for _, origin := range origins {
		fmt.Fprintf(&b, "log %s seen %d\n", origin, w.logs[origin].size())
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	rw.Header().Set("X-Content-Type-Options", "nosniff")
	rw.Write([]byte(b.String()))
}
