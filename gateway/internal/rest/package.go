package rest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/privacyops/privacyops/gateway/internal/route"
	"github.com/privacyops/privacyops/libs/fault"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

// extensions names a package's file by its content type. Other types do not occur.
var extensions = map[string]string{"application/zip": ".zip", "application/age": ".zip.age"}

// parcel is a package that can be fetched.
type parcel struct {
	size   int64
	sha256 string
	// kind is its content type, and file the name that it is saved under.
	kind, file string
	// read begins to read at an offset. Each call of next gives some bytes; the context ends it.
	read func(ctx context.Context, offset int64) (next func() ([]byte, error), err error)
}

// servePackage gives a package's bytes, whole or a range of them, with the SHA-256 as entity tag. Find gives the package, or the error
// that says why there is none.
func (h *Handler) servePackage(w http.ResponseWriter, r *http.Request, find func(ctx context.Context, name string) (parcel, error)) {
	ctx, cancel := context.WithCancel(outgoing(r))
	defer cancel()
	p, err := find(ctx, strings.TrimSuffix(route.From(ctx).Name, "/package"))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	content := &packageReader{ctx: ctx, read: p.read, size: p.size}
	defer content.close()
	w.Header().Set("Content-Type", p.kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+p.file+`"`)
	w.Header().Set("ETag", `"`+p.sha256+`"`)
	late := &lateHeader{ResponseWriter: w, conn: http.NewResponseController(w)}
	http.ServeContent(late, oneRange(r), "", time.Time{}, content)
	if err := late.finish(content.err); err != nil {
		h.fail(w, r, err)
	} else if content.err != nil {
		h.note(r, content.err)
		panic(http.ErrAbortHandler) // a download that broke off must not look finished
	}
}

// serveExport gives the package of an export. The file is named by the export's id, which tells nothing about the person.
func (h *Handler) serveExport(w http.ResponseWriter, r *http.Request) {
	client := exportv1.NewExportsClient(h.conns["privacyops.export.v1"])
	h.servePackage(w, r, func(ctx context.Context, name string) (parcel, error) {
		read := func(ctx context.Context, offset int64) (func() ([]byte, error), error) {
			return piecewise(client.ReadPackage(ctx, &exportv1.ReadPackageRequest{Name: name, Offset: offset}))
		}
		if err := h.may(ctx, exportv1.Exports_ReadPackage_FullMethodName, &exportv1.ReadPackageRequest{Name: name}); err != nil {
			return parcel{}, err
		}
		export, err := client.GetExport(ctx, &exportv1.GetExportRequest{Name: name})
		if err != nil {
			return parcel{}, err
		}
		p := export.GetPackage()
		if p == nil || export.GetState() == exportv1.Export_EXPIRED {
			return parcel{}, noPackage(ctx, read, "There is no package yet; watch the export until it is READY.")
		}
		kind := p.GetContentType()
		if extensions[kind] == "" {
			kind = "application/octet-stream"
		}
		return parcel{size: p.GetSizeBytes(), sha256: p.GetSha256(), kind: kind, file: "export-" + last(name) + extensions[kind], read: read}, nil
	})
}

// serveEvidence gives the package of evidence.
func (h *Handler) serveEvidence(w http.ResponseWriter, r *http.Request) {
	client := auditv1.NewAuditEvidenceClient(h.conns["privacyops.audit.v1"])
	h.servePackage(w, r, func(ctx context.Context, name string) (parcel, error) {
		read := func(ctx context.Context, offset int64) (func() ([]byte, error), error) {
			return piecewise(client.ReadEvidencePackage(ctx, &auditv1.ReadEvidencePackageRequest{Name: name, Offset: offset}))
		}
		if err := h.may(ctx, auditv1.AuditEvidence_ReadEvidencePackage_FullMethodName, &auditv1.ReadEvidencePackageRequest{Name: name}); err != nil {
			return parcel{}, err
		}
		e, err := client.GetEvidence(ctx, &auditv1.GetEvidenceRequest{Name: name})
		if err != nil {
			return parcel{}, err
		}
		if e.GetState() != auditv1.Evidence_READY {
			return parcel{}, noPackage(ctx, read, "There is no package yet; look at the evidence until it is READY.")
		}
		return parcel{size: e.GetSizeBytes(), sha256: e.GetSha256(), kind: "application/zip", file: "evidence-" + last(name) + ".zip", read: read}, nil
	})
}

// last is the last part of a resource name.
func last(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// piecewise gives the bytes of a stream's messages.
func piecewise[M interface{ GetData() []byte }](stream interface{ Recv() (M, error) }, err error) (func() ([]byte, error), error) {
	if err != nil {
		return nil, err
	}
	return func() ([]byte, error) {
		piece, err := stream.Recv()
		return piece.GetData(), err
	}, nil
}

// noPackage finds out why there is none from the service, whose words they are.
func noPackage(ctx context.Context, read func(context.Context, int64) (func() ([]byte, error), error), otherwise string) error {
	next, err := read(ctx, 0)
	if err == nil {
		_, err = next()
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = fault.New(fault.Precondition, "PACKAGE_NOT_READY", otherwise)
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

// may decides on a download before anything is asked of the service, so that a refused one shows as that in the log.
func (h *Handler) may(ctx context.Context, method string, req proto.Message) error {
	of, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	_, err := h.conns[protoreflect.FullName(of).Parent()].admit(ctx, method, req)
	return err
}
