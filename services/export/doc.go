// Package export is the service that collects one person's data from every system that holds it and hands the controller a
// sealed package (GDPR art. 15 and 20).
//
// This is its public face, for the service's own binary and for the all-in-one: open it with [New], put it on a server with
// [Service.Register], keep [Service.Run] running beside it.
package export
