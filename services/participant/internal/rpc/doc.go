// Package rpc answers the participant protocol over gRPC: one file a verb, each in the rhythm of finding the system,
// asking it, and putting its answer into the protocol's messages.
//
// It stands on the domain interface alone and knows no database. Whoever may call is decided before a handler runs, by the
// method rules; a handler decides only whether the system that is named holds data of the controller that is named.
package rpc
