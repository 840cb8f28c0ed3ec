//go:build !linux

package server

// NoDumps does nothing here: core dumps are turned off by the system's own means.
func NoDumps() error { return nil }
