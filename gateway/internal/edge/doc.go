// Package edge is the door of the suite: what every HTTP request passes before anything is done with it.
//
// In this order: the route is found, a span is started, recovery, request id and security headers, limits by address, the
// form of the request, authentication, limits by caller, the deadline, the handler, one log line with the outcome. The span
// comes first so that every answer, a panic's too, has a request id.
//
// What a client wrote (path, query, headers, body, addresses) is in no span, metric or log line: they name the route's
// template and the outcome. A trace context from outside is untrusted: a request starts a trace of its own that links to it.
package edge
