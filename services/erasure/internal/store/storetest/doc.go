// Package storetest is the conformance suite of the erasure service's store: what [erasure.Store] and the roles that the RPCs
// declare promise, and what the sweeper relies on. Each engine's own test calls [Run].
package storetest
