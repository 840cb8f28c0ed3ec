package rest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/privacyops/privacyops/gateway/internal/route"
	"github.com/privacyops/privacyops/libs/fault"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

// extensions names a package's file by its content type. Other types do not occur.
var extensions = map[string]string{"application/zip": ".zip", "application/age": ".zip.age"}

// servePackage gives a package's bytes, whole or a range of them, with the SHA-256 as entity tag. The file is named by the
// export's id, which tells nothing about the person.
func (h *Handler) servePackage(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(outgoing(r))
	defer cancel()
	m := route.From(ctx)
	name := strings.TrimSuffix(m.Name, "/package")
	client := exportv1.NewExportsClient(h.conns["privacyops.export.v1"])
	export, err := client.GetExport(ctx, &exportv1.GetExportRequest{Name: name})
	if err != nil {
		h.fail(w, r, err)
		return
	}
	p := export.GetPackage()
	if p == nil || export.GetState() == exportv1.Export_EXPIRED {
		h.fail(w, r, noPackage(ctx, client, name))
		return
	}
	content := &packageReader{ctx: ctx, client: client, name: name, size: p.GetSizeBytes()}
	defer content.close()
	kind := p.GetContentType()
	if extensions[kind] == "" {
		kind = "application/octet-stream"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="export-`+m.Params[1]+extensions[kind]+`"`)
	w.Header().Set("ETag", `"`+p.GetSha256()+`"`)
	late := &lateHeader{ResponseWriter: w, conn: http.NewResponseController(w)}
	http.ServeContent(late, oneRange(r), "", time.Time{}, content)
	if err := late.finish(content.err); err != nil {
		h.fail(w, r, err)
	} else if content.err != nil {
		h.note(r, content.err)
		panic(http.ErrAbortHandler) // a download that broke off must not look finished
	}
}

// noPackage finds out why there is none from the service, whose words they are.
func noPackage(ctx context.Context, client exportv1.ExportsClient, name string) error {
	stream, err := client.ReadPackage(ctx, &exportv1.ReadPackageRequest{Name: name, Limit: 1})
	if err == nil {
		_, err = stream.Recv()
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = fault.New(fault.Precondition, "PACKAGE_NOT_READY", "There is no package yet; watch the export until it is READY.")
	}
	return err
}

// oneRange ignores a request for several ranges (RFC 9110 section 14.2 allows it): each would be a download of its own.
func oneRange(r *http.Request) *http.Request {
	if !strings.Contains(r.Header.Get("Range"), ",") {
		return r
	}
	r = r.Clone(r.Context())
	r.Header.Del("Range")
	return r
}
