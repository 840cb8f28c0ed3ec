package rest

import (
	"context"
	"mime"
	"net/http"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/proto"
)

// pagePolicy is the content security policy of an HTML document that a service has printed: it may have styles of its own, and
// nothing else. A sandbox keeps it from acting as a page of this address, whatever it holds.
const pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"

// secure gives an answer that is a page the policy of one. All other answers keep the door's, which allows nothing.
func secure(_ context.Context, w http.ResponseWriter, answer proto.Message) error {
	body, ok := answer.(*httpbody.HttpBody)
	if !ok {
		return nil
	}
	// What cannot be read as a media type is no page.
	if kind, _, err := mime.ParseMediaType(body.GetContentType()); err == nil && kind == "text/html" {
		w.Header().Set("Content-Security-Policy", pagePolicy)
	}
	return nil
}
