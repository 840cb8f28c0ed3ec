// Package shards divides the audit log by years: each calendar year (UTC) of receipt is a log of its own, in its own folder, under its
// own origin, signed with the log's one key.
//
// The first shard is the log's folder itself, under the log's own name; so an installation from before there were shards needs no moving.
// The shard of a later year is in `shards/<year>` below it, under `<origin>/<year>`. Each is complete (C2SP tlog-tiles), and any reader
// of such logs takes a single one.
//
// A shard's first entry carries the final checkpoint of the one before (origin, size, root), so that the shards are a chain: whoever has
// the newest checkpoint has them all. A sealed shard is never written again. Under the retention period the oldest one may be dropped as
// a whole: a signed tombstone takes its place.
//
// What is on the disk says at any moment how far a turn has come: a shard is begun when it has its first entry, and until then the shard
// before it is the last one; a shard is dropped when its tombstone is there, and what else is there beside it is removed.
package shards
