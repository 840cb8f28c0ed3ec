// Package storetest is the conformance suite of the audit service's stores: every "must" in the comments of audit.Inbox,
// audit.Queue and audit.Index has a test here. Each engine's own test calls [Run].
package storetest
