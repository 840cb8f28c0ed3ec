package rest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/gateway/internal/problem"
	"github.com/privacyops/privacyops/gateway/internal/route"
	"github.com/privacyops/privacyops/libs/fault"
)

// stallTime is how long a client may take for one piece of a stream or file before it is given up.
const stallTime = 30 * time.Second

// watch answers a server stream as one JSON object a line (application/x-ndjson). An error after the first line is the last
// line, with the same object that an error answer has as its body.
func (h *Handler) watch(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(outgoing(r))
	defer cancel()
	stop := h.endWithDrain(cancel)
	defer stop()
	lines := &lineWriter{w: w, conn: http.NewResponseController(w)}
	err := h.eachMessage(ctx, route.From(r.Context()), r.URL.Query(), lines.write)
	if err == nil || r.Context().Err() != nil {
		return
	}
	draining := h.isDraining()
	if draining {
		err = fault.New(fault.Unavailable, "SHUTTING_DOWN", "This gateway stops; call again.").RetryIn(time.Second)
	}
	if !lines.begun {
		h.fail(w, r, err)
		return
	}
	if !draining { // that a stop ends watches is no error
		h.note(r, err)
	}
	_ = lines.line(problem.Of(r.Context(), err).Body) // a client who went away does not need it
}

// endWithDrain cancels when the handler drains, until stop is called.
func (h *Handler) endWithDrain(cancel func()) (stop func()) {
	done := make(chan struct{})
	go func() {
		select {
		case <-h.draining:
			cancel()
		case <-done:
		}
	}()
	return func() { close(done) }
}

func (h *Handler) isDraining() bool {
	select {
	case <-h.draining:
		return true
	default:
		return false
	}
}

// asked makes the request that path and query fill. Which parameters the route knows was checked before.
func asked(m *route.Match, query url.Values) (proto.Message, error) {
	in, err := newMessage(m.Descriptor.Input())
	if err != nil {
		return nil, err
	}
	if err := runtime.PopulateQueryParameters(in, query, utilities.NewDoubleArray(nil)); err != nil {
		return nil, fault.New(fault.Invalid, "QUERY_INVALID", "A parameter of the query is not of its type.").Because(err)
	}
	for field, value := range m.Filled() { // after the query, which cannot say otherwise
		if err := runtime.PopulateFieldFromPath(in, field, value); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// eachMessage calls the route's server-streaming method.
func (h *Handler) eachMessage(ctx context.Context, m *route.Match, query url.Values, each func(proto.Message) error) error {
	in, err := asked(m, query)
	if err != nil {
		return err
	}
	conn := h.conns[m.Descriptor.ParentFile().Package()]
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, m.RPC)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(in); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		out, err := newMessage(m.Descriptor.Output())
		if err != nil {
			return err
		}
		if err := stream.RecvMsg(out); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := each(out); err != nil {
			return err
		}
	}
}

// lineWriter writes lines, each at once.
type lineWriter struct {
	w     http.ResponseWriter
	conn  *http.ResponseController
	begun bool
}

func (l *lineWriter) write(m proto.Message) error {
	text, err := jsonOptions.Marshal(m)
	if err != nil {
		return err
	}
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", "application/x-ndjson")
	}
	return l.line(text)
}

func (l *lineWriter) line(text []byte) error {
	// A connection without deadlines (a test's recorder) is bounded by its context.
	_ = l.conn.SetWriteDeadline(time.Now().Add(stallTime))
	if _, err := l.w.Write(append(text, '\n')); err != nil {
		return err
	}
	return l.conn.Flush()
}
