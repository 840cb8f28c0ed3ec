// Package access says who may call what.
//
// A caller is the holder of a token ([Verifier]), or a service of the suite known by its client certificate. Every RPC
// declares its rule in the proto (privacyops.auth.v1.rule); [Rules] are those of a server's methods, read from the
// descriptors, and a method without a rule stops the server from starting. [Rules.Authorize] is the one decision: the
// gateway asks it before it calls, and each service asks it again.
//
// Access is denied by default, in this order: no caller (UNAUTHENTICATED), wrong role (PERMISSION_DENIED), another
// controller's resource (NOT_FOUND, the same bytes as for what does not exist). A call that names no controller concerns the
// whole suite, and needs a token for all controllers (PERMISSION_DENIED). A service's certificate alone never opens a method that
// is for people: the gateway passes the caller's token on, and it is the token that decides.
package access
