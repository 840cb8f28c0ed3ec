package rest

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/privacyops/privacyops/gateway/internal/problem"
	"github.com/privacyops/privacyops/gateway/internal/route"
	"github.com/privacyops/privacyops/libs/fault"
)

// maxBody bounds a JSON body.
const maxBody = 1 << 20

var (
	errTooLarge = problem.Refuse(http.StatusRequestEntityTooLarge, fault.Exhausted, "BODY_TOO_LARGE",
		"The body is larger than this call takes.")
	errSlow = problem.Refuse(http.StatusRequestTimeout, fault.Timeout, "BODY_TOO_SLOW", "The body did not arrive in time.")
	errCut  = fault.New(fault.Invalid, "BODY_INCOMPLETE", "The body ended before its time.")
	errType = problem.Refuse(http.StatusUnsupportedMediaType, fault.Invalid, "CONTENT_TYPE_UNSUPPORTED",
		"Send the body as application/json, in UTF-8.")
	errKey = fault.New(fault.Invalid, "IDEMPOTENCY_KEY_INVALID", "Send one Idempotency-Key, a UUID.")
)

// checkQuery refuses parameters that the route does not know, or that come twice where one is meant.
func checkQuery(m *route.Match, raw string) error {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return fault.New(fault.Invalid, "QUERY_INVALID", "The query is not well-formed.").Because(err)
	}
	for name, given := range values {
		switch several, known := m.Query[name]; {
		case !known:
			return fault.New(fault.Invalid, "UNKNOWN_PARAMETER",
				"The query has a parameter that this call does not know. Known: "+knownParameters(m)+".")
		case len(given) > 1 && !several:
			return fault.BadField(name, "given more than once in the query")
		}
	}
	return nil
}

// protoMasks writes the paths of field masks as the proto does. JSON has them in lowerCamelCase; the translator takes them
// from the query as they are.
func protoMasks(m *route.Match, query url.Values) url.Values {
	for name, given := range query {
		f := m.Descriptor.Input().Fields().ByJSONName(name)
		if f == nil || f.Message() == nil || f.Message().FullName() != "google.protobuf.FieldMask" {
			continue
		}
		for i := range given {
			given[i] = upperCase.ReplaceAllStringFunc(given[i], func(c string) string { return "_" + strings.ToLower(c) })
		}
	}
	return query
}

var upperCase = regexp.MustCompile(`[A-Z]`)

func knownParameters(m *route.Match) string {
	names := make([]string, 0, len(m.Query))
	for name := range m.Query {
		names = append(names, name)
	}
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// checkIdempotencyKey refuses a key that would be dropped on the way, and with it the caller's safety.
func checkIdempotencyKey(h http.Header) error {
	values := h.Values("Idempotency-Key")
	if len(values) == 0 {
		return nil
	}
	if len(values) > 1 || len(values[0]) != 36 || strings.Trim(strings.ToLower(values[0]), "0123456789abcdef-") != "" {
		return errKey
	}
	return nil
}

// jsonBody reads the request's body and checks that it is what the route takes: nothing, or one JSON object. An empty body
// stands for an empty object; whether that will do, the fields' rules decide.
func jsonBody(w http.ResponseWriter, r *http.Request, m *route.Match) (io.ReadCloser, error) {
	if m.Body == "" {
		if r.ContentLength != 0 {
			return nil, fault.New(fault.Invalid, "BODY_UNEXPECTED", "This call takes no body.")
		}
		return http.NoBody, nil
	}
	if err := checkContentType(r); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, bodyError(err)
	}
	if len(data) == 0 {
		return http.NoBody, nil
	}
	target, err := bodyMessage(m)
	if err != nil {
		return nil, err
	}
	return &decoded{bytes.NewReader(data), target}, decode(data, target)
}

// decoded is a body that has been read into a message. The translator takes the message, and does not read the body again.
type decoded struct {
	*bytes.Reader
	message proto.Message
}

// Close does nothing.
func (*decoded) Close() error { return nil }

// marshaler is the translator's, but for bodies that were decoded before.
type marshaler struct{ runtime.Marshaler }

// NewDecoder gives what was decoded, or decodes.
func (m marshaler) NewDecoder(r io.Reader) runtime.Decoder {
	body, ok := r.(*decoded)
	if !ok {
		return m.Marshaler.NewDecoder(r)
	}
	return runtime.DecoderFunc(func(into any) error {
		if msg, ok := into.(proto.Message); ok {
			proto.Merge(msg, body.message)
			return nil
		}
		field, message := reflect.ValueOf(into), reflect.ValueOf(body.message)
		if field.Kind() != reflect.Pointer || !message.Type().AssignableTo(field.Type().Elem()) {
			return m.Marshaler.NewDecoder(body.Reader).Decode(into)
		}
		field.Elem().Set(message)
		return nil
	})
}

// checkContentType refuses what a browser can be made to send without asking first (CSRF), and encodings other than UTF-8.
func checkContentType(r *http.Request) error {
	values := r.Header.Values("Content-Type")
	if len(values) == 0 && r.ContentLength == 0 {
		return nil
	}
	if len(values) != 1 {
		return errType
	}
	kind, params, err := mime.ParseMediaType(values[0])
	charset := params["charset"]
	delete(params, "charset")
	if err != nil || kind != "application/json" || len(params) > 0 || (charset != "" && !strings.EqualFold(charset, "utf-8")) {
		return errType
	}
	return nil
}

// bodyError is the answer where a body cannot be read.
func bodyError(err error) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return errTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSlow
	}
	return errCut.Because(err)
}

// bodyMessage makes the message that the body fills.
func bodyMessage(m *route.Match) (proto.Message, error) {
	input := m.Descriptor.Input()
	if m.Body != "*" {
		input = input.Fields().ByName(protoreflect.Name(m.Body)).Message()
	}
	return newMessage(input)
}

func newMessage(d protoreflect.MessageDescriptor) (proto.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		return nil, err
	}
	return t.New().Interface(), nil
}
