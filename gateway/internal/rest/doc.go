// Package rest turns HTTP requests into calls of the services, and their answers into HTTP.
//
// Unary calls go through grpc-gateway, behind a stricter reading of the request than its own ([Handler]): one JSON object in
// the right content type, no unknown fields or parameters, nothing after the end. Watches, packages, rosters and tiles have
// handlers of their own.
//
// Answers are proto3 JSON: lowerCamelCase names, enums by name, RFC 3339 times, 64-bit numbers as strings. Fields with
// default values are written (a count of 0, an empty list), so that a client sees every state; messages that are not set are
// left out.
//
// Every call passes the method rule before it goes out ([guarded]); the services ask it again. A refusal is reported to the
// audit service by the gateway, because no service ever hears of it. So is the answer to a repeated creating call that was
// given from memory ([memory]): to the same caller for the same request, after the rule.
package rest
